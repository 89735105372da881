"""One tick for cron, systemd or a CronJob: forecast the newest slot that is due, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from forecast.errors import NoFreshDataError, PartialError
from forecast.schema import duration
from pipelines.clock import LiveClock, ReplayClock
from pipelines.jobs.replay import parse_time
from pipelines.jobs.setting_up import opened_fleet
from pipelines.slot import Slot
from pipelines.slots import due
from pipelines.tick import tick


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Run the job. 0 done or nothing to do, 3 no series is fresh, 4 a training failed and its champion went on."""
    console, moment = Console(), parse_time(config["clock"]["now"])
    clock = ReplayClock(moment) if moment else LiveClock()
    with opened_fleet(config, choices) as fleet:
        latency = duration(config["latency"])
        slots = due(fleet.state.slot, clock.now(), fleet.task.step, latency, config["catchup"])
        if not slots:
            console.print(f"nothing to do: slot {fleet.state.slot:%Y-%m-%d %H:%M} is done")
            return 0
        for slot in slots:
            done = tick(fleet, slot)
    if done is not None:
        _answer(done, console)
    return 0


def _answer(done: Slot, console: Console) -> None:
    """Print the forecasts, or raise what a scheduler must see."""
    usable = done.forecasts.height and done.forecasts["point"].is_not_null().any()
    if not usable and not done.failed:
        raise NoFreshDataError(
            f"no series has fresh data at {done.slot:%Y-%m-%d %H:%M}: check the source, `forecast status`"
        )
    table = Table(
        "nowcaster",
        "series",
        "status",
        "variable",
        *(["+%d" % k for k in done.forecasts["lead"].unique().sort()] if usable else []),
    )
    groups = done.forecasts.group_by("nowcaster", "series", "variable", maintain_order=True) if usable else []
    for (name, series, variable), rows in groups:
        cells = ["" if p is None else f"{p:.1f}" for p in rows.sort("lead")["point"]]
        table.add_row(name, series, rows["status"][0], variable, *cells)
    console.print(f"slot {done.slot:%Y-%m-%d %H:%M}", table)
    if done.failed:
        raise PartialError(f"trainings of {', '.join(done.failed)} failed: see `forecast status`")
