"""Is there a season, plainly? And what does it look like?

Information criteria pay for each of a season's 24 states and often drop it, at several times the error. So the question
is decided before, by a test, and what it says is forced upon the model.
"""

from __future__ import annotations

import numpy as np

SURE = 1.645  # one-sided normal quantile of 95 %
SEASONS = 3  # a season shows only when it was seen so many times


def plain(line: np.ndarray, period: int) -> bool:
    """Whether the changes of a line (T,) repeat after `period` rows, beyond what chance does.

    The test of the M4 competition's benchmarks, on the changes from row to row instead of the levels, whose slow
    wandering hides a season: r_m > 1.645 sqrt((1 + 2 (r_1^2 + ... + r_{m-1}^2)) / T), r_k being the autocorrelation.
    Short lines, and those that never change, have no season.

    Source: Fiorucci et al. 2016, "Models for optimising the theta method", Int. J. of Forecasting 32, section 4.

    >>> hours, noise = np.arange(240), np.random.default_rng(1).normal(size=240)
    >>> plain(np.sin(2 * np.pi * hours / 24) + 0.1 * noise, 24), plain(noise.cumsum(), 24)
    (True, False)
    """
    if period < 2 or len(line) < SEASONS * period + 1:
        return False
    change = np.diff(line)
    change = change - change.mean()  # (T-1,)
    power = change @ change
    if power <= 1e-18 * (line @ line):
        return False
    r = np.array([change[k:] @ change[:-k] for k in range(1, period + 1)]) / power  # (m,)
    return bool(r[-1] > SURE * np.sqrt((1 + 2 * (r[:-1] ** 2).sum()) / len(change)))


def profile(line: np.ndarray, phases: np.ndarray, period: int) -> np.ndarray:
    """(S,) mean departure at each phase of a line (T,) from its mean over one centred season; sums to zero.

    Classical decomposition (Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., section 3.4).

    Args:
        phases: (T,) place of each row in the season, 0 to S - 1, one after another.
    """
    half = period // 2
    kernel = np.ones(period) / period
    if period % 2 == 0:
        kernel = np.convolve(kernel, [0.5, 0.5])
    trend = np.convolve(line, kernel, "valid")  # (T - 2 half,)
    departure, places = line[half : half + len(trend)] - trend, phases[half : half + len(trend)]
    sums = np.bincount(places, departure, period)  # (S,)
    found = sums / np.maximum(np.bincount(places, minlength=period), 1)
    return found - found.mean()


def phases_of(times: np.ndarray, step: np.timedelta64, period: int) -> np.ndarray:
    """Place of each time in a season of `period` steps, counted from 1970; shape unchanged."""
    width = step.astype("timedelta64[us]").astype(np.int64)
    return times.astype("datetime64[us]").astype(np.int64) // width % period
