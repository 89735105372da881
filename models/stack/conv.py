"""Convolution and pooling over the rows of a window, channels last, with a member axis."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from forecast.errors import SchemaError
from models.stack.layers import affine


class Conv1d(nn.Module):
    """Each member's own convolution over the rows that are there: (M, B, L, inputs) -> (M, B, L - kernel + 1, outputs).

    Args:
        inputs, outputs: channels. kernel: rows. groups: heads side by side, each of its own share of the channels.

    Weights are shaped (after the member axis) and grouped as torch's Conv1d's, initialised as Keras' (each group by
    itself): Glorot's uniform, biases zero.

    Raises:
        SchemaError: channels that the groups do not divide; a window shorter than the kernel.

    >>> Conv1d(1, 16, 3)(torch.zeros(1, 4, 10, 1)).shape
    torch.Size([1, 4, 8, 16])
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int = 1) -> None:
        if inputs % groups or outputs % groups:
            raise SchemaError(f"{groups} groups do not divide {inputs} and {outputs} channels: choose multiples")
        super().__init__()
        self.groups = groups
        bound = math.sqrt(6 * groups / (kernel * (inputs + outputs)))
        self.weight = nn.Parameter(torch.empty(1, outputs, inputs // groups, kernel).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return convolved(x, self.weight, self.bias, self.groups)


class MaxPool(nn.Module):
    """The largest of each two rows: (M, B, L, C) -> (M, B, L // 2, C); an odd last row is left out.

    >>> MaxPool()(torch.tensor([1.0, 5.0, 2.0, 0.0, 9.0]).view(1, 1, 5, 1)).flatten()
    tensor([5., 2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        even = x.shape[2] // 2 * 2
        return torch.maximum(x[:, :, 0:even:2], x[:, :, 1:even:2])


def convolved(x: Tensor, weight: Tensor, bias: Tensor, groups: int = 1) -> Tensor:
    """x (M, B, L, C) under weight (M, O, C / groups, K) and bias (M, O), as one product: (M, B, L - K + 1, O)."""
    members, outputs, _, kernel = weight.shape
    if x.shape[2] < kernel:
        raise SchemaError(f"a window of {x.shape[2]} rows is shorter than the kernel of {kernel}: give more rows")
    windows = x.unfold(2, kernel, 1).unflatten(3, (groups, -1))  # (M, B, R, G, C / G, K)
    batch, rows = windows.shape[1:3]
    flat = windows.permute(0, 3, 1, 2, 4, 5).reshape(members * groups, batch * rows, -1)  # (M * G, B * R, C / G * K)
    each = outputs // groups
    y = affine(flat, weight.reshape(members * groups, each, -1), bias.reshape(members * groups, each))
    return y.view(members, groups, batch, rows, each).permute(0, 2, 3, 1, 4).reshape(members, batch, rows, outputs)
