"""Discrete variables such as cloud in oktas: a straight line to the chance of each value, not to the value.

The mean of a bounded, two-peaked variable is where it never is, so squared error loses to persistence in absolute
error. The equations forecast whether the truth will be at or below each value, 0 or 1, from the same rows and the same
factorisation; the quantiles are read off. (Linear probability model of the distribution: Foresi and Peracchi 1995,
"The Conditional Distribution of Excess Returns", JASA 90; sorted into order as in Chernozhukov, Fernandez-Val and
Galichon 2010, "Quantile and Probability Curves Without Crossing", Econometrica 78.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def discrete(values: np.ndarray, most: int) -> list[np.ndarray]:
    """Per target, the sorted values of (N, T, C) if they are at most `most` (and more than one), else none."""
    found = []
    for c in range(values.shape[2]):
        seen = np.unique(values[:, :2000, c][~np.isnan(values[:, :2000, c])])
        if len(seen) <= most:
            seen = np.unique(values[..., c][~np.isnan(values[..., c])])
        found.append(seen if 1 < len(seen) <= most else np.empty(0))
    return found


def outputs_of(truth: np.ndarray, last: np.ndarray, steps: Sequence[np.ndarray]) -> np.ndarray:
    """(N, R, H*E) what is learnt from truths (N, R, H, C) and last values (N, R, C).

    The change of each target, then per discrete target whether it is at or below each value but the highest.
    """
    parts = [truth - last[:, :, None]]
    for c, levels in enumerate(steps):
        if len(levels):
            below = (truth[..., c, None] <= levels[:-1]).astype(float)  # (N, R, H, K)
            parts.append(np.where(np.isnan(truth[..., c, None]), np.nan, below))
    y = np.concatenate(parts, -1)
    return y.reshape(*y.shape[:2], y.shape[2] * y.shape[3])


def read_off(
    chances: np.ndarray, values: np.ndarray, levels: Sequence[float], last: np.ndarray, hold: np.ndarray
) -> np.ndarray:
    """(..., Q) the smallest of `values` (K+1,) whose chance (..., K) of not being exceeded reaches each level.

    The median stays at the value nearest to `last` (...) unless the chance of being below it, or above it, is a half
    and `hold` (...) more: a variable that mostly stays should not be moved by the noise of a chance.
    """
    ordered = np.sort(chances, -1)  # (..., K)
    found = values[(ordered[..., None] < np.array(levels)).sum(-2)]  # (..., Q)
    place = np.abs(last[..., None] - values).argmin(-1)  # (...)
    padded = np.concatenate(
        [np.zeros_like(ordered[..., :1]), ordered, np.ones_like(ordered[..., :1])], -1
    )  # (..., K+2)
    below, to = (np.take_along_axis(padded, (place + i)[..., None], -1)[..., 0] for i in (0, 1))  # (...)
    stays = (below <= 0.5 + hold) & (to >= 0.5 - hold)  # (...)
    middle = list(levels).index(0.5)
    found[..., middle] = np.where(stays, values[place], found[..., middle])
    return found
