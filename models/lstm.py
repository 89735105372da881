"""LSTM: a recurrent net over the rows of the window, beside a linear path."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forecast.errors import SchemaError, UnknownNameError
from models import stack
from models.lightning import Training
from models.nets.framing import Framing
from models.nets.heads import Shape, Tower, rowwise
from models.nets.network import Network
from models.stack.flash import checked
from models.stack.headwise import Headwise, forget_gate

HEADS = ("last", "tower")
KINDS = ("lstm", "headwise", "slstm")


@dataclass(frozen=True)
class Cell:
    """The recurrent part.

    Args:
        kind: lstm; headwise, the LSTM with a block-diagonal recurrent matrix; slstm, the sLSTM (models/headwise.py).
        heads: blocks of that matrix; 1 for the kind lstm. forget: the sLSTM's forget gate, sigmoid or exponential.
        backend: of the last two: torch; flashrnn, the kernels of that package; auto, those where there is a GPU
            and the package.

    Raises:
        UnknownNameError: another kind, forget gate or backend. SchemaError: heads below 1; heads, forget gate or
            backend of a kind that has none.

    >>> Cell("slstm", heads=2).layers(3, 8, layers=1, dropout=0.0)(torch.zeros(1, 5, 6, 3)).shape
    torch.Size([1, 5, 6, 8])
    """

    kind: str = "lstm"
    heads: int = 1
    forget: str = "sigmoid"
    backend: str = "auto"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError("kind of cell", self.kind, KINDS)
        if not isinstance(self.heads, int) or self.heads < 1 or (self.kind == "lstm" and self.heads > 1):
            raise SchemaError(
                f"cell.heads is {self.heads}: the kind lstm has 1 head, headwise and slstm have 1 or more that divide "
                "the hidden width"
            )
        checked(self.backend)
        forget_gate(self.forget, self.backend)
        if self.kind != "slstm" and self.forget != "sigmoid":
            raise SchemaError(f"cell.forget is {self.forget}: only the kind slstm has that choice, this is {self.kind}")
        if self.kind == "lstm" and self.backend == "flashrnn":
            raise SchemaError("cell.backend is flashrnn: the kind lstm is computed by torch, headwise has it")

    def layers(self, inputs: int, hidden: int, layers: int, dropout: float) -> stack.LSTM | Headwise:
        """Layers of it, one above the other: (M, B, L, inputs) -> (M, B, L, hidden)."""
        if self.kind == "lstm":
            return stack.LSTM(inputs, hidden, layers, dropout)
        if self.kind == "headwise":
            return stack.HeadwiseLSTM(inputs, hidden, self.heads, layers, dropout, self.backend)
        return stack.SLSTM(inputs, hidden, self.heads, layers, dropout, self.forget, self.backend)


FRAMING, TRAINING, CELL = Framing(), Training(), Cell()


class LSTM(Network):
    """Recurrent network; by default small, regional, beside a linear path that starts at ridge.

    Args:
        hidden: width of the LSTM. layers: stacked LSTMs. dropout: before the head and between layers.
        head: `last`, one layer on the newest hidden state, the rows given as levels and as differences to the newest;
            `tower`, all hidden states through widths h, h/2, h/4, as in the authors' library.
        framing: how the question is seen. training: how the net is trained; the default fits 3,360 rows x 3 series in
            about 0.7 CPU seconds, nine for one series and target each in about 3.5.
        seed: of the initial weights, the order of batches and dropout.
        cell: the recurrent part; an LSTM, or one with heads.

    Raises:
        UnknownNameError: another head. SchemaError: no cell, a width that its heads do not divide; from `fit`, when the
            loss becomes NaN or infinite.

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
        cell: Cell = CELL,
    ) -> None:
        if head not in HEADS:
            raise UnknownNameError("head", head, HEADS)
        if not isinstance(cell, Cell):
            raise SchemaError(f"cell is {cell!r}: give Cell(kind, ...) of models.lstm, such as Cell('slstm', heads=4)")
        if hidden % cell.heads:
            raise SchemaError(f"hidden width {hidden} cannot be divided into {cell.heads} heads: take a multiple")
        self.hidden, self.layers, self.dropout, self.head, self.cell = hidden, layers, dropout, head, cell
        self._see(framing, training, seed)

    def _body(self, shape: Shape) -> nn.Module:
        kind = Last if self.head == "last" else All
        return kind(shape, self.hidden, self.layers, self.dropout, self.cell)


class Last(nn.Module):
    """Newest hidden state, one layer."""

    def __init__(self, shape: Shape, hidden: int, layers: int, dropout: float, cell: Cell = CELL) -> None:
        super().__init__()
        self.lstm = cell.layers(2 * shape.columns + shape.extras, hidden, layers, dropout)
        self.dropout = stack.Dropout(dropout)
        self.out = stack.Linear(hidden, shape.raw)

    def forward(self, windows: Tensor, extras: Tensor) -> Tensor:
        x = torch.cat([rowwise(windows, extras), windows - windows[:, :, -1:]], -1)  # (M, B, L, 2 D + E)
        return self.out(self.dropout(self.lstm(x)[:, :, -1]))


class All(nn.Module):
    """All hidden states side by side, through a tower."""

    def __init__(self, shape: Shape, hidden: int, layers: int, dropout: float, cell: Cell = CELL) -> None:
        super().__init__()
        self.lstm = cell.layers(shape.columns + shape.extras, hidden, layers, dropout)
        self.dropout = stack.Dropout(dropout)
        self.tower = Tower(shape.rows * hidden, hidden, shape.raw)

    @property
    def out(self) -> stack.Linear:
        return self.tower.out

    def forward(self, windows: Tensor, extras: Tensor) -> Tensor:
        states = self.lstm(rowwise(windows, extras))  # (M, B, L, hidden)
        return self.tower(self.dropout(states.flatten(2)))
