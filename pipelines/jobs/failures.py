"""What a scheduler must hear of: no fresh data, nowcasters that failed, nowcasters without a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from forecast.errors import NoFreshDataError, PartialError
from pipelines.fleet import Fleet
from pipelines.slot import Slot


@dataclass
class Failures:
    """First failure of each nowcaster over many slots, and how many there were."""

    first: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)

    def note(self, this: Slot) -> None:
        """Take down what failed in a slot."""
        for name in this.failed:
            self.first.setdefault(name, (this.slot, this.outcome(name) or "no reason given"))
            self.count[name] = self.count.get(name, 0) + 1

    def raise_any(self, fleet: Fleet) -> None:
        """Raises PartialError if any nowcaster failed, or has no model to forecast with; says why."""
        without = [name for name in fleet.nowcasters if not fleet.state.of(name).version]
        failed = [name for name in fleet.nowcasters if name in self.first or name in without]
        if not failed:
            return
        lines = [f"{name}{' has no model' if name in without else ''}: {self._why(fleet, name)}" for name in failed]
        few = len(failed) < len(fleet.nowcasters)
        head = f"{len(failed)} of {len(fleet.nowcasters)} nowcasters failed{', the others went on' if few else ''}"
        raise PartialError("\n  ".join([head, *lines]))

    def _why(self, fleet: Fleet, name: str) -> str:
        if name not in self.first:
            return _last_outcome(fleet, name)
        slot, text = self.first[name]
        times = f", {self.count[name]} times in all" if self.count[name] > 1 else ""
        return f"{text} (slot {slot:%Y-%m-%d %H:%M}{times})"


def _last_outcome(fleet: Fleet, name: str) -> str:
    """Why a nowcaster that did nothing in these slots has no model."""
    rows = fleet.edges.store.records("decisions")
    told = rows.filter((pl.col("nowcaster") == name) & pl.col("outcome").is_not_null()) if rows.height else rows
    if told.is_empty():
        return "it was never trained"
    return f"{told['outcome'][-1]} (slot {told['slot'].to_list()[-1]:%Y-%m-%d %H:%M})"


def raise_if_not_fresh(fleet: Fleet, this: Slot) -> None:
    """Raises NoFreshDataError if no series has a forecast, and no row that could have given one."""
    forecasts = this.forecasts
    if forecasts.height and forecasts["point"].is_not_null().any():
        return
    oldest = this.slot - fleet.task.patience * fleet.task.step
    if forecasts.is_empty() and fleet.edges.store.read(as_of=this.now, start=oldest, end=this.slot).height:
        return
    rows = fleet.edges.store.read(as_of=this.now)
    newest = f"the newest row is of {max(rows['time'].to_list()):%Y-%m-%d %H:%M}" if rows.height else "there is no row"
    raise NoFreshDataError(
        f"no series has fresh data at {this.slot:%Y-%m-%d %H:%M}, {newest}: check source "
        f"'{fleet.edges.source.name}'. For a table of the past, say when it is: clock.now=TIME"
    )
