"""Rules that do not look at errors: retrain always, never, or by the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from forecast.policy.policy import Action, Decision, Policy, Situation
from forecast.schema import duration


class Always(Policy):
    """Retrain in every slot: the reference of cost and error."""

    clocked: ClassVar[bool] = True

    def _decide(self, now: Situation) -> Decision:
        return Decision(Action.RETRAIN, "every slot")


class Never(Policy):
    """Train once."""

    clocked: ClassVar[bool] = True

    def _decide(self, now: Situation) -> Decision:
        return Decision(Action.KEEP, "trained once")


class Every(Policy):
    """Retrain by the clock, every `period` (a timedelta or text such as "24h") since the last training."""

    clocked: ClassVar[bool] = True

    def __init__(self, period: timedelta | str) -> None:
        self.period = duration(period)

    def _decide(self, now: Situation) -> Decision:
        due = now.age >= self.period
        return Decision(Action.RETRAIN if due else Action.KEEP, f"age {now.age}, period {self.period}")
