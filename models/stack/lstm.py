"""LSTM with a member axis: torch's fused kernel for one member, a hand-written sequence kernel for a stack."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.stack.dropout import Dropout
from models.stack.sequence import lstm_sequence


class LSTM(nn.Module):
    """Stacked LSTM layers of each member's own, from zero states: (M, B, L, inputs) -> (M, B, L, hidden).

    Args:
        inputs: columns. hidden: width. layers: one above the other. dropout: between the layers.

    Parameters are named, shaped (after the member axis) and initialised as torch's LSTM's.

    Source: Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).

    >>> LSTM(3, 8, layers=2)(torch.zeros(1, 5, 6, 3)).shape
    torch.Size([1, 5, 6, 8])
    """

    def __init__(self, inputs: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.hidden, self.layers, self.dropout = hidden, layers, Dropout(dropout)
        bound = 1 / math.sqrt(hidden)
        for layer in range(layers):
            shapes = (
                (4 * hidden, inputs if layer == 0 else hidden),
                (4 * hidden, hidden),
                (4 * hidden,),
                (4 * hidden,),
            )
            for name, shape in zip(_names(layer), shapes, strict=True):
                self.register_parameter(name, nn.Parameter(torch.empty(1, *shape).uniform_(-bound, bound)))

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x, last=False)

    def last(self, x: Tensor) -> Tensor:
        """The hidden state after the last row only, (M, B, hidden): cheaper than `forward(x)[:, :, -1]`."""
        return self._run(x, last=True).squeeze(2)

    def _run(self, x: Tensor, last: bool) -> Tensor:
        for layer in range(self.layers):
            if layer:
                x = self.dropout(x)
            weights = [getattr(self, name) for name in _names(layer)]
            newest = last and layer == self.layers - 1
            x = _one(x, weights, newest) if len(weights[0]) == 1 else lstm_sequence(x, weights, newest)
        return x  # (M, B, L or 1, hidden)


def _one(x: Tensor, weights: Sequence[Tensor], last: bool) -> Tensor:
    """(1, B, L, D) -> (1, B, L or 1, hidden) by torch's kernel; as the stack's, in the weights' precision."""
    flat = [weight.squeeze(0) for weight in weights]
    x = x.squeeze(0).to(flat[0].dtype)
    zeros = x.new_zeros(1, len(x), flat[1].shape[1])  # (1, B, hidden)
    with torch.autocast(x.device.type, enabled=False):  # there is no bfloat16 kernel for every CPU
        every, newest, _ = torch.lstm(x, (zeros, zeros), flat, True, 1, 0.0, False, False, True)
    return newest.unsqueeze(2) if last else every.unsqueeze(0)


def _names(layer: int) -> list[str]:
    return [f"{kind}_l{layer}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
