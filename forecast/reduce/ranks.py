"""Ranks of rows: who stays when rows are thinned. A row's rank depends on its time and a seed alone.

Keeping the lowest ranks of a window that slides is therefore steady: no row changes its rank, so a row only leaves for
a newcomer or with the window ("permanent random numbers": Ohlsson 1995, "Coordination of samples using permanent random
numbers", Business Survey Methods).
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from forecast.panel import Panel

GOLDEN = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio
WORDS = 2**64


def random_ranks(panel: Panel, seed: int) -> np.ndarray:
    """(T,) words of 64 bits, as good as independent draws."""
    seconds = panel.times.astype("datetime64[s]").astype(np.uint64)  # (T,)
    return _scramble(seconds + _word(seed * GOLDEN))


def even_ranks(panel: Panel, seed: int) -> np.ndarray:
    """(T,) numbers in (0, 1): multiples of one irrational number, modulo 1, of each row's place on the grid.

    The rows below a threshold then lie evenly, with at most three different gaps (Sós 1958, "On the distribution mod 1
    of the sequence n alpha"). The number is the one next to the golden ratio whose multiple after a whole day is the
    golden ratio itself, modulo 1: so the rows kept are even in time and, for each hour of the day, from day to day.
    The golden ratio alone returns to the same hours every six days, and leaves others out for months.
    """
    number = panel.times.astype("datetime64[us]").astype(np.int64) // (panel.step // timedelta(microseconds=1))  # (T,)
    turned = number.astype(np.uint64) * _word(turn(panel.step)) + _scramble(_word(seed * GOLDEN))  # (T,)
    return ((turned >> np.uint64(11)).astype(float) + 0.5) / 2**53


def turn(step: timedelta) -> int:
    """2^64 (k + golden ratio) / (steps of a day), with the whole k that brings it next to 2^64 times the golden ratio.

    In whole numbers, since their products are exact modulo 2^64, however far the times are from 1970 (Fibonacci
    hashing: Knuth, "The Art of Computer Programming" 3, section 6.4).
    """
    steps = max(1, round(timedelta(days=1) / step))
    k = round(GOLDEN / WORDS * (steps - 1))
    return (k * WORDS + GOLDEN) // steps


def lowest(ranks: np.ndarray, rows: int) -> np.ndarray:
    """(T,) mask of the `rows` lowest of `ranks` (T,)."""
    keep = np.zeros(len(ranks), bool)
    if rows > 0:
        keep[np.argsort(ranks, kind="stable")[:rows]] = True
    return keep


def _word(number: int) -> np.ndarray:
    """(1,) the last 64 bits of a number; an array, whose arithmetic wraps round in silence."""
    return np.array([number % WORDS], np.uint64)


def _scramble(x: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014): well-mixed 64-bit words (T,) of the words (T,)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
