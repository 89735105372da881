"""One tick for cron, systemd or a CronJob: forecast the newest slot that is due, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from pipelines.console import plain_table, wide_console
from pipelines.jobs.failures import Failures, raise_if_not_fresh
from pipelines.jobs.guards import refuse_the_past, refuse_unknown_series
from pipelines.jobs.moments import clock_of
from pipelines.jobs.setting_up import opened_fleet, tracked
from pipelines.slot import Slot
from pipelines.slots import due
from pipelines.tick import tick


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Run the job. 0 done or nothing to do, 3 no series is fresh, 4 a training failed or a model is missing."""
    console, now = wide_console(), clock_of(config).now()
    with opened_fleet(config, choices) as fleet:
        state, settings = fleet.state, fleet.settings
        slots = due(state.slot, now, fleet.task.step, settings.latency, config["catchup"])
        if not slots:
            last = f"slot {state.slot:%Y-%m-%d %H:%M} is done" if state.slot else "no slot is due"
            console.print(f"nothing to do: {last}", soft_wrap=True)
            return 0
        refuse_the_past(fleet, slots[0])
        refuse_unknown_series(fleet, slots[-1])
        with tracked(fleet, config):
            done = [this for slot in slots if (this := tick(fleet, slot)) is not None]
        if done[-1].forecasts.height:
            console.print(f"slot {done[-1].slot:%Y-%m-%d %H:%M}", _table(done[-1]))
        raise_if_not_fresh(fleet, done[-1])
        failures = Failures()
        for this in done:
            failures.note(this)
        failures.raise_any(fleet)
    return 0


def _table(this: Slot) -> Table:
    """The medians, a row per nowcaster, series and variable, a column per lead."""
    table = plain_table()
    for name in ("nowcaster", "series", "status", "variable"):
        table.add_column(name, no_wrap=True)
    for lead in this.forecasts["lead"].unique().sort():
        table.add_column(f"+{lead}", justify="right")
    groups = this.forecasts.group_by("nowcaster", "series", "variable", maintain_order=True)
    for (name, series, variable), rows in groups:
        cells = ["-" if p is None else f"{p:.1f}" for p in rows.sort("lead")["point"]]
        table.add_row(str(name), str(series), rows["status"][0], str(variable), *cells)
    return table
