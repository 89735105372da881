"""What every network of the zoo ends in: quantiles that cannot cross, a linear path beside, the loss that fits them.

Everything here has a leading member axis: a network is a stack of M >= 1 equal ones (models/stack).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from models import stack
from models.nets.linear import means, ridge

BLOCK = 16  # outputs come in multiples of it, and forecasts run on at least so many rows (see models/nets/network.py)
PENALTIES = (0.05, 0.01, 0.002, 0.0004)  # of the ridge start, in units of the scaled inputs' variance
SAMPLE = 4_096  # rows whose errors are enough to start the intervals from


@dataclass(frozen=True)
class Shape:
    """What goes into a network's rows and what comes out.

    Args:
        rows: L of a window. columns: D of a window. extras: E numbers beside it (calendar, outlook, neighbours).
        outputs: O numbers to forecast. levels: Q quantile levels with 0.5 among them. horizon: H steps ahead.
    """

    rows: int
    columns: int
    extras: int
    outputs: int
    levels: tuple[float, ...]
    horizon: int = 1

    @property
    def flat(self) -> int:
        """F, everything a row knows side by side."""
        return self.rows * self.columns + self.extras

    @property
    def raw(self) -> int:
        """Width of a body's output: O * Q, filled up."""
        return padded(self.outputs * len(self.levels))


