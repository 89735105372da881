"""Stock: a network of the stock suite as a forecaster of the sessions of the coming week."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from forecast.errors import SchemaError, UnknownNameError
from models.lightning import Training
from models.nets.framing import Framing
from models.nets.heads import Shape
from models.nets.point import PointNetwork
from models.stack.rectified import ACTIVATIONS
from models.stock.networks import NETWORKS, build, columns_of, rows_of


class Stock(PointNetwork):
    """One of ten networks, one for each series, from the levels of its newest 5 or 10 rows to the levels to come.

    Rows are sessions: on a calendar of all days put it into `models.weekdays.Weekdays`. A univariate network reads the
    target alone, and there is one for each series and target; a multivariate one reads the task's targets and past
    inputs in their order (open, high, low, close, volume) and answers all targets, as if their leads were more days.
    With another number of columns than five, or of days, its parameters are others than published.

    Args:
        network: one of `models.stock.networks.NETWORKS`. units: width of the recurrent layers, 200 as published.
        activation: of the recurrent cells' candidate and output, `relu` as published, or `tanh`.
        scaling: of levels, `standard` or `minmax`, fitted on the training rows.
        training: None: mean squared error by Adam at the network's own epochs and batch, every row trained on.
        seed: of the initial weights and the order of batches.

    Raises:
        UnknownNameError: another network, activation or scaling.
        SchemaError: at fit, a context shorter than the network's rows.

    Source: Mehtab and Sen, "Stock Price Prediction Using CNN and LSTM-Based Deep Learning Models", arXiv 2010.13891
    (2020); layers from the authors' chapter of 2021, doi 10.5772/intechopen.99982. Options: conf/model/cnn_univ_5.yaml
    and nine others.

    >>> from forecast.checks import synthetic_panel, synthetic_task
    >>> model = Stock(training=training_of("cnn_univ_5", epochs=1)).fit(synthetic_panel(), synthetic_task())
    >>> model.predict(synthetic_panel()).quantiles.shape
    (3, 3, 2, 3)
    """

    def __init__(
        self,
        network: str = "cnn_univ_5",
        units: int = 200,
        activation: str = "relu",
        scaling: str = "standard",
        training: Training | None = None,
        seed: int = 0,
    ) -> None:
        if network not in NETWORKS:
            raise UnknownNameError("stock network", network, NETWORKS)
        if activation not in ACTIVATIONS:
            raise UnknownNameError("activation", activation, ACTIVATIONS)
        self.network, self.units, self.activation, self.scaling = network, units, activation, scaling
        self.training, self.seed = training_of(network) if training is None else training, seed
        self.traits = replace(PointNetwork.traits, multivariate=self.framing.channels == "mixed")

    @property
    def framing(self) -> Framing:  # type: ignore[override]
        """How the network sees the question: levels, no calendar, no linear path."""
        channels = "mixed" if columns_of(self.network) > 1 else "independent"
        return Framing("local", "level", self.scaling, channels, linear=False, harmonics=0)

    def _body(self, shape: Shape) -> nn.Module:
        rows = rows_of(self.network)
        if shape.rows < rows:
            raise SchemaError(
                f"{self.network} reads the newest {rows} rows, the task's context is {shape.rows}: set task.context to "
                f"{rows} or more ({rows // 5 * 7} days inside Weekdays), or take a network of fewer rows"
            )
        net = build(
            self.network, units=self.units, activation=self.activation, days=shape.outputs, columns=shape.columns
        )
        return Body(net)


class Body(nn.Module):
    """A network on its window alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, windows: Tensor, extras: Tensor) -> Tensor:
        return self.net(windows)  # (M, B, O)


def training_of(network: str, **changes: Any) -> Training:
    """The published training of a network; `changes` as in `Training`.

    >>> training_of("cnn_univ_5").epochs, training_of("cnn_univ_5").batch
    (20, 4)
    """
    chosen = NETWORKS[network]
    usual = Training(chosen.epochs, batch=chosen.batch, optimiser="keras_adam", schedule="constant", clip=math.inf)
    return replace(usual, **changes)
