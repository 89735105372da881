"""The ten stock networks by name: how each is made, what it sees, how long its authors train it.

| name | network, parameters at 200 units |
|---|---|
| cnn_univ_5 | convolution 16, pool, layer of 10; 289 |
| cnn_univ_10 | the same on two weeks; 769 |
| cnn_multv_10 | five columns as channels: convolutions 32, 32, pool, 16, layer of 100; 7,373 |
| cnn_multh_10 | five columns, each with convolutions 32, 32, pool; layers of 200 and 100; 132,965 |
| lstm_univ_5, lstm_univ_10 | LSTM, layers of 100 and 5; 182,235 |
| lstm_univ_ed_10 | LSTM, repeated, LSTM, a layer of 100 for each day; 502,601 |
| lstm_multv_ed_10 | the same of five columns; 505,801 |
| lstm_univ_cnn_10 | convolutions 64, 64, pool, repeated, LSTM, a layer of 100 for each day; 347,209 |
| lstm_univ_conv_10 | convolutional LSTM 64 over two weeks of five sessions, then the same; 384,777 |

Source: Mehtab and Sen, "Stock price prediction using CNN and LSTM-based deep learning models", arXiv 2010.13891 (2020);
layers after the same authors' chapter, doi 10.5772/intechopen.99982 (2021).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from forecast.errors import SchemaError, UnknownNameError
from models.stock import cnn, recurrent
from models.stock.parts import Newest, Sizes


@dataclass(frozen=True)
class Network:
    """Args: make: the layers. rows, columns: of its window. epochs, batch: of its authors' training."""

    make: Callable[[Sizes], nn.Module]
    rows: int
    columns: int
    epochs: int
    batch: int


NETWORKS = {
    "cnn_univ_5": Network(cnn.one_week, 5, 1, 20, 4),
    "cnn_univ_10": Network(cnn.two_weeks, 10, 1, 70, 16),
    "cnn_multv_10": Network(cnn.multivariate, 10, 5, 70, 16),
    "cnn_multh_10": Network(cnn.multihead, 10, 5, 70, 16),
    "lstm_univ_5": Network(recurrent.vector, 5, 1, 20, 16),
    "lstm_univ_10": Network(recurrent.vector, 10, 1, 20, 16),
    "lstm_univ_ed_10": Network(recurrent.encoder_decoder, 10, 1, 70, 16),
    "lstm_multv_ed_10": Network(recurrent.encoder_decoder, 10, 5, 20, 16),
    "lstm_univ_cnn_10": Network(recurrent.convolutional_encoder, 10, 1, 20, 16),
    "lstm_univ_conv_10": Network(recurrent.convolutional_lstm, 10, 1, 20, 16),
}


def network(name: str) -> Network:
    """Raises: UnknownNameError: another name."""
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    return NETWORKS[name]


def rows_of(name: str) -> int:
    return network(name).rows


def columns_of(name: str) -> int:
    return network(name).columns


def build(
    name: str, *, units: int = 200, activation: str = "relu", days: int = 5, columns: int | None = None
) -> nn.Module:
    """A network of one member, initialised as Keras would from torch's generator: (1, B, L, D) -> (1, B, days).

    Args:
        name: of NETWORKS. units: width of its LSTMs. activation: of their candidates and outputs, relu or tanh.
        days: H. columns: D, of a multivariate network; None as published. Of longer windows than `rows_of(name)` it
            takes the newest rows.

    Raises:
        UnknownNameError: another name or activation. SchemaError: a count that is not positive, columns for a
            univariate network; from the network, a window with fewer rows or another number of columns.

    >>> net = build("cnn_univ_5")
    >>> sum(parameter.numel() for parameter in net.parameters())
    289
    """
    chosen = network(name)
    columns = chosen.columns if columns is None else columns
    if min(units, days, columns) < 1:
        raise SchemaError(f"network '{name}' of {units} units, {days} days, {columns} columns: all must be 1 or more")
    if chosen.columns == 1 and columns > 1:
        raise SchemaError(f"network '{name}' reads one column, {columns} were given: choose a multivariate one")
    body = chosen.make(Sizes(units, activation, days, columns))
    return nn.Sequential(Newest(chosen.rows, columns), body)
