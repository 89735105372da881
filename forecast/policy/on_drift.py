"""Retrain when the forecasts themselves say so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from forecast.detect import Detector, Signal
from forecast.errors import SchemaError
from forecast.policy.policy import Action, Decision, Policy, Situation
from forecast.schema import duration

LARGEST = 1e6  # times L_ref: drift, whatever it is; a reference near zero must not make it infinite


@dataclass(frozen=True)
class Limits:
    """What bounds the detector's word.

    Args:
        min_age: cool-down; no retraining before this long after a training. max_age: forced retraining after.
        min_checks: warm-up; errors seen since the training before the detector is heard. Where a training
            measured no reference, their mean becomes L_ref.
        back_off: the cool-down grows by this factor with each training in a row that failed or was refused.

    Raises:
        SchemaError: limits that contradict each other.
    """

    min_age: timedelta = timedelta(hours=6)  # text is taken too, and converted
    max_age: timedelta = timedelta(days=7)
    min_checks: int = 6
    back_off: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "min_age", duration(self.min_age))
        object.__setattr__(self, "max_age", duration(self.max_age))
        if not self.min_age <= self.max_age or self.back_off < 1 or self.min_checks < 1:
            raise SchemaError(
                f"min_age {self.min_age} must not exceed max_age {self.max_age}; back_off {self.back_off} and "
                f"min_checks {self.min_checks} must be at least 1"
            )

    def cool_down(self, failures: int) -> timedelta:
        """Wait after the last attempt; never longer than `max_age`."""
        return min(self.min_age * self.back_off ** min(failures, 20), self.max_age)


class OnDrift(Policy):
    """Ask a detector about each slot's error in units of L_ref; retrain on drift, within `limits`.

    L_ref is the loss that the model had right after training, on check rows it was not trained on; L_now is the
    mean error over the newest check window. When the challenger does not beat the champion there, the world has
    become harder, not the model older: the champion stays, and its loss on those rows becomes L_ref.
    A detector that begins anew after its alarm says it once: an alarm that comes while the limits hold it back is
    remembered until the next training.

    Args:
        detector: watches error / L_ref, one value per slot, about 1 while nothing changes.
        check_window: rows on which a challenger must beat the champion, and of L_now.
        source: `live` = errors of forecasts as issued; `holdout` = errors of the present champion on rows
            newer than its data end.
        limits: warm-up, cool-down, forced age, back-off.

    Source: the rule is ours; that stored models are re-evaluated on new data is arXiv 2309.15207's.
    """

    challenges = True
    SOURCES: Sequence[str] = ("live", "holdout")

    def __init__(
        self, detector: Detector, check_window: int = 24, source: str = "live", limits: Limits | None = None
    ) -> None:
        if source not in self.SOURCES:
            raise SchemaError(f"source is '{source}': choose one of {', '.join(self.SOURCES)}")
        self.detector = detector
        self.check_window = check_window
        self.source = source
        self.limits = limits or Limits()
        self._reference = math.nan
        self._checks = 0  # errors since the training
        self._alarm = False  # drift was said since the training, by a detector that says it once
        self._recent: list[float] = []  # newest errors, at most a check window

    def _first(self, now: Situation) -> Decision:
        wait = self.limits.cool_down(max(now.failures - 1, 0))
        if now.attempted_at is not None and now.slot - now.attempted_at < wait:
            return Decision(Action.KEEP, f"no model yet, back-off of {wait} after {now.failures} failures")
        return Decision(Action.RETRAIN, "no model yet")

    def _decide(self, now: Situation) -> Decision:
        signal = self._remembered(self._observe(now.error))
        action, why = self._judge(now, signal)
        return Decision(action, why, self._loss(), self._reference)

    def _observe(self, error: float) -> Signal:
        if math.isnan(error):
            return Signal.CALM
        self._checks += 1
        self._recent = [*self._recent, error][-self.check_window :]
        if math.isnan(self._reference):
            if self._checks < self.limits.min_checks:
                return Signal.CALM
            self._reference = _positive(float(np.mean(self._recent[-self._checks :])))
            if math.isnan(self._reference):
                return Signal.CALM  # no error at all so far: nothing to compare with
        times = min(error / self._reference, LARGEST)
        return Signal(int(self.detector.update(np.array([times]))[0]))

    def _remembered(self, signal: Signal) -> Signal:
        self._alarm |= self.detector.starts_over and signal == Signal.DRIFT
        return Signal.DRIFT if self._alarm else signal

    def _loss(self) -> float:
        return float(np.mean(self._recent)) if self._recent else math.nan

    def _judge(self, now: Situation, signal: Signal) -> tuple[Action, str]:
        old = now.age >= self.limits.max_age
        if not old and signal < Signal.DRIFT:
            return Action.KEEP, signal.name.lower()
        cause = f"age {now.age} reached max_age {self.limits.max_age}" if old else "drift"
        if not old and self._checks < self.limits.min_checks:
            return Action.KEEP, f"{cause}, but warming up: {self._checks} of {self.limits.min_checks} checks"
        assert now.attempted_at is not None
        wait = self.limits.cool_down(now.failures)
        if now.slot - now.attempted_at < wait:
            return Action.KEEP, f"{cause}, but cooling down: {now.slot - now.attempted_at} of {wait}"
        return Action.RETRAIN, cause

    def trained(self, promoted: bool, reference: float) -> None:
        self._reference, self._checks, self._alarm = _positive(reference), 0, False
        if promoted:
            self._recent = []  # L_now is of the present model
        self.detector.reset(reference=np.array([1.0]))

    def state(self) -> dict[str, Any]:
        reference = None if math.isnan(self._reference) else self._reference
        memory = {"reference": reference, "checks": self._checks, "alarm": self._alarm, "recent": list(self._recent)}
        return {**memory, "detector": self.detector.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self._reference = math.nan if state["reference"] is None else state["reference"]
        self._checks, self._alarm, self._recent = state["checks"], state["alarm"], list(state["recent"])
        self.detector.restore(state["detector"])


def _positive(loss: float) -> float:
    """`loss` if it can be divided by, else NaN: not known."""
    return loss if loss > 0 else math.nan
