"""Ratio: has the loss of the newest forecasts grown by more than a share of what it was after training?"""

from __future__ import annotations

import numpy as np

from forecast.detect.base import Detector
from forecast.detect.signal import Signals, signals
from forecast.detect.state import Floats, State


class Ratio(Detector):
    """DRIFT while L_now > L_ref * (1 + delta), WARN while L_now > L_ref * (1 + delta / 2).

    L_now is the mean of the last `window` errors. L_ref is what `reset` was given: L_now re-evaluated right after
    training. If it was given none, L_ref is the mean of the first `min_checks` errors since, and stays.
    Errors are losses, >= 0. The signal lasts as long as the loss is high: only `reset` starts a stream anew.

    Parameters
    ----------
    delta : the tolerated growth, a share of L_ref, >= 0.
    window : how many errors L_now covers (at one an hour, hours).
    min_checks : errors to see since the last reset before any signal, 1..window.

    Source: our own rule (`needs_training` when the old model's loss has grown).

    >>> ratio = Ratio(delta=0.1, window=2, min_checks=2)
    >>> [int(ratio.update([loss])[0]) for loss in (1.0, 1.0, 1.15, 1.3)]
    [0, 0, 1, 2]
    """

    starts_over = False
    signed = False

    def __init__(self, delta: float = 0.1, window: int = 48, min_checks: int = 24) -> None:
        self.delta = delta
        self.window = window
        self.min_checks = min_checks

    def _rules(self) -> dict[str, bool]:
        return {
            "delta must be >= 0": self.delta >= 0,
            "min_checks must be from 1 to window": 1 <= self.min_checks <= self.window,
        }

    def _empty(self, count: int) -> State:
        return {
            "last": np.zeros((count, self.window)),  # a ring
            "slot": np.zeros(count, np.int64),  # where the next error goes
            "seen": np.zeros(count),  # up to window
            "sum": np.zeros(count),
        }

    def _step(self, state: State, error: Floats) -> Signals:
        self._push(state, error)
        reference, seen = state["reference"], state["seen"]  # (S,)
        level = state["sum"] / seen  # (S,)
        learned = (seen == self.min_checks) & np.isnan(reference)
        if learned.any():
            reference[learned] = level[learned]
        ready = seen >= self.min_checks  # (S,)
        drift = ready & (level > reference * (1 + self.delta))
        return signals(drift, ready & (level > reference * (1 + self.delta / 2)))

    def _push(self, state: State, error: Floats) -> None:
        """Put the errors into the ring; the sum is renewed on each round, so that rounding cannot pile up."""
        last, slot, seen, total = state["last"], state["slot"], state["seen"], state["sum"]
        cell = np.arange(0, last.size, self.window) + slot  # (S,)
        ring = last.reshape(-1)
        total += error - ring[cell]
        ring[cell] = error
        slot += 1
        lapped = slot == self.window  # (S,)
        if lapped.any():
            slot[lapped] = 0
            total[lapped] = last[lapped].sum(axis=1)
        np.minimum(seen + 1, self.window, out=seen)

    def _level(self, state: State) -> Floats:
        return np.where(state["seen"] > 0, state["sum"] / np.maximum(state["seen"], 1), np.nan)  # (S,)
