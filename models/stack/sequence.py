"""One LSTM layer over a whole sequence for M members, forward and backward written by hand.

Autograd over single steps would record a dozen operations for each. Here the states stay feature-major, (M, K, B):
the gates of a step are one contiguous block, so that one batched product, with hidden state, inputs and bias side
by side, and a few in-place operations make a step.

Every tanh(x) is taken as 2 sigmoid(2x) - 1, right to 1e-7: torch's tanh costs three times its sigmoid on a CPU (3.2
against 0.9 ns a number, AVX2). Factors and signs that this brings are moved into the weights, where they are cheap:

    s = sigmoid(C),  C = 2c,  n = -h = o - 2 o s,  C[t] = f C[t-1] + i (4 g' - 2)  with  g = 2 g' - 1
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input


def lstm_sequence(x: Tensor, weights: Sequence[Tensor], last: bool = False) -> Tensor:
    """Hidden states (M, B, L, H) of x (M, B, L, D), from zero states; the output is a view of (L, M, H, B).

    Args:
        weights: input's (M, 4H, D) and hidden's (M, 4H, H), and their biases (M, 4H); gates as torch's, i, f, g, o.
        last: only the last step's, (M, B, 1, H).

    Computed in the weights' precision, also under autocast.
    """
    with torch.autocast(x.device.type, enabled=False):
        hidden: Tensor = _Sequence.apply(x.to(weights[0].dtype), *weights, last)
    return hidden.permute(1, 3, 0, 2)


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor, last: bool
    ) -> Tensor:
        members, batch, steps, _ = x.shape
        hidden = weight_hh.shape[-1]
        joined = torch.cat([-weight_hh, weight_ih, (bias_ih + bias_hh).unsqueeze(-1)], -1)  # (M, 4H, K)
        joined[:, 2 * hidden : 3 * hidden] *= 2
        states = side_by_side(x, hidden)  # (L + 1, M, K, B): n, x, 1
        gates = x.new_empty(steps, members, 4 * hidden, batch)  # (L, M, 4H, B)
        cells = x.new_empty(steps + 1, members, hidden, batch)  # (L + 1, M, H, B): C
        cells[0] = 0
        curved = x.new_empty(steps, members, hidden, batch)  # s
        minus = states[:, :, :hidden].unbind(0)  # n
        for t, (gate, (i, f, g, o), now, after, s) in enumerate(_steps(gates, cells, curved)):
            torch.bmm(joined, states[t], out=gate)
            gate.sigmoid_()
            torch.mul(f, now, out=after).sub_(i, alpha=2).addcmul_(i, g, value=4)
            torch.sigmoid(after, out=s)
            torch.addcmul(o, o, s, value=-2, out=minus[t + 1])
        ctx.save_for_backward(weight_ih, weight_hh, states, gates, cells, curved)
        return -states[-1:, :, :hidden] if last else -states[1:, :, :hidden]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight_ih, weight_hh, states, gates, cells, curved = ctx.saved_tensors
        steps, members, four, batch = gates.shape
        hidden, width = four // 4, states.shape[2]
        weights = torch.cat([weight_hh, weight_ih], -1) if ctx.needs_input_grad[0] else weight_hh
        factors = weight_hh.new_tensor([-2, 1, 8, -1]).repeat_interleave(hidden)[:, None]  # (4H, 1): of the gates
        back = (weights * factors).transpose(1, 2)  # (M, H or H + D, 4H)
        d_gates, work = torch.empty_like(gates[0]), torch.empty_like(cells[0])  # (M, 4H, B), (M, H, B)
        d_i, d_f, d_g, d_o = d_gates.split(hidden, 1)
        d_states = gates.new_empty(steps, members, back.shape[1], batch)
        d_joined, d_cell = gates.new_zeros(members, four, width), torch.zeros_like(work)
        parts, inputs = list(_steps(gates, cells, curved)), states.transpose(2, 3)
        for t in reversed(range(steps)):
            gate, (i, f, g, o), now, _, s = parts[t]
            if t == steps - 1:
                d_hidden = grad[-1]
            else:
                d_hidden = d_states[t + 1, :, :hidden]
                if len(grad) > 1:
                    d_hidden += grad[t]
            torch.addcmul(d_hidden, d_hidden, s, value=-2, out=d_o)
            sigmoid_backward(torch.mul(d_hidden, o, out=work), s, grad_input=work)
            d_cell.add_(work, alpha=2)
            torch.addcmul(d_cell, d_cell, g, value=-2, out=d_i)
            torch.mul(d_cell, now, out=d_f)
            torch.mul(d_cell, i, out=d_g)
            d_cell *= f
            sigmoid_backward(d_gates, gate, grad_input=d_gates)
            d_joined.baddbmm_(d_gates, inputs[t])
            torch.bmm(back, d_gates, out=d_states[t])
        d_joined *= factors
        d_hh, d_ih, d_bias = d_joined[..., :hidden].neg(), d_joined[..., hidden:-1], d_joined[..., -1]
        d_x = d_states[:, :, hidden:].permute(1, 3, 0, 2) if ctx.needs_input_grad[0] else None
        return d_x, d_ih.contiguous(), d_hh, d_bias.contiguous(), d_bias.contiguous(), None


def side_by_side(x: Tensor, hidden: int) -> Tensor:
    """What each step multiplies, (L + 1, M, hidden + D + 1, B): room for states, the first zero; x; 1 for biases.

    Args:
        x: (M, B, L, D).
    """
    members, batch, steps, inputs = x.shape
    states = x.new_empty(steps + 1, members, hidden + inputs + 1, batch)
    states[0, :, :hidden] = 0
    states[:steps, :, hidden:-1] = x.permute(2, 0, 3, 1)
    states[:steps, :, -1] = 1
    return states


def _steps(gates: Tensor, cells: Tensor, curved: Tensor) -> Iterator[tuple[Any, ...]]:
    """Views of each step: gates (M, 4H, B), the four of them, C before and after, s."""
    four = zip(*[part.unbind(0) for part in gates.chunk(4, 2)], strict=True)
    cell = cells.unbind(0)
    return zip(gates.unbind(0), four, cell[:-1], cell[1:], curved.unbind(0), strict=True)
