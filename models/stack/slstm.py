"""One sLSTM layer over a sequence for M members, forward and backward by hand, as sequence.py for the LSTM.

The hidden state needs only the cell over the normaliser, r = c / n, a running mean of z, and the normaliser's
logarithm l, in which no stabiliser is left (with the paper's m: l = m + log n). From the paper's equations follow

    v = l[t-1] + log f - i,  keep = sigmoid(v),  l = i + softplus(v),  r = z + keep (r[t-1] - z),  h = o r

with the input gate's exponent i; l[-1] = -infinity makes the first row keep nothing. tanh is 2 sigmoid(2x) - 1 here
too: a mean of z = 2 z' - 1 is that of z', so that r' = z' + keep (r'[t-1] - z') and -h = o - 2 o r'.

Source: Beck et al., "xLSTM: Extended long short-term memory", arXiv 2405.04517, equations 8 to 17.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.stack.sequence import side_by_side, sigmoid_backward

softplus = torch.ops.aten.softplus.out
LINEAR = 40  # softplus(x) is x from here on, to the last bit of float64


def slstm_sequence(x: Tensor, weights: Sequence[Tensor], last: bool = False, exponential: bool = False) -> Tensor:
    """Hidden states (M, B, L, H) of x (M, B, L, D), from empty states; the output is a view of (L, M, H, B).

    Args:
        weights: input's (M, 4H, D), hidden's (M, 4H, H), bias (M, 4H); gates in the order i, f, z, o.
        last: only the last step's, (M, B, 1, H).
        exponential: the forget gate is exp, not sigmoid.

    Computed in the weights' precision, also under autocast.
    """
    with torch.autocast(x.device.type, enabled=False):
        hidden: Tensor = _Sequence.apply(x.to(weights[0].dtype), *weights, last, exponential)
    return hidden.permute(1, 3, 0, 2)


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, last: bool, exponential: bool
    ) -> Tensor:
        members, batch, steps, _ = x.shape
        hidden = weight_hh.shape[-1]
        joined = torch.cat([-weight_hh, weight_ih, bias.unsqueeze(-1)], -1)  # (M, 4H, K)
        joined[:, 2 * hidden : 3 * hidden] *= 2
        if not exponential:
            joined[:, hidden : 2 * hidden] *= -1  # log f = -softplus(-f)
        states = side_by_side(x, hidden)  # (L + 1, M, K, B): -h, x, 1
        gates = x.new_empty(steps, members, 4 * hidden, batch)  # (L, M, 4H, B), at the end keep, sigmoid(-f), z', o
        means = x.new_zeros(steps + 1, members, hidden, batch)  # (L + 1, M, H, B): r'
        level = x.new_full((members, hidden, batch), -math.inf)  # (M, H, B): l
        v = torch.empty_like(level)
        curved = gates[:, :, (2 if exponential else 1) * hidden :].unbind(0)
        minus = states[:, :, :hidden].unbind(0)
        for t, (gate, (i, f, z, o), mean, after) in enumerate(_steps(gates, means)):
            torch.bmm(joined, states[t], out=gate)
            if exponential:
                torch.add(level, f, out=v).sub_(i)
            else:
                torch.sub(level, softplus(f, 1, LINEAR, out=v), out=v).sub_(i)
            curved[t].sigmoid_()
            softplus(v, 1, LINEAR, out=level).add_(i)
            torch.sigmoid(v, out=i)
            torch.lerp(z, mean, i, out=after)
            torch.addcmul(o, o, after, value=-2, out=minus[t + 1])
        ctx.save_for_backward(weight_ih, weight_hh, states, gates, means)
        ctx.exponential = exponential
        return -states[-1:, :, :hidden] if last else -states[1:, :, :hidden]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight_ih, weight_hh, states, gates, means = ctx.saved_tensors
        steps, members, four, batch = gates.shape
        hidden, width = four // 4, states.shape[2]
        weights = torch.cat([weight_hh, weight_ih], -1) if ctx.needs_input_grad[0] else weight_hh
        factors = weight_hh.new_tensor([1, 1, 2, -1]).repeat_interleave(hidden)[:, None]  # (4H, 1): of the gates
        back = (weights * factors).transpose(1, 2)  # (M, H or H + D, 4H)
        d_gates, d_v = torch.empty_like(gates[0]), torch.empty_like(means[0])  # (M, 4H, B), (M, H, B)
        d_i, d_f, d_z, d_o = d_gates.split(hidden, 1)
        d_curved, curved = d_gates[:, 2 * hidden :], gates[:, :, 2 * hidden :].unbind(0)
        d_states = gates.new_empty(steps, members, back.shape[1], batch)
        d_joined, d_mean, d_level = gates.new_zeros(members, four, width), torch.zeros_like(d_v), torch.zeros_like(d_v)
        parts, inputs = list(_steps(gates, means)), states.transpose(2, 3)
        for t in reversed(range(steps)):
            _, (keep, f, z, o), _, after = parts[t]
            if t == steps - 1:
                d_hidden = grad[-1]
            else:
                d_hidden = d_states[t + 1, :, :hidden]
                if len(grad) > 1:
                    d_hidden += grad[t]
            torch.addcmul(d_hidden, d_hidden, after, value=-2, out=d_o)
            d_mean.addcmul_(d_hidden, o, value=2)
            torch.addcmul(d_mean, d_mean, keep, value=-1, out=d_z)
            d_mean *= keep
            torch.sub(after, z, out=d_v).mul_(d_z).addcmul_(d_level, keep)
            torch.sub(d_level, d_v, out=d_i)
            d_level, d_v = d_v, d_level
            d_f.copy_(d_level) if ctx.exponential else torch.mul(d_level, f, out=d_f)
            sigmoid_backward(d_curved, curved[t], grad_input=d_curved)
            d_joined.baddbmm_(d_gates, inputs[t])
            torch.bmm(back, d_gates, out=d_states[t])
        d_joined *= factors
        d_hh, d_ih, d_bias = d_joined[..., :hidden].neg(), d_joined[..., hidden:-1], d_joined[..., -1]
        d_x = d_states[:, :, hidden:].permute(1, 3, 0, 2) if ctx.needs_input_grad[0] else None
        return d_x, d_ih.contiguous(), d_hh, d_bias.contiguous(), None, None


def _steps(gates: Tensor, means: Tensor) -> Iterator[tuple[Any, ...]]:
    """Views of each step: gates (M, 4H, B), the four of them, r' before and after."""
    four = zip(*[part.unbind(0) for part in gates.chunk(4, 2)], strict=True)
    mean = means.unbind(0)
    return zip(gates.unbind(0), four, mean[:-1], mean[1:], strict=True)
