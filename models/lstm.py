"""LSTM: a recurrent net over the rows of the window, beside a linear path."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecast.errors import UnknownNameError
from models import stack
from models.lightning import Training
from models.nets.framing import Framing
from models.nets.heads import Shape, Tower, rowwise
from models.nets.network import Network

HEADS = ("last", "tower")
FRAMING, TRAINING = Framing(), Training()


class LSTM(Network):
    """Recurrent network; by default small, regional, beside a linear path that starts at ridge.

    Args:
        hidden: width of the LSTM. layers: stacked LSTMs. dropout: before the head and between layers.
        head: `last`, one layer on the newest hidden state, the rows given as levels and as differences to the newest;
            `tower`, all hidden states through widths h, h/2, h/4, as in the authors' library.
        framing: how the question is seen. training: how the net is trained; the default fits 3,360 rows x 3 series in
            about 0.7 CPU seconds, nine for one series and target each in about 3.5.
        seed: of the initial weights, the order of batches and dropout.

    Raises:
        UnknownNameError: another head. SchemaError: from `fit`, when the loss becomes NaN or infinite.

    Source: Hochreiter and Schmidhuber, "Long short-term memory" (1997); sizes of the nowcasting experiment,
    Törnquist et al., arXiv 2309.15207: conf/model/lstm_paper.yaml.

    >>> from datetime import timedelta
    >>> import numpy as np
    >>> from forecast.panel import Panel
    >>> from forecast.schema import Task, Variable
    >>> hours = np.arange("2024-01-01", "2024-01-15", dtype="datetime64[h]").astype("datetime64[us]")
    >>> wave = np.sin(2 * np.pi * np.arange(len(hours)) / 24)
    >>> panel = Panel(wave[None, :, None], hours, ("a",), ("level",), timedelta(hours=1))
    >>> forecast = LSTM(hidden=8).fit(panel, Task([Variable("level")], horizon=2)).predict(panel)
    >>> abs(float(forecast.point[0, 0, 0])) < 0.05  # the next value is sin(2 pi 336 / 24) = 0
    True
    """

    def __init__(
        self,
        hidden: int = 32,
        layers: int = 1,
        dropout: float = 0.2,
        head: str = "last",
        framing: Framing = FRAMING,
        training: Training = TRAINING,
        seed: int = 0,
    ) -> None:
        if head not in HEADS:
            raise UnknownNameError("head", head, HEADS)
        self.hidden, self.layers, self.dropout, self.head = hidden, layers, dropout, head
        self._see(framing, training, seed)

    def _body(self, shape: Shape) -> nn.Module:
        kind = Last if self.head == "last" else All
        return kind(shape, self.hidden, self.layers, self.dropout)


class Last(nn.Module):
    """Newest hidden state, one layer."""

    def __init__(self, shape: Shape, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.lstm = stack.LSTM(2 * shape.columns + shape.extras, hidden, layers, dropout)
        self.dropout = stack.Dropout(dropout)
        self.out = stack.Linear(hidden, shape.raw)

    def forward(self, windows: Tensor, extras: Tensor) -> Tensor:
        x = torch.cat([rowwise(windows, extras), windows - windows[:, :, -1:]], -1)  # (M, B, L, 2 D + E)
        return self.out(self.dropout(self.lstm(x)[:, :, -1]))


class All(nn.Module):
    """All hidden states side by side, through a tower."""

    def __init__(self, shape: Shape, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.lstm = stack.LSTM(shape.columns + shape.extras, hidden, layers, dropout)
        self.dropout = stack.Dropout(dropout)
        self.tower = Tower(shape.rows * hidden, hidden, shape.raw)

    @property
    def out(self) -> stack.Linear:
        return self.tower.out

    def forward(self, windows: Tensor, extras: Tensor) -> Tensor:
        states = self.lstm(rowwise(windows, extras))  # (M, B, L, hidden)
        return self.tower(self.dropout(states.flatten(2)))
