"""KSWIN: do the newest errors and a sample of the older ones come from the same distribution?"""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb

import numpy as np
import numpy.typing as npt

from forecast.detect.base import Detector
from forecast.detect.signal import Signals, signals
from forecast.detect.state import Floats, State


class KSWIN(Detector):
    """Kolmogorov-Smirnov windowing: DRIFT when the newest `stat_size` errors differ from as many older ones.

    The older ones are drawn from the rest of the last `window_size` errors. Alarms at the same steps as
    `river.drift.KSWIN` with the same seed in each stream: streams that have been tested equally often share a draw.
    `level` is the mean of the newest `stat_size` errors once the window is full.

    Parameters
    ----------
    alpha : significance of the test, in (0, 1); with one test per step it must be small.
    window_size : errors in the window, at least 2 * stat_size.
    stat_size : errors in each of the two samples.
    seed : of the draws, the same in each stream and after each new start.

    Source: C. Raab, M. Heusinger and F.-M. Schleif, Reactive Soft Prototype Computing for Concept Drift Streams,
    Neurocomputing 416 (2020).

    >>> detector = KSWIN(window_size=20, stat_size=8)
    >>> [i for i in range(60) if detector.update([i % 7 if i < 40 else i % 7 + 9])[0] == 2]
    [46]
    """

    _chance: random.Random | None = None
    _draws: npt.NDArray[np.int64]  # (tests, R), the older error to take
    _table: npt.NDArray[np.bool_] | None = None

    def __init__(self, alpha: float = 0.005, window_size: int = 100, stat_size: int = 30, seed: int = 0) -> None:
        self.alpha = alpha
        self.window_size = window_size
        self.stat_size = stat_size
        self.seed = seed

    def _rules(self) -> dict[str, bool]:
        return {
            "alpha must be in (0, 1)": 0 < self.alpha < 1,
            "stat_size must be >= 1": self.stat_size >= 1,
            "window_size must be >= 2 * stat_size": self.window_size >= 2 * self.stat_size,
        }

    def _empty(self, count: int) -> State:
        return {
            "last": np.zeros((count, self.window_size)),  # oldest first
            "seen": np.zeros(count, np.int64),
        }

    def _step(self, state: State, error: Floats) -> Signals:
        last, seen = state["last"], state["seen"]
        last[:, :-1] = last[:, 1:]
        last[:, -1] = error
        seen += 1
        full = seen >= self.window_size  # (S,)
        drift = np.zeros(len(error), bool)
        if full.any():
            window = last if full.all() else last[full]  # (F, W)
            drift[full] = self._differ(window, seen[full] - self.window_size)
        return signals(drift)

    def _differ(self, window: Floats, test: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which windows (F, W) fail their test; `test` (F,) counts the tests since the start."""
        older = np.take_along_axis(window, self._drawn(int(test.max()) + 1)[test], axis=1)  # (F, R)
        return self._alarming()[gap(older, window[:, -self.stat_size :])]

    def _drawn(self, tests: int) -> npt.NDArray[np.int64]:
        """At least `tests` draws, in order; all are kept, since a stream that begins anew needs the first again."""
        if self._chance is None:
            self._chance, self._draws = random.Random(self.seed), np.zeros((0, self.stat_size), np.int64)
        older = range(self.window_size - self.stat_size)
        while len(self._draws) < tests:
            more = [self._chance.sample(older, self.stat_size) for _ in range(max(64, len(self._draws) // 4))]
            self._draws = np.concatenate([self._draws, np.array(more)])
        return self._draws

    def _alarming(self) -> npt.NDArray[np.bool_]:
        """Which gaps 0..R are an alarm, (R + 1,); the extra `> 0.1` is River's."""
        if self._table is None:
            size = self.stat_size
            self._table = np.array([p_value(g, size) <= self.alpha and g / size > 0.1 for g in range(size + 1)])
        return self._table

    def _level(self, state: State) -> Floats:
        newest = state["last"][:, -self.stat_size :].mean(axis=1)  # (S,)
        return np.where(state["seen"] >= self.window_size, newest, np.nan)


def gap(left: Floats, right: Floats) -> npt.NDArray[np.int64]:
    """Largest gap between the two empirical distributions of each row, in counts 0..R; both (F, R)."""
    both = np.concatenate([left, right], axis=1)  # (F, 2R)
    order = both.argsort(axis=1)
    ahead = np.where(order < left.shape[1], 1, -1).cumsum(axis=1)  # (F, 2R)
    ordered = np.take_along_axis(both, order, axis=1)
    tied = ordered[:, :-1] == ordered[:, 1:]  # equal values count together, at the last of them
    ahead[:, :-1][tied] = 0
    return np.abs(ahead).max(axis=1)  # (F,)


def p_value(gap: int, size: int) -> float:
    """Chance of a gap at least this large between two samples of equal `size` and distribution (exact, two-sided)."""
    if gap == 0:
        return 1.0
    paths = sum((-1) ** (k + 1) * comb(2 * size, size - k * gap) for k in range(1, size // gap + 1))
    return float(Fraction(2 * paths, comb(2 * size, size)))
