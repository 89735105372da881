"""Train the configured models once, on the history known at a moment, and say where they are and how good they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from forecast.errors import PartialError
from forecast.policy import Action, Decision
from pipelines.console import wide_console
from pipelines.fleet import Fleet
from pipelines.jobs.guards import refuse_the_past, refuse_to_skip, refuse_unknown_series
from pipelines.jobs.moments import clock_of
from pipelines.jobs.setting_up import opened_fleet, tracked
from pipelines.show import show
from pipelines.slot import Slot
from pipelines.slots import slot_of
from pipelines.tick import ingest, retrain


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Ingest, reduce, train every nowcaster whatever its policy says, register, save; 4 if a training failed.

    The slot stays open: its decisions and forecasts are those of the `nowcast` that follows, which also records in
    the store what the training cost. No slot may be skipped: once one is done, `train` takes that one or the next.
    """
    console, now = wide_console(), clock_of(config).now()
    with opened_fleet(config, choices) as fleet:
        slot = slot_of(now, fleet.task.step, fleet.settings.latency)
        refuse_to_skip(fleet, slot)
        refuse_the_past(fleet, slot)
        refuse_unknown_series(fleet, slot)
        with tracked(fleet, config):
            this = Slot.at(fleet, slot)
            ingest(fleet, this)
            this.decisions = dict.fromkeys(fleet.nowcasters, Decision(Action.RETRAIN, "asked by hand"))
            retrain(fleet, this)
            show(fleet, this, fleet.meter.table().rename({"owner": "nowcaster"}))
            fleet.save(fleet.state.slot)
        _report(fleet, this, console)
    return 0


def _report(fleet: Fleet, this: Slot, console: Console) -> None:
    failed = []
    for name, outcome in this.outcomes.items():
        memory = fleet.state.of(name)
        if outcome.failed:
            failed.append(f"{name}: {outcome.why}")
            continue
        where = fleet.model_folder(name, memory.version)
        console.print(f"{name}: {outcome.why}; {memory.rows} of {memory.of} rows; {where}", soft_wrap=True)
    if failed:
        raise PartialError("\n  ".join([f"{len(failed)} of {len(this.outcomes)} trainings failed", *failed]))
