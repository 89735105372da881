"""Interval of a skill by the moving-block bootstrap: origins are drawn in blocks, both losses together.

Source: Künsch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17 (1989).
"""

from __future__ import annotations

import numpy as np

from forecast.errors import SchemaError


def skill_interval(
    loss: np.ndarray,
    reference: np.ndarray,
    block: int = 24,
    *,
    nominal: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of 1 - mean(loss) / mean(reference).

    Args:
        loss, reference: (B, ...) on identical pairs, one row per origin in the order of time; NaN where one has none.
        block: origins per block, at most half of all; longer than the losses remember. nominal: coverage.

    Returns:
        (...,), (...,): lower and upper ends; NaN where the reference makes no error.

    Raises:
        SchemaError: shapes that differ, no origins, or a block below 1.

    >>> reference = np.abs(np.random.default_rng(0).normal(size=500))
    >>> low, high = skill_interval(0.8 * reference, reference)
    >>> round(float(low), 9), round(float(high), 9)
    (0.2, 0.2)
    """
    if loss.shape != reference.shape or not len(loss) or block < 1:
        raise SchemaError(
            f"losses have shapes {loss.shape} and {reference.shape}, block is {block}: give identical pairs"
        )
    both = ~(np.isnan(loss) | np.isnan(reference))  # (B, ...)
    block = max(1, min(block, len(loss) // 2))
    counts = _drawn(len(loss), block, resamples, seed)  # (R, B')
    mine, theirs = (
        counts @ _block_sums(np.where(both, x, 0.0).reshape(len(x), -1), block) for x in (loss, reference)
    )  # (R, M)
    ratio = np.where(theirs > 0, mine / np.where(theirs > 0, theirs, 1), np.nan)  # (R, M)
    low, high = np.quantile(1 - ratio, [(1 - nominal) / 2, (1 + nominal) / 2], axis=0)  # (M,)
    return low.reshape(loss.shape[1:]), high.reshape(loss.shape[1:])


def _drawn(origins: int, block: int, resamples: int, seed: int) -> np.ndarray:
    """(R, B') how often each of the B' = B - block + 1 possible blocks is drawn."""
    starts = origins - block + 1
    chosen = np.random.default_rng(seed).integers(0, starts, (resamples, -(-origins // block)))  # (R, K)
    return np.stack([np.bincount(row, minlength=starts) for row in chosen]).astype(float)


def _block_sums(values: np.ndarray, block: int) -> np.ndarray:
    """(B', M) sums over every block of successive rows of (B, M)."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])  # (B+1, M)
    return np.asarray(total[block:] - total[:-block])
