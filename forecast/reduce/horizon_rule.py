"""The rule of Variance Horizon: the curve of ratios from sums of distances, and the point where it has settled."""

from __future__ import annotations

import numpy as np


def variance_ratios(newer: np.ndarray, block: np.ndarray, step: int) -> np.ndarray:
    """The curve r_0, r_1, ...: std(window x horizon block) / std(window x window) for windows of H + k step rows.

    A window whose rows are all equal has both std 0: its ratio is defined as 1, the value of r_0 and of a block
    that looks just like its window.

    Args:
        newer: (2, M) for each of the newest M rows, oldest first: the sum of its distances to all newer rows, and
            the sum of their squares.
        block: (H, M) the distances of those rows to the last H rows.
        step: rows the window grows by.

    Returns:
        (K,), as many points as M rows are enough for.
    """
    horizon, known = block.shape
    block = block[:, ::-1]  # (H, M), from here on newest row first
    sums = np.empty((4, known))
    sums[:2] = newer[:, ::-1]
    sums[2], sums[3] = block.sum(axis=0), np.einsum("hm,hm->m", block, block)
    sums = sums.cumsum(axis=1)[:, horizon - 1 :: step]  # (4, K)
    rows = np.arange(horizon, known + 1, step, dtype=float)  # (K,)
    sums[:2] /= rows * rows / 2  # each pair was counted once, but stands in the window x window table twice
    sums[2:] /= rows * horizon
    mean, mean_square, block_mean, block_mean_square = sums  # (K,) each
    variance, block_variance = mean_square - mean * mean, block_mean_square - block_mean * block_mean  # (K,) each
    ratios = np.ones_like(rows)
    np.divide(block_variance, variance, out=ratios, where=variance > 0)
    return np.sqrt(np.maximum(ratios, 0.0))


def first_calm(ratios: np.ndarray, threshold: float, change_window: int) -> int | None:
    """The first k > change_window where the mean |r_i - r_(i-1)| over the last `change_window` points, which are
    `change_window` - 1 differences, is below `threshold`; None if there is none among `ratios` (K,)."""
    if len(ratios) < change_window + 2:
        return None
    path = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(ratios)))])  # (K,), way walked up to each point
    walked = path[change_window + 1 :] - path[2 : len(path) - change_window + 1]  # (K - change_window - 1,)
    calm = walked < threshold * (change_window - 1)
    first = int(calm.argmax())
    return change_window + 1 + first if calm[first] else None
