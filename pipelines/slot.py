"""What happened in one slot of a fleet."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from forecast.panel import Panel
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
    updated: dict[str, int] = field(default_factory=dict)  # nowcaster -> new rows that its champion took in
    faults: dict[str, str] = field(default_factory=dict)  # nowcaster -> what its check or forecast ran into
    panel: Panel | None = None  # the longest one read so far; `known` cuts it
    cuts: dict[int, Panel] = field(default_factory=dict)
    views: dict[tuple[str, bool, int], tuple[Panel, Panel]] = field(default_factory=dict)

    @classmethod
    def at(cls, fleet: Fleet, slot: datetime) -> Slot:
        """The slot as the fleet will act on it, `latency` later."""
        return cls(slot, slot + fleet.settings.latency)

    @property
    def failed(self) -> list[str]:
        """Nowcasters whose check, training or forecast failed; a champion whose training failed went on."""
        trainings = {name for name, outcome in self.outcomes.items() if outcome.failed}
        return [name for name in self.decisions if name in trainings or name in self.faults]

    def fault(self, name: str, what: str) -> None:
        """Note what a nowcaster ran into."""
        self.faults[name] = "; ".join([*([self.faults[name]] if name in self.faults else []), what])

    def outcome(self, name: str) -> str | None:
        """How the nowcaster's training ended and what else it ran into; None where there is nothing to tell."""
        told = [self.outcomes[name].why] if name in self.outcomes else []
        return "; ".join([*told, *([self.faults[name]] if name in self.faults else [])]) or None
