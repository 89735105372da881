"""The LSTM of the stock networks: one bias, candidate and output rectified, a sequence kernel for M members by hand.

With an input of one column, or the same at every step, the recurrent products are all the arithmetic there is: the
input is projected outside, once where it is repeated. States lie batch-major, (M, L, B, H), so that the weights'
gradient is one long product after the last step instead of a short one in each. The first step's state is zero, and
its products are left out. For tanh, the kernel of models/stack/sequence.py.

A rectified cell is never negative (c = f c + i relu(g) from c = 0), so that its output is h = o c, without a branch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from forecast.errors import UnknownNameError
from models.stack.sequence import lstm_sequence

ACTIVATIONS = ("relu", "tanh")
NARROW = 16  # columns of an input below which its weights' gradient is cheaper transposed
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
threshold_backward = torch.ops.aten.threshold_backward.grad_input


class RectifiedLSTM(nn.Module):
    """One LSTM layer of each member's own, from zero states: (M, B, L, inputs) -> (M, B, L, hidden).

    Args:
        inputs: columns. hidden: width. activation: of candidate and output, `relu` or `tanh`; gates are sigmoids.

    Weights `weight_ih` (M, 4H, inputs), `weight_hh` (M, 4H, H) and `bias` (M, 4H), gates in the order i, f, g, o.
    Initialised as Keras' LSTM: Glorot's uniform, orthogonal, zero with 1 for the forget gate. Computed in the
    weights' precision, also under autocast.

    Raises:
        UnknownNameError: another activation.

    Source: Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), the tanh replaced.

    >>> RectifiedLSTM(1, 8)(torch.zeros(1, 5, 10, 1)).shape, RectifiedLSTM(3, 8).repeated(torch.zeros(1, 5, 3), 4).shape
    (torch.Size([1, 5, 10, 8]), torch.Size([1, 5, 4, 8]))
    """

    def __init__(self, inputs: int, hidden: int, activation: str = "relu") -> None:
        if activation not in ACTIVATIONS:
            raise UnknownNameError("activation", activation, ACTIVATIONS)
        super().__init__()
        self.activation = activation
        weight_ih, weight_hh = torch.empty(4 * hidden, inputs), torch.empty(4 * hidden, hidden)
        self.weight_ih = nn.Parameter(nn.init.xavier_uniform_(weight_ih)[None])
        self.weight_hh = nn.Parameter(nn.init.orthogonal_(weight_hh)[None])
        self.bias = nn.Parameter(unit_forget(hidden)[None])

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x, x.shape[2], last=False)

    def last(self, x: Tensor) -> Tensor:
        """The hidden state after the last row only, (M, B, hidden): cheaper than `forward(x)[:, :, -1]`."""
        return self._run(x, x.shape[2], last=True).squeeze(2)

    def repeated(self, x: Tensor, steps: int) -> Tensor:
        """The states of `steps` steps with the same input x (M, B, inputs), projected once: (M, B, steps, hidden)."""
        return self._run(x.unsqueeze(2), steps, last=False)

    def _run(self, x: Tensor, steps: int, last: bool) -> Tensor:
        x = x.to(self.bias.dtype)
        weights = [self.weight_ih, self.weight_hh, self.bias]
        if self.activation == "tanh":
            return lstm_sequence(x.expand(-1, -1, steps, -1), [*weights, torch.zeros_like(self.bias)], last)
        with torch.autocast(x.device.type, enabled=False):
            states: Tensor = _Sequence.apply(x.transpose(1, 2).contiguous(), *weights, steps, last)  # (M, L or 1, B, H)
        return states.transpose(1, 2)


def unit_forget(hidden: int) -> Tensor:
    """A bias (4H,) of gates i, f, g, o: 1 for the forget gate, else 0. Source: Jozefowicz et al., ICML 2015."""
    return torch.cat([torch.full((hidden,), value) for value in (0.0, 1.0, 0.0, 0.0)])


class _Sequence(torch.autograd.Function):
    """Inputs (M, L, B, D), or (M, 1, B, D) the same at each of the steps, to states (M, L, B, H) or the last's."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, steps: int, last: bool
    ) -> Tensor:
        hidden, by_state = weight_hh.shape[2], weight_hh.transpose(1, 2)
        projected = _projected(x, weight_ih, bias).expand(-1, steps, -1, -1)  # (M, L, B, 4H)
        gates = projected.clone(memory_format=torch.contiguous_format) if x.shape[1] < steps else projected
        cells, states = gates.new_empty(2, *gates.shape[:3], hidden).unbind()  # (M, L, B, H)
        for t in range(steps):
            gate, cell = gates[:, t], cells[:, t]
            if t:
                gate.baddbmm_(states[:, t - 1], by_state)
            i, f, g, o = gate.split(hidden, -1)
            gate[..., : 2 * hidden].sigmoid_()
            o.sigmoid_()
            torch.mul(i, g.relu_(), out=cell)
            if t:
                cell.addcmul_(f, cells[:, t - 1])
            torch.mul(o, cell, out=states[:, t])
        ctx.save_for_backward(x, weight_ih, weight_hh, gates, cells, states)
        return states[:, -1:].clone() if last else states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_ih, weight_hh, gates, cells, states = ctx.saved_tensors
        d_gates = _through(grad, weight_hh, gates, cells)  # (M, L, B, 4H)
        d_hh = _product(d_gates[:, 1:], states[:, :-1])
        d_given = d_gates.sum(1, keepdim=True) if x.shape[1] < states.shape[1] else d_gates  # (M, L or 1, B, 4H)
        narrow = x.shape[-1] < NARROW
        d_ih = _product(x, d_given).transpose(1, 2) if narrow else _product(d_given, x)
        d_x = torch.bmm(d_given.flatten(1, 2), weight_ih).view_as(x) if ctx.needs_input_grad[0] else None
        return d_x, d_ih, d_hh, d_given.sum((1, 2)), None, None


