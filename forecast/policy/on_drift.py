"""Retrain when the forecasts themselves say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from forecast.detect import Detector, Signal
from forecast.errors import SchemaError
from forecast.policy.policy import Action, Decision, Policy, Situation
from forecast.schema import duration


@dataclass(frozen=True)
class Limits:
    """Ages that bound the detector's word.

    Args:
        min_age: cool-down; no retraining before this long after a training.
        max_age: forced retraining after this long.
        back_off: the cool-down grows by this factor with each training in a row that failed or was refused.
    """

    min_age: timedelta = timedelta(hours=6)  # text is taken too, and converted
    max_age: timedelta = timedelta(days=7)
    back_off: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "min_age", duration(self.min_age))
        object.__setattr__(self, "max_age", duration(self.max_age))
        if not self.min_age <= self.max_age or self.back_off < 1:
            raise SchemaError(
                f"min_age {self.min_age} must not exceed max_age {self.max_age}, and back_off {self.back_off} must be at least 1"
            )

    def cool_down(self, failures: int) -> timedelta:
        """Wait after the last attempt; never longer than `max_age`."""
        grown = self.min_age * self.back_off ** min(failures, 20)
        return min(grown, self.max_age)


class OnDrift(Policy):
    """Ask a detector about each slot's error; retrain on drift, within `limits`.

    L_now is the detector's level, L_ref its reference: the loss that a model fresh from training had on the
    check rows, which it was not trained on. When the challenger does not beat the champion there, the world
    has become harder, not the model older: the champion stays and L_ref becomes its own loss.

    Args:
        detector: watches the scaled error, one value per slot.
        check_window: rows on which a challenger must beat the champion.
        source: `live` = errors of forecasts as issued; `holdout` = errors of the present champion on rows
            newer than its data end.
        limits: cool-down, forced age, back-off.

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

    def _first(self, now: Situation) -> Decision:
        wait = self.limits.cool_down(max(now.failures - 1, 0))
        if now.attempted_at is not None and now.slot - now.attempted_at < wait:
            return Decision(Action.KEEP, f"no model yet, back-off of {wait} after {now.failures} failures")
        return Decision(Action.RETRAIN, "no model yet")

    def _decide(self, now: Situation) -> Decision:
        signal = Signal(int(self.detector.update(np.array([now.error]))[0]))
        loss, reference = float(self.detector.level[0]), float(self.detector.reference[0])
        action, why = self._judge(now, signal)
        return Decision(action, why, loss, reference)

    def _judge(self, now: Situation, signal: Signal) -> tuple[Action, str]:
        if now.age >= self.limits.max_age:
            return Action.RETRAIN, f"age {now.age} reached max_age {self.limits.max_age}"
        if signal < Signal.DRIFT:
            return Action.KEEP, signal.name.lower()
        assert now.attempted_at is not None
        wait = self.limits.cool_down(now.failures)
        if now.slot - now.attempted_at < wait:
            return Action.KEEP, f"drift, but cooling down: {now.slot - now.attempted_at} of {wait}"
        return Action.RETRAIN, "drift"

    def trained(self, promoted: bool, reference: float) -> None:
        self.detector.reset(reference=np.array([reference]))

    def state(self) -> dict[str, Any]:
        return {"detector": self.detector.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.detector.restore(state["detector"])
