"""What happened in one slot of a fleet."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from forecast.policy import Decision
from pipelines.fleet import Fleet
from pipelines.training import TrainingOutcome


@dataclass
class Slot:
    """What happened in one slot, for the caller and the log."""

    slot: datetime
    now: datetime
    matured: pl.DataFrame = field(default_factory=pl.DataFrame)
    decisions: dict[str, Decision] = field(default_factory=dict)
    outcomes: dict[str, TrainingOutcome] = field(default_factory=dict)
    forecasts: pl.DataFrame = field(default_factory=pl.DataFrame)

    @classmethod
    def at(cls, fleet: Fleet, slot: datetime) -> Slot:
        """The slot as the fleet will act on it, `latency` later."""
        return cls(slot, slot + fleet.settings.latency)

    @property
    def failed(self) -> list[str]:
        """Nowcasters whose training failed; their champions went on."""
        return [name for name, outcome in self.outcomes.items() if outcome.failed]
