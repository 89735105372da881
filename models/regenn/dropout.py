"""Dropout from sixteen random bits a number: cheaper on a CPU than torch's, which draws a float for each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 2**16
LOWEST = -(2**63)


class Dropout(nn.Module):
    """As torch's Dropout, from torch's global generator; `p` is met to 1 in 65,536.

    Measured on one core: 12 ns a number by torch's, 8 by this, 1.2 of them for the draws.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return (x * kept(x, self.p)).mul_(1 / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"


def kept(like: Tensor, p: float) -> Tensor:
    """Which numbers stay, each with probability 1 - p: ones and zeros of the shape and on the device of `like`.

    As bytes, because torch turns bytes into floats five times as fast as truth values.
    """
    words = torch.empty(-(-like.numel() // 4), dtype=torch.int64, device=like.device).random_(LOWEST, None)
    bits = words.view(torch.int16)[: like.numel()].view(like.shape)
    return torch.ge(bits, round(p * LEVELS) - LEVELS // 2, out=torch.empty_like(bits, dtype=torch.uint8))
