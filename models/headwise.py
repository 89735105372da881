"""Head-wise LSTM and sLSTM: recurrent cells whose heads keep their states to themselves.

A head's four gates see the inputs and the head's own state, g[t] = R s[t-1] + W x[t] + b: the recurrent matrix of
all heads is block-diagonal, and costs heads times less. `headwise_lstm` and `slstm` are the equations step by step;
the modules compute the same by the kernels of `models.stack`, which also has the layers of the nowcasters.

Source: Poeppel, Beck and Hochreiter, "FlashRNN: Optimizing traditional RNNs on modern hardware", arXiv 2412.07752;
Beck et al., "xLSTM: Extended long short-term memory", arXiv 2405.04517, section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from models.stack import headwise
from models.stack.flash import checked

State = tuple[Tensor, ...]  # each (B, heads, P); the first is the hidden state


def headwise_lstm(x: Tensor, weights: Sequence[Tensor], start: State | None = None) -> tuple[Tensor, State]:
    """Hidden states (B, L, heads * P) of x (B, L, D), and the state (hidden, cell) after the last row.

    Args:
        weights: input's (heads, 4P, D), hidden's (heads, 4P, P), bias (heads, 4P); a head's gates in the order of
            torch's LSTM: input, forget, cell, output.
        start: the state before the first row; None for zeros.

    >>> ones = [torch.ones(2, 4, 3), torch.ones(2, 4, 1), torch.ones(2, 4)]
    >>> headwise_lstm(torch.zeros(1, 1, 3), ones)[0]  # sigmoid(1) tanh(sigmoid(1) tanh(1))
    tensor([[[0.3696, 0.3696]]])
    """
    return _over_rows(x, weights, lstm_step, start or _filled(x, weights, 0.0, 0.0))


def slstm(
    x: Tensor, weights: Sequence[Tensor], start: State | None = None, forget: str = "sigmoid"
) -> tuple[Tensor, State]:
    """As `headwise_lstm`; the state is (hidden, cell, normaliser n, stabiliser m), empty by default: m is -infinity.

    Args:
        forget: the forget gate, sigmoid or exponential.

    Raises:
        UnknownNameError: another forget gate.

    >>> ones = [torch.ones(2, 4, 3), torch.ones(2, 4, 1), torch.ones(2, 4)]
    >>> slstm(torch.zeros(1, 1, 3), ones)[0]  # sigmoid(1) tanh(1): the mean of one z is z
    tensor([[[0.5568, 0.5568]]])
    """
    exponential = headwise.forget_gate(forget) == "exponential"
    begin = start or _filled(x, weights, 0.0, 0.0, 0.0, -math.inf)
    return _over_rows(x, weights, lambda gates, state: slstm_step(gates, state, exponential), begin)


def lstm_step(gates: Tensor, state: State) -> State:
    """The next (hidden, cell) by the gates' sums g (B, heads, 4, P)."""
    i, f, z, o = gates.unbind(2)  # (B, heads, P)
    cell = f.sigmoid() * state[1] + i.sigmoid() * z.tanh()
    return o.sigmoid() * cell.tanh(), cell


def slstm_step(gates: Tensor, state: State, exponential: bool = False) -> State:
    """The next (hidden, cell, n, m) by the gates' sums g (B, heads, 4, P): arXiv 2405.04517, equations 8 to 17.

    The normaliser is at least 1 from the first row on: of the two gates the greater is exp(0).
    """
    i, f, z, o = gates.unbind(2)  # (B, heads, P)
    _, cell, normaliser, before = state
    kept = before + (f if exponential else logsigmoid(f))  # log f + m[t-1]
    stabiliser = torch.maximum(kept, i)
    let_in, keep = torch.exp(i - stabiliser), torch.exp(kept - stabiliser)
    cell = keep * cell + let_in * z.tanh()
    normaliser = keep * normaliser + let_in
    return o.sigmoid() * cell / normaliser, cell, normaliser, stabiliser


class HeadwiseLSTM(nn.Module):
    """The LSTM with a block-diagonal recurrent matrix, from zero states: (B, L, inputs) -> (B, L, hidden).

    Args:
        inputs: columns. hidden: width of all heads together. heads: how many; one makes it torch's LSTM.
        backend: torch; flashrnn, the package's kernels; auto, those where there is a GPU and the package.

    Raises:
        SchemaError: sizes below 1, a width that the heads do not divide; from `forward`, a backend that is not there,
            values of another shape. UnknownNameError: another backend.

    >>> HeadwiseLSTM(3, 8, heads=2)(torch.zeros(5, 6, 3)).shape
    torch.Size([5, 6, 8])
    """

    def __init__(self, inputs: int, hidden: int, heads: int = 1, backend: str = "auto") -> None:
        super().__init__()
        self.backend = checked(backend)
        for name, values in zip(headwise.NAMES, headwise.begun(inputs, hidden, heads), strict=True):
            self.register_parameter(name, nn.Parameter(values))

    def forward(self, x: Tensor) -> Tensor:
        return _together(headwise.headwise_lstm(x[None], _of_one(self), backend=self.backend))


class SLSTM(nn.Module):
    """The sLSTM, from an empty state: (B, L, inputs) -> (B, L, hidden).

    Args:
        forget: the forget gate, sigmoid or exponential. The rest as of `HeadwiseLSTM`.

    Raises:
        UnknownNameError: another forget gate or backend. SchemaError: as of `HeadwiseLSTM`.

    >>> SLSTM(3, 8, heads=2)(torch.zeros(5, 6, 3)).shape
    torch.Size([5, 6, 8])
    """

    def __init__(
        self, inputs: int, hidden: int, heads: int = 1, forget: str = "sigmoid", backend: str = "auto"
    ) -> None:
        super().__init__()
        self.forget, self.backend = headwise.forget_gate(forget, backend), checked(backend)
        for name, values in zip(headwise.NAMES, headwise.begun(inputs, hidden, heads), strict=True):
            self.register_parameter(name, nn.Parameter(values))

    def forward(self, x: Tensor) -> Tensor:
        weights = _of_one(self)
        return _together(headwise.headwise_slstm(x[None], weights, forget=self.forget, backend=self.backend))


def _over_rows(
    x: Tensor, weights: Sequence[Tensor], step: Callable[[Tensor, State], State], state: State
) -> tuple[Tensor, State]:
    weight_ih, weight_hh, bias = weights
    given = torch.einsum("bld,hgd->blhg", x, weight_ih) + bias  # (B, L, heads, 4P)
    hidden = []
    for row in given.unbind(1):
        gates = row + torch.einsum("bhp,hgp->bhg", state[0], weight_hh)  # (B, heads, 4P)
        state = step(gates.unflatten(-1, (4, -1)), state)
        hidden.append(state[0])
    return torch.stack(hidden, 1).flatten(2), state


def _filled(x: Tensor, weights: Sequence[Tensor], *values: float) -> State:
    heads, _, width = weights[1].shape
    return tuple(x.new_full((len(x), heads, width), value) for value in values)


def _of_one(module: nn.Module) -> list[Tensor]:
    """A module's weights with a member axis of one."""
    return [module.get_parameter(name).unsqueeze(0) for name in headwise.NAMES]


def _together(states: Tensor) -> Tensor:
    """(1, heads, B, L, P) as (B, L, hidden)."""
    return states.squeeze(0).permute(1, 2, 0, 3).flatten(2)