class Net(nn.Module):
    """A body and a linear path from windows (M, B, L, D) and extras (M, B, E) to quantiles (M, B, Q, O).

    The median is the linear path's number plus the body's, the levels below and above it follow by sums of softplus,
    so that they cannot cross.

    Args:
        body: maps windows and extras to (M, B, shape.raw); its last layer is `body.out`, a `stack.Linear`.
        linear: with the linear path.
    """

    def __init__(self, body: nn.Module, shape: Shape, linear: bool) -> None:
        super().__init__()
        self.shape, self.median = shape, shape.levels.index(0.5)
        self.body = body
        self.linear = stack.Linear(shape.flat, padded(shape.outputs)) if linear else None

    def forward(self, windows: Tensor, extras: Tensor) -> Tensor:
        outputs, levels = self.shape.outputs, len(self.shape.levels)
        raw = self.body(windows, extras)[..., : outputs * levels].unflatten(-1, (levels, outputs))  # (M, B, Q, O)
        below, middle, above = raw.split([self.median, 1, levels - self.median - 1], -2)
        if self.linear is not None:
            middle = middle + self.linear(flattened(windows, extras))[..., None, :outputs]  # (M, B, 1, O)
        parts = [middle]
        if below.shape[-2]:
            parts.insert(0, middle - sums(softplus(below).flip(-2)).flip(-2))
        if above.shape[-2]:
            parts.append(middle + sums(softplus(above)))
        return torch.cat(parts, -2)  # (M, B, Q, O)

    @torch.no_grad()
    def start(self, windows: Tensor, extras: Tensor, truth: Tensor) -> None:
        """Begin at the ridge solution, or at the truth's own quantiles without a linear path.

        Args:
            windows, extras: inputs of the rows trained on. truth: (M, B, O), NaN where unknown.
        """
        for member, (x, y) in enumerate(zip(flattened(windows, extras).numpy(), truth.numpy(), strict=True)):
            some = slice(None, None, max(1, len(x) // SAMPLE))
            out = self.body.out
            assert isinstance(out, stack.Linear)
            if self.linear is None:
                bias = means(y)  # (O,)
                biases = biases_of(y[some] - bias, self.shape.levels)  # (Q, O)
                biases[self.median] = bias
            else:
                weights, bias = ridge(x, y, PENALTIES, self.shape.horizon)  # (F, O), (O,)
                self.linear.weight[member] = _filled_up(weights.T, self.linear.weight[member])
                self.linear.bias[member] = _filled_up(bias, self.linear.bias[member])
                biases = biases_of(y[some] - x[some] @ weights - bias, self.shape.levels)  # (Q, O)
                out.weight[member] = 0.0
            out.bias[member] = _filled_up(biases.reshape(-1), out.bias[member])


class Point(nn.Module):
    """A body alone, from windows (M, B, L, D) and extras (M, B, E) to one number for each output, (M, B, 1, O)."""

    def __init__(self, body: nn.Module, shape: Shape) -> None:
        super().__init__()
        self.shape, self.body = shape, body

    def forward(self, windows: Tensor, extras: Tensor) -> Tensor:
        return self.body(windows, extras).unsqueeze(-2)

    def start(self, windows: Tensor, extras: Tensor, truth: Tensor) -> None:
        """Begin at the body's own initial weights."""


class Squares:
    """Mean squared error (M,) of points (M, B, 1, O) against truth (M, B, O), its gaps left out.

    >>> Squares()(torch.tensor([[[[1.0, 9.0]], [[4.0, 9.0]]]]), torch.tensor([[[0.0, torch.nan], [1.0, torch.nan]]]))
    tensor([5.])
    """

    def __call__(self, points: Tensor, truth: Tensor) -> Tensor:
        gaps = torch.isnan(truth)  # (M, B, O)
        error = points.squeeze(-2) - truth.masked_fill(gaps, 0.0)  # (M, B, O)
        total = error.square().masked_fill(gaps, 0.0).flatten(1).sum(1)  # (M,)
        return total / (~gaps).flatten(1).sum(1).clamp(min=1)


class Pinball:
    """Mean pinball loss (M,) of quantiles (M, B, Q, O) against truth (M, B, O), its gaps left out.

    Source: Koenker and Bassett, "Regression quantiles", Econometrica 46 (1978).

    >>> given, truth = torch.tensor([[[[0.0], [0.0]], [[9.0], [9.0]]]]), torch.tensor([[[1.0], [torch.nan]]])
    >>> Pinball((0.1, 0.5))(given, truth).round(decimals=4)
    tensor([0.3000])
    """

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels = tuple(levels)

    def __call__(self, quantiles: Tensor, truth: Tensor) -> Tensor:
        levels = quantiles.new_tensor(self.levels)[:, None]  # (Q, 1)
        gaps = torch.isnan(truth)  # (M, B, O)
        whole = not gaps.any()
        error = (truth if whole else truth.masked_fill(gaps, 0.0))[:, :, None] - quantiles  # (M, B, Q, O)
        losses = torch.addcmul(torch.relu(-error), levels, error)  # = max(level * error, (level - 1) * error)
        if whole:
            return losses.flatten(1).mean(1)
        total = losses.masked_fill(gaps[:, :, None], 0.0).flatten(1).sum(1)  # (M,)
        return total / ((~gaps).flatten(1).sum(1).clamp(min=1) * len(self.levels))


class Tower(nn.Module):
    """The head of the authors' recurrent and attention models: widths h, h/2, h/4, out, with ReLU between.

    Args:
        inputs: width of what comes in, (M, B, inputs). hidden: h. outputs: width of what goes out.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        widths = [inputs, *(max(1, hidden // part) for part in (1, 2, 4))]
        pairs = pairwise(widths)
        self.layers = nn.Sequential(*(part for a, b in pairs for part in (stack.Linear(a, b), nn.ReLU())))
        self.out = stack.Linear(widths[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layers(x))


def flattened(windows: Tensor, extras: Tensor) -> Tensor:
    """(M, B, L, D) and (M, B, E) as (M, B, F)."""
    return torch.cat([windows.flatten(2), extras], -1)


def rowwise(windows: Tensor, extras: Tensor) -> Tensor:
    """(M, B, L, D) and (M, B, E) as (M, B, L, D + E): the extras beside every row of the window."""
    return torch.cat([windows, extras[:, :, None].expand(*windows.shape[:3], -1)], -1)


def biases_of(errors: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """(Q, O) outputs of a body that give the quantiles of `errors` (B, O): the median 0, the others softplus undone.

    Gaps are left out; an output without any error has width like the mean of those that have.
    """
    known = ~np.isnan(errors).all(0)  # (O,)
    width = np.full((len(levels) - 1, errors.shape[1]), 1e-3)  # (Q - 1, O)
    if known.any() and len(levels) > 1:
        told = np.maximum(np.diff(quantiles(errors[:, known], levels), axis=0), 1e-3)  # (Q - 1, known)
        width[:, known], width[:, ~known] = told, told.mean(1, keepdims=True)
    return np.insert(np.log(np.expm1(width)), levels.index(0.5), 0.0, axis=0)


def quantiles(values: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """(Q, O) of values (B, O) with gaps, none of them only gaps; numpy's nanquantile, a hundred times as fast.

    >>> quantiles(np.array([[1.0], [np.nan], [3.0], [2.0]]), (0.25, 0.5)).tolist()
    [[1.5], [2.0]]
    """
    ranked, last = np.sort(values, axis=0), (~np.isnan(values)).sum(0) - 1  # (B, O) gaps behind, (O,)
    place = np.asarray(levels)[:, None] * last  # (Q, O)
    low = place.astype(int)
    below, above = (np.take_along_axis(ranked, np.minimum(at, last), axis=0) for at in (low, low + 1))
    return below + (place - low) * (above - below)


def sums(x: Tensor) -> Tensor:
    """Running sums over the levels, (M, B, Q, O)."""
    return x if x.shape[-2] == 1 else x.cumsum(-2)


def padded(outputs: int) -> int:
    return -(-outputs // BLOCK) * BLOCK


def _filled_up(values: np.ndarray, like: Tensor) -> Tensor:
    """`values` in a tensor as long as `like` along axis 0, zeros behind."""
    out = torch.zeros_like(like)
    out[: len(values)] = torch.from_numpy(np.ascontiguousarray(values)).to(like)
    return out
