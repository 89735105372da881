"""Train the chosen model once, on the history known at a moment, and say where it is and how good it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from forecast.errors import ForecastError
from forecast.policy import Action, Decision
from pipelines.clock import LiveClock, ReplayClock
from pipelines.jobs.replay import parse_time
from pipelines.jobs.setting_up import opened_fleet
from pipelines.slot import Slot
from pipelines.slots import slot_of
from pipelines.tick import ingest, log, retrain


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Ingest, reduce, train every nowcaster of the configuration whatever its policy says, register, save."""
    console, moment = Console(), parse_time(config["clock"]["now"])
    clock = ReplayClock(moment) if moment else LiveClock()
    with opened_fleet(config, choices) as fleet:
        this = Slot.at(fleet, slot_of(clock.now(), fleet.task.step, fleet.settings.latency))
        ingest(fleet, this)
        asked = Decision(Action.RETRAIN, "asked by hand")
        this.decisions = dict.fromkeys(fleet.nowcasters, asked)
        retrain(fleet, this)
        log(fleet, this)
        fleet.save(this.slot)
        for name, outcome in this.outcomes.items():
            if outcome.failed:
                raise ForecastError(f"training of {name} failed: {outcome.why}")
            memory = fleet.state.of(name)
            where = fleet.model_folder(name, memory.version)
            console.print(f"{name}: {outcome.why}; {memory.rows} of {memory.of} rows; {where}", soft_wrap=True)
    return 0
