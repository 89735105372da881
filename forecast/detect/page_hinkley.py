"""PageHinkley: do the deviations from what is usual add up in one direction?"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from forecast.detect.base import Detector
from forecast.detect.signal import Signals, signals
from forecast.detect.state import Floats, State


class PageHinkley(Detector):
    """Page-Hinkley test: DRIFT when the summed deviation rises above its lowest point by more than `threshold`.

    Usual is the running mean, and alarms come at the same steps as `river.drift.PageHinkley`; or, where `reset` gave
    a reference, that reference, from the first step on. Only then does it see an error that is too high from the
    start: a running mean takes whatever it sees first for usual. Begins anew after each alarm. The deviations are
    in the error's unit, so `delta` and `threshold` are too: give errors relative to the usual one, or scale both.

    Parameters
    ----------
    min_instances : errors to see before any alarm, where there is no reference.
    delta : deviation per step that is tolerated.
    threshold : summed deviation that is an alarm (lambda).
    alpha : how much of the sum is kept at each step, in (0, 1].
    mode : "up" for a growing error, "down" for a shrinking one, or "both".

    Source: E. S. Page, Continuous Inspection Schemes, Biometrika 41 (1954); forgetting factor as in River.

    >>> detector = PageHinkley(threshold=3.0)
    >>> [i for i in range(60) if detector.update([1.0 if i < 40 else 2.0])[0] == 2]
    [43]
    """

    def __init__(
        self,
        min_instances: int = 30,
        delta: float = 0.005,
        threshold: float = 50.0,
        alpha: float = 1 - 0.0001,
        mode: Literal["up", "down", "both"] = "both",
    ) -> None:
        self.min_instances = min_instances
        self.delta = delta
        self.threshold = threshold
        self.alpha = alpha
        self.mode = mode

    def _rules(self) -> dict[str, bool]:
        return {
            "threshold must be >= 0": self.threshold >= 0,
            "alpha must be in (0, 1]": 0 < self.alpha <= 1,
            "mode must be 'up', 'down' or 'both'": self.mode in ("up", "down", "both"),
        }

    def _empty(self, count: int) -> State:
        names = ("seen", "mean", "up", "down")
        extremes = {"lowest": np.full(count, np.inf), "highest": np.full(count, -1.0)}  # -1, not -inf: as in River
        return {name: np.zeros(count) for name in names} | extremes

    def _step(self, state: State, error: Floats) -> Signals:
        seen, mean, up, down = state["seen"], state["mean"], state["up"], state["down"]  # each (S,)
        seen += 1
        move = error - mean  # (S,)
        move *= 1 / seen
        mean += move
        usual, ready = mean, seen >= self.min_instances  # (S,), (S,)
        if self._referenced:
            given = ~np.isnan(state["reference"])  # (S,)
            usual, ready = np.where(given, state["reference"], mean), ready | given
        deviation = error - usual  # (S,)
        for total, sign in ((up, -1), (down, 1)):
            total *= self.alpha
            total += deviation
            total += sign * self.delta
        low, high = state["lowest"], state["highest"]
        np.minimum(low, up, out=low)
        np.maximum(high, down, out=high)
        return signals(self._beyond(state) & ready)

    def _beyond(self, state: State) -> npt.NDArray[np.bool_]:
        """Whose summed deviation is too far from its extreme, (S,)."""
        if self.mode == "up":
            return state["up"] - state["lowest"] > self.threshold
        if self.mode == "down":
            return state["highest"] - state["down"] > self.threshold
        rise, fall = state["up"] - state["lowest"], state["highest"] - state["down"]  # each (S,)
        return np.maximum(rise, fall, out=rise) > self.threshold

    def _level(self, state: State) -> Floats:
        return np.where(state["seen"] > 0, state["mean"], np.nan)  # (S,)
