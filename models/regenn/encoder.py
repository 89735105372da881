"""The encoder: one Transformer layer, its wide part computed some rows at a time so that it stays in the cache."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from models.regenn.dropout import Dropout, kept

BLOCK = 256  # rows of the wide part at a time: 2 MB at 2,048 columns


class Encoder(nn.Module):
    """One layer of a Transformer with a single head, norms behind: (R, L, width) -> the same. Tokens have no place.

    Args:
        width: of a token. feedforward: of the hidden layer. dropout: of the attention's weights, of both branches and
            of the hidden layer. bias: with additive terms.

    Equations, parameters and their start are those of torch's TransformerEncoderLayer.

    Source: Vaswani et al., "Attention is all you need" (2017), section 3.

    >>> Encoder(7, 32)(torch.zeros(3, 188, 7)).shape
    torch.Size([3, 188, 7])
    """

    def __init__(self, width: int, feedforward: int, dropout: float = 0.1, bias: bool = True) -> None:
        super().__init__()
        self.projections = nn.Linear(width, 3 * width, bias)  # of queries, keys and values
        self.output = nn.Linear(width, width, bias)
        nn.init.xavier_uniform_(self.projections.weight)
        if bias:
            nn.init.zeros_(self.projections.bias)
            nn.init.zeros_(self.output.bias)
        self.widen, self.narrow = nn.Linear(width, feedforward, bias), nn.Linear(feedforward, width, bias)
        self.first, self.second = nn.LayerNorm(width, bias=bias), nn.LayerNorm(width, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x + self.dropout(self._attended(x)))
        return self.second(x + self.dropout(self._fed(x)))

    def _attended(self, x: Tensor) -> Tensor:
        query, key, value = self.projections(x).chunk(3, -1)  # (R, L, width) each
        if not self.training or self.dropout.p == 0:
            return self.output(F.scaled_dot_product_attention(query, key, value))
        scores = (query @ key.mT) / math.sqrt(x.shape[-1])  # (R, L, L)
        return self.output(self.dropout(scores.softmax(-1)) @ value)

    def _fed(self, x: Tensor) -> Tensor:
        share = self.dropout.p if self.training else 0.0
        weights = self.widen.weight, self.widen.bias, self.narrow.weight, self.narrow.bias
        fed: Tensor = _FeedForward.apply(x.flatten(0, -2), *weights, share)  # (R * L, width)
        return fed.view(x.shape)


class _FeedForward(torch.autograd.Function):
    """relu(x W1' + b1), dropout, W2' + b2 of rows (K, width); the hidden layer is made again in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w_1: Tensor, b_1: Tensor | None, w_2: Tensor, b_2: Tensor | None, share: float
    ) -> Tensor:
        lift, scaled = _lift(w_1, b_1), w_2 / (1 - share)  # (width + 1, F), (width, F)
        rows, masks, parts = _with_one(x), [], []  # (K, width + 1)
        for block in rows.split(BLOCK):
            hidden = (block @ lift).relu_()  # (k, F)
            if share:
                masks.append(kept(hidden, share))
                hidden.mul_(masks[-1])
            parts.append(hidden @ scaled.T)
        ctx.save_for_backward(rows, lift, scaled, *masks)
        ctx.share, ctx.biased = share, (b_1 is not None, b_2 is not None)
        out = torch.cat(parts)  # (K, width)
        return out if b_2 is None else out.add_(b_2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, lift, scaled, *masks = ctx.saved_tensors
        d_scaled, d_lift, parts = torch.zeros_like(scaled), torch.zeros_like(lift), []
        for k, (block, given) in enumerate(zip(rows.split(BLOCK), grad.split(BLOCK), strict=True)):
            hidden = (block @ lift).relu_()  # (k, F)
            if masks:
                hidden.mul_(masks[k])
            d_scaled += given.T @ hidden
            d_hidden = torch.ops.aten.threshold_backward(given @ scaled, hidden, 0.0)  # (k, F)
            d_lift += block.T @ d_hidden
            parts.append(d_hidden @ lift[:-1].T)
        first, second = ctx.biased
        d_bias = d_lift[-1] if first else None
        return (
            torch.cat(parts),
            d_lift[:-1].T,
            d_bias,
            d_scaled / (1 - ctx.share),
            grad.sum(0) if second else None,
            None,
        )


def _lift(weight: Tensor, bias: Tensor | None) -> Tensor:
    """(width + 1, F): the bias as the weight of a column of ones, which saves a pass over the hidden layer."""
    last = weight.new_zeros(1, len(weight)) if bias is None else bias[None]
    return torch.cat([weight.T, last])


def _with_one(x: Tensor) -> Tensor:
    return torch.cat([x, x.new_ones(len(x), 1)], 1)
