"""Directions: does a forecast know whether the value goes up, more often than its own habit of saying so explains?

Source: Pesaran and Timmermann, "A simple nonparametric test of predictive performance", JBES 10 (1992).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from forecast.errors import SchemaError
from forecast.evaluation.blocks import block_means
from forecast.evaluation.paired import FEWEST, diebold_mariano


@dataclass(frozen=True)
class Direction:
    """How one contestant calls the direction of one variable over the horizon.

    Args:
        pairs: with a truth that moves. up: share of truths that rise. called: share of forecasts that do.
        right: share of forecasts with the direction of the truth. p: that it is no better than chance; NaN where there
            is no test: too few origins, or all calls alike.
    """

    pairs: int
    up: float
    called: float
    right: float
    p: float


def pesaran_timmermann(rise: np.ndarray, call: np.ndarray) -> float:
    """One-sided p-value that calls know nothing of the rises, for independent pairs.

    Args:
        rise, call: (K,) bool: the value rose, the forecast said so.

    Returns:
        NaN with fewer than 8 pairs, or where all rises or all calls are alike.

    Raises:
        SchemaError: shapes that differ.

    >>> rise = np.arange(60) % 2 == 0
    >>> pesaran_timmermann(rise, rise) < 0.001, pesaran_timmermann(rise, np.ones(60, bool))
    (True, nan)
    """
    if rise.shape != call.shape or rise.ndim != 1:
        raise SchemaError(f"rises have shape {rise.shape} and calls {call.shape}: give (K,) of each")
    if len(rise) < FEWEST or rise.all() or call.all() or not rise.any() or not call.any():
        return float("nan")
    from statsmodels.stats.diagnostic import pesaran_timmermann as test  # heavy: only reports need it

    return float(test(np.where(rise, 1.0, -1.0), np.where(call, 1.0, -1.0), alternative="larger").pvalue)


def direction(truth: np.ndarray, last: np.ndarray, points: np.ndarray, overlap: int = 1, block: int = 1) -> Direction:
    """Directions from the newest known value to the last known truth of the horizon.

    One series and one seed without overlap take Pesaran and Timmermann's test. Else origins are not independent pairs:
    the test is then Student's on what that one measures, the covariance of rises and calls, averaged over seeds and
    series at each origin and over blocks of origins.

    Args:
        truth: (B, N, H), NaN where not known. last: (B, N). points: (S, B, N, H), known where the truth is.
        overlap: origins whose truths share rows. block: origins per block.

    Returns:
        Truths that do not move have no direction and are left out; a forecast that does not move says "not up".
    """
    known = ~np.isnan(truth)  # (B, N, H)
    final = truth.shape[2] - 1 - known[..., ::-1].argmax(axis=-1)[..., None]  # (B, N, 1)
    moved = np.take_along_axis(truth, final, axis=-1)[..., 0] - last  # (B, N), NaN where there is none
    there = ~np.isnan(moved) & (moved != 0)
    called = np.take_along_axis(points, np.broadcast_to(final, (*points.shape[:-1], 1)), axis=-1)[..., 0] - last
    rise, call = moved > 0, called > 0  # (B, N), (S, B, N)
    if not there.any():
        return Direction(0, *[float("nan")] * 4)
    if not (called[:, there] != 0).any():  # says nothing, rather than always "down"
        return Direction(int(there.sum()), float(rise[there].mean()), *[float("nan")] * 3)
    right = (call == rise)[:, there].mean()
    alone = points.shape[0] == truth.shape[1] == overlap == block == 1
    p = pesaran_timmermann(rise[there], call[0][there]) if alone else _dependent(rise, call, there, overlap, block)
    return Direction(int(there.sum()), float(rise[there].mean()), float(call[:, there].mean()), float(right), p)


def _dependent(rise: np.ndarray, call: np.ndarray, there: np.ndarray, overlap: int, block: int) -> float:
    """One-sided p-value of a positive mean covariance."""
    centred = [np.where(there, x - _rates(x, there), np.nan) for x in (rise[None], call)]  # (1, B, N), (S, B, N)
    together = centred[0] * centred[1]  # (S, B, N)
    seen = there.sum(axis=1)  # (B,)
    mean = np.where(seen > 0, np.nansum(together.mean(axis=0), axis=1) / np.maximum(seen, 1), np.nan)  # (B,)
    if not np.nansum(np.abs(mean)) or np.count_nonzero(~np.isnan(block_means(mean, block))) < FEWEST:
        return float("nan")
    p = float(diebold_mariano(mean, np.zeros_like(mean), overlap, block))
    return math.nan if math.isnan(p) else p / 2 if np.nanmean(mean) > 0 else 1 - p / 2


def _rates(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Share of True of each seed and series, (S, 1, N)."""
    return np.asarray((values & there).sum(axis=1, keepdims=True) / np.maximum(there.sum(axis=0), 1))
