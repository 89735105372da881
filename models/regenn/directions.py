"""A recurrent layer read forwards, or forwards and backwards with both answers added."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from forecast.errors import UnknownNameError
from models.stack.sequence import lstm_sequence

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
KINDS = (*GATES, "headwise", "slstm")


class Directions(nn.Module):
    """Recurrence over the steps of (R, L, inputs), from zero states: (R, L, hidden).

    Args:
        kind: rnn (tanh), gru, lstm, headwise (an LSTM whose hidden weights are block-diagonal) or slstm.
        both: backwards too, by weights of its own; both answers are added. bias: with additive terms, two for each
            gate as in torch; headwise and slstm have theirs always. heads: blocks of headwise and slstm.

    Raises:
        UnknownNameError: another kind.

    >>> Directions("gru", 7, 14, both=True)(torch.zeros(5, 3, 7)).shape
    torch.Size([5, 3, 14])
    """

    def __init__(
        self, kind: str, inputs: int, hidden: int, both: bool = True, bias: bool = True, heads: int = 1
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise UnknownNameError("recurrence", kind, KINDS)
        make = _headwise(kind, heads) if kind not in GATES else (lambda i, h: Cell(kind, i, h, bias))
        self.kind = kind
        self.parts = nn.ModuleList(make(inputs, hidden) for _ in range(2 if both else 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "lstm" and len(self.parts) == 2:
            return _lstm_both(x, *self.parts)
        ahead = self.parts[0](x)  # (R, L, hidden)
        return ahead if len(self.parts) == 1 else ahead + self.parts[1](x.flip(1)).flip(1)


class Cell(nn.Module):
    """One direction of a recurrent layer by torch's own kernel, parameters named and begun as torch's."""

    def __init__(self, kind: str, inputs: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.kind, self.hidden = kind, hidden
        bound, rows = 1 / math.sqrt(hidden), GATES[kind] * hidden
        shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden)}
        if bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}  # type: ignore[dict-item]
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))

    def forward(self, x: Tensor) -> Tensor:
        """(R, L, inputs) to (R, L, hidden)."""
        weights = list(self.parameters())
        zeros = x.new_zeros(1, len(x), self.hidden)  # (1, R, hidden)
        run: Any = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}[self.kind]
        start = (zeros, zeros) if self.kind == "lstm" else zeros
        return run(x, start, weights, len(weights) == 4, 1, 0.0, False, False, True)[0]


def _lstm_both(x: Tensor, ahead: nn.Module, back: nn.Module) -> Tensor:
    """Both directions as two members of one stack: one kernel for them, and half its calls."""
    names = [name for name, _ in ahead.named_parameters()]
    weights = [torch.stack([getattr(part, name) for part in (ahead, back)]) for name in names]  # (2, ...)
    if len(weights) == 2:
        weights += [weights[0].new_zeros(weights[0].shape[:2])] * 2  # (2, 4 * hidden)
    forth, reverse = lstm_sequence(torch.stack([x, x.flip(1)]), weights)  # (R, L, hidden) each
    return forth + reverse.flip(1)


def _headwise(kind: str, heads: int) -> Callable[[int, int], nn.Module]:
    from models import headwise

    layer = headwise.HeadwiseLSTM if kind == "headwise" else headwise.SLSTM
    return lambda inputs, hidden: layer(inputs, hidden, heads)