def _projected(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Inputs (M, L, B, D) to what they give to the gates, (M, L, B, 4H)."""
    if x.shape[-1] == 1:
        return torch.addcmul(bias[:, None, None], x, weight.transpose(1, 2).unsqueeze(1))
    return torch.baddbmm(bias.unsqueeze(1), x.flatten(1, 2), weight.transpose(1, 2)).view(*x.shape[:-1], -1)


def _through(grad: Tensor, weight: Tensor, gates: Tensor, cells: Tensor) -> Tensor:
    """The gradient (M, L, B, 4H) of the gates before their activations, of that of the states (M, L or 1, B, H)."""
    steps, hidden = cells.shape[1], cells.shape[3]
    factors = torch.empty_like(gates)  # (M, L, B, 4H): of the cell's gradient for i, f, g, of the state's for o
    i, f, g, o = gates.split(hidden, -1)
    by_i, by_f, by_g, by_o = factors.split(hidden, -1)
    sigmoid_backward(g, i, grad_input=by_i)
    sigmoid_backward(cells[:, :-1], f[:, 1:], grad_input=by_f[:, 1:])
    by_f[:, 0] = 0
    threshold_backward(i, g, 0, grad_input=by_g)
    sigmoid_backward(cells, o, grad_input=by_o)
    d_hidden, d_cell = grad[:, -1], torch.zeros_like(cells[:, 0])  # (M, B, H)
    for t in reversed(range(steps)):
        d_cell.addcmul_(d_hidden, o[:, t])
        by_o[:, t].mul_(d_hidden)
        factors[:, t, :, : 3 * hidden].unflatten(-1, (3, hidden)).mul_(d_cell.unsqueeze(2))
        d_cell.mul_(f[:, t])
        if t:
            d_hidden = torch.bmm(factors[:, t], weight)
            if grad.shape[1] > 1:
                d_hidden += grad[:, t - 1]
    return factors


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Sums over steps and rows of the outer products of (M, L, B, K) and (M, L, B, N): (M, K, N)."""
    return torch.bmm(left.flatten(1, 2).transpose(1, 2), right.flatten(1, 2))
