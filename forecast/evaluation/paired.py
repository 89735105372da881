"""Diebold and Mariano's test: is the mean difference of two losses more than chance?

Sources: Diebold and Mariano, "Comparing predictive accuracy", JBES 13 (1995); Harvey, Leybourne and Newbold, "Testing
the equality of prediction mean squared errors", IJF 13 (1997), equation 9: the correction for short samples.
"""

from __future__ import annotations

import numpy as np

from forecast.errors import SchemaError
from forecast.evaluation.blocks import block_means
from forecast.evaluation.student import two_sided

FEWEST = 8  # blocks below which a test says nothing
LEVELS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


def diebold_mariano(loss: np.ndarray, reference: np.ndarray, lead: int = 1, block: int = 1) -> np.ndarray:
    """Two-sided p-values of equal mean loss.

    Args:
        loss, reference: (B, ...) losses of two forecasts on identical pairs, one row per origin in the order of time;
            NaN where either has none. Of several series give the mean over them: they see the same weather.
        lead: steps ahead; differences of origins less than `lead` apart depend on each other by construction.
        block: origins that are averaged before testing. Weather keeps its mood for days, so a block of a day is more
            honest than the theory's lead - 1 lags; 1 is the plain test.

    Returns:
        (...,) p-values; NaN with fewer than 8 blocks. 1 where the losses are the same.

    Raises:
        SchemaError: shapes that differ.

    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(2, 200)) ** 2
    >>> bool(diebold_mariano(a, a + 0.5 + 0.1 * b) < 0.001), bool(diebold_mariano(a, b) > 0.05)
    (True, True)
    """
    if loss.shape != reference.shape:
        raise SchemaError(f"losses have shapes {loss.shape} and {reference.shape}: give identical pairs")
    difference = block_means(loss - reference, block)  # (K, ...)
    lags = -(-(lead - 1) // block)
    flat = difference.reshape(len(difference), -1)  # (K, M)
    found = np.array([_p_value(d[~np.isnan(d)], lags) for d in flat.T])  # (M,)
    return found.reshape(difference.shape[1:])


def _p_value(difference: np.ndarray, lags: int) -> float:
    """Of differences (K,); `lags` of their autocovariances enter the variance of the mean."""
    count, lags = len(difference), min(lags, len(difference) // 3)
    if count < FEWEST:
        return float("nan")
    if np.ptp(difference) <= 1e-12 * np.abs(difference).max(initial=0.0):  # nothing varies: equal, or always apart
        return float(not difference.any())
    variance = long_run_variance(difference, lags) / count
    horizon = lags + 1
    correction = (count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count
    t = difference.mean() / np.sqrt(variance) * np.sqrt(correction)
    return two_sided(float(t), count - 1)


def long_run_variance(difference: np.ndarray, lags: int) -> float:
    """Variance of sqrt(K) times the mean of (K,): all autocovariances up to `lags` alike, or, where their sum is not
    positive, with Bartlett's weights, which make it so (Newey and West, Econometrica 55, 1987)."""
    centred = difference - difference.mean()  # (K,)
    count = len(centred)
    covariances = np.array([centred[k:] @ centred[: count - k] for k in range(lags + 1)]) / count  # (lags+1,)
    plain = covariances[0] + 2 * covariances[1:].sum()
    if plain > 0:
        return float(plain)
    weights = 1 - np.arange(lags + 1) / (lags + 1)  # (lags+1,)
    return float(2 * weights @ covariances - covariances[0])


def stars(p: float) -> str:
    """*** below 0.001, ** below 0.01, * below 0.05.

    >>> stars(0.004), stars(0.2), stars(float("nan"))
    ('**', '', '')
    """
    return next((mark for level, mark in LEVELS if p < level), "")
