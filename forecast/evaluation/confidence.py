"""The model confidence set: which contestants the data cannot tell from the best.

Source: Hansen, Lunde and Nason, "The model confidence set", Econometrica 79 (2011), with the range statistic.
"""

from __future__ import annotations

import numpy as np

from forecast.errors import SchemaError
from forecast.evaluation.paired import FEWEST

RESAMPLES = 1000


def model_confidence_set(losses: np.ndarray, block: int = 1, seed: int = 0) -> np.ndarray:
    """p-values of belonging to the set of the best: a model is in the 90 % set where p > 0.1.

    Args:
        losses: (B, A) of A models on identical pairs, one row per origin in the order of time; rows with NaN are left
            out. block: mean length of the blocks of origins that the stationary bootstrap draws.

    Returns:
        (A,) the best has 1, and so has whoever errs exactly as it does; NaN with fewer than 8 rows or two models.

    Raises:
        SchemaError: losses without two axes, or a block below 1.

    >>> rng = np.random.default_rng(0)
    >>> close, far = rng.normal(size=(2, 80)) ** 2
    >>> p = model_confidence_set(np.stack([close, close + 0.01 * far, 3 + far], axis=1))
    >>> (p > 0.1).tolist()
    [True, False, False]
    """
    if losses.ndim != 2 or block < 1:
        raise SchemaError(f"losses have shape {losses.shape}, block is {block}: give (B, A) and at least 1 origin")
    known = losses[~np.isnan(losses).any(axis=1)]  # (K, A)
    if len(known) < FEWEST or known.shape[1] < 2:
        return np.full(losses.shape[1], np.nan)
    different, which = np.unique(
        known, axis=1, return_inverse=True
    )  # (K, U): equal twins have no variance between them
    return _p_values(different, min(block, len(known) // 2), seed)[which.reshape(-1)]


def _p_values(losses: np.ndarray, block: int, seed: int) -> np.ndarray:
    """(U,) of columns that differ: the worst is eliminated, then the next, each with the largest p up to then.

    A pair that is always as far apart, to rounding, has no variance: then nothing is left to chance.
    """
    mean = losses.mean(axis=0)  # (U,)
    apart = mean[:, None] - mean  # (U, U)
    drawn = losses[_draws(len(losses), block, seed)].mean(axis=1)  # (R, U)
    chance = drawn[:, :, None] - drawn[:, None] - apart  # (R, U, U)
    deviation = np.sqrt((chance**2).mean(axis=0))  # (U, U)
    sure = deviation <= 1e-12 * np.maximum.outer(np.abs(mean), np.abs(mean))  # (U, U)
    with np.errstate(over="ignore"):  # without variance a distance is infinitely sure
        apart /= np.where(sure, 1e-300, deviation)
    chance /= np.where(sure, np.inf, deviation)
    left, found, p = list(range(len(mean))), np.ones(len(mean)), 0.0
    while len(left) > 1:
        here = apart[np.ix_(left, left)]
        p = max(p, float((here.max() < chance[:, left][:, :, left].max(axis=(1, 2))).mean()))
        worst = left[int(here.max(axis=1).argmax())]
        found[worst] = p
        left.remove(worst)
    return found


def _draws(rows: int, block: int, seed: int) -> np.ndarray:
    """(R, B) rows of the stationary bootstrap."""
    from arch.bootstrap import StationaryBootstrap  # heavy: only reports need it

    return np.stack(
        [data[0][0] for data in StationaryBootstrap(block, np.arange(rows), seed=seed).bootstrap(RESAMPLES)]
    )
