"""Self-attention with a member axis: projections by batched products, the scores by torch's own fused kernel."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.errors import SchemaError
from models.stack.layers import Linear, affine


class Attention(nn.Module):
    """Multi-head self-attention of each member's own: (M, B, L, width) -> the same.

    Args:
        width: of the tokens; heads: must divide it. Initialised as torch's MultiheadAttention.

    Keys have no bias: the softmax cancels it, its gradient is rounding noise, and Adam would make steps of that.

    Raises:
        SchemaError: a width that the heads do not divide.

    Source: Vaswani et al., "Attention is all you need" (2017), section 3.2.

    >>> Attention(8, 2)(torch.zeros(1, 5, 4, 8)).shape
    torch.Size([1, 5, 4, 8])
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise SchemaError(f"attention width {width} cannot be divided into {heads} heads: choose a multiple")
        self.heads = heads
        bound = math.sqrt(6 / (4 * width))  # Glorot's, of one matrix (3 * width, width)
        self.projections = nn.Parameter(torch.empty(1, 3 * width, width).uniform_(-bound, bound))
        self.query_bias = nn.Parameter(torch.zeros(1, width))
        self.value_bias = nn.Parameter(torch.zeros(1, width))
        self.output = Linear(width, width)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        members, batch, rows, width = x.shape
        bias = torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias], 1)
        qkv = affine(x, self.projections, bias)  # (M, B, L, 3 * width)
        qkv = qkv.view(members * batch, rows, 3, self.heads, -1).permute(
            2, 0, 3, 1, 4
        )  # (3, M*B, heads, L, width/heads)
        mixed = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])  # (M*B, heads, L, width/heads)
        return self.output(mixed.transpose(1, 2).reshape(members, batch, rows, width))
