"""Linear and normalising layers with a member axis: one batched product for all members, torch's own for one."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class Linear(nn.Module):
    """Each member's own affine map: (M, ..., inputs) -> (M, ..., outputs).

    Args:
        inputs, outputs: widths. Built with one member, initialised as torch's Linear.

    >>> Linear(3, 2)(torch.zeros(1, 5, 3)).shape
    torch.Size([1, 5, 2])
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(1, outputs, inputs).uniform_(-bound, bound))  # (M, outputs, inputs)
        self.bias = nn.Parameter(torch.empty(1, outputs).uniform_(-bound, bound))  # (M, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return affine(x, self.weight, self.bias)


class LayerNorm(nn.Module):
    """Layer normalisation over the last axis, scale and shift of each member's own: (M, ..., width) -> the same."""

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, width))  # (M, width)
        self.bias = nn.Parameter(torch.zeros(1, width))  # (M, width)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        width = self.weight.shape[1:]
        if len(self.weight) == 1:
            return F.layer_norm(x, width, self.weight.squeeze(0), self.bias.squeeze(0), self.eps)
        weight, bias = (over(p, x.ndim) for p in (self.weight, self.bias))
        return torch.addcmul(bias, F.layer_norm(x, width, eps=self.eps), weight)


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (M, ..., inputs) times weight (M, outputs, inputs), plus bias (M, outputs): (M, ..., outputs)."""
    if len(weight) == 1:  # `squeeze` is a view also in the backward pass; `weight[0]` would fill and copy a gradient
        return F.linear(x, weight.squeeze(0), bias.squeeze(0))
    if torch.is_autocast_enabled(x.device.type):
        low = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = (tensor.to(low) for tensor in (x, weight, bias))
    flat = x if x.ndim == 3 else x.flatten(1, -2)  # (M, B, inputs)
    y: Tensor = _Affine.apply(flat, weight, bias)  # (M, B, outputs)
    return y if x.ndim == 3 else y.view(*x.shape[:-1], -1)


class _Affine(torch.autograd.Function):
    """As autograd would do it, but for the weight's gradient: that comes out transposed there, and is copied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        d_x = torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None
        return d_x, torch.bmm(grad.transpose(1, 2), x), grad.sum(1)


def over(parameter: Tensor, ndim: int) -> Tensor:
    """A parameter (M, width) as (M, 1, ..., 1, width), to be used over a tensor of `ndim` axes."""
    return parameter.view(len(parameter), *[1] * (ndim - 2), -1)
