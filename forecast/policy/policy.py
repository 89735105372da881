"""Policy: whether to retrain now. Pure rules over a `Situation`; what they remember is their own state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, final


class Action(StrEnum):
    """What to do with the model in this slot."""

    KEEP = "keep"
    RETRAIN = "retrain"


@dataclass(frozen=True)
class Situation:
    """What is known about one nowcaster at a slot.

    Args:
        slot: time of the newest row a model may see now.
        trained_at: slot of the champion's training; None before the first.
        attempted_at: slot of the newest training, promoted or not; None before the first.
        failures: trainings in a row that failed or were refused promotion.
        error: scaled error of the forecasts that matured in this slot; NaN if none did.
    """

    slot: datetime
    trained_at: datetime | None
    attempted_at: datetime | None
    failures: int = 0
    error: float = float("nan")

    @property
    def age(self) -> timedelta:
        """Time since the champion's training."""
        assert self.trained_at is not None
        return self.slot - self.trained_at


@dataclass(frozen=True)
class Decision:
    """Action and reason, with the two losses that explain it (NaN where the rule looks at none)."""

    action: Action
    why: str
    loss: float = float("nan")
    reference: float = float("nan")


class Policy(ABC):
    """Base of retraining rules.

    `challenges`: a freshly trained model must beat the champion on rows neither was trained on, before it
    takes over; else it takes over at once. `check_window`: how many rows that comparison covers. `clocked`: decisions
    follow from times alone, whatever the errors are, so that they are known in advance.
    """

    challenges: ClassVar[bool] = False
    clocked: ClassVar[bool] = False
    check_window: int = 24

    @final
    def decide(self, now: Situation) -> Decision:
        """Observe the slot's error and decide. Called once per slot, in order of time."""
        if now.trained_at is None:
            return self._first(now)
        return self._decide(now)

    def _first(self, now: Situation) -> Decision:
        return Decision(Action.RETRAIN, "no model yet")

    @abstractmethod
    def _decide(self, now: Situation) -> Decision:
        """Decide about a nowcaster that has a champion."""

    def trained(self, promoted: bool, reference: float) -> None:  # noqa: B027  (most rules remember nothing)
        """Learn that a training ended; `reference` is the loss to be expected from now on, NaN if not measured."""

    def state(self) -> dict[str, Any]:
        """What the rule remembers, as JSON-able data."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Take over a state written by `state`."""
