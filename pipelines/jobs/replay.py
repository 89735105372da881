"""Replay a stretch of history hour by hour through the very loop that runs live, and report on it."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from forecast.meter import read_clocks
from pipelines.claims import claims
from pipelines.compare import render
from pipelines.configurations import per_configuration
from pipelines.console import wide_console
from pipelines.curves import log_curves
from pipelines.fleet import OVERHEAD, Fleet
from pipelines.jobs.failures import Failures, raise_if_not_fresh
from pipelines.jobs.guards import refuse_the_past
from pipelines.jobs.moments import replay_slots
from pipelines.jobs.setting_up import opened_fleet, tracked
from pipelines.report import write_report
from pipelines.run import cpu_s
from pipelines.show import register
from pipelines.slot import Slot
from pipelines.summary import summarise
from pipelines.tick import tick

COLUMNS = (TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
ACCOUNTING = "accounting.json"  # written last: where it is, the replay before was ended in good order
FINAL = (
    "mae/",
    "skill/",
    "coverage",
    "cpu_s",
    "wall_s",
    "dC",
    "dE",
    "ENC",
    "retrains",
    "promotions",
    "rows",
    "slots",
)


@dataclass(frozen=True)
class Pace:
    """How fast a replay went: slots done by this process, nowcasters, wall seconds."""

    slots: int
    nowcasters: int
    wall_s: float

    @property
    def told(self) -> str:
        """In words.

        >>> Pace(24, 144, 1728.0).told
        'Pace: 24 slots of 144 nowcasters in 28.8 min, 72.0 s a slot: 7,200 model-slots an hour'
        """
        served = self.slots * self.nowcasters
        return (
            f"Pace: {self.slots} slots of {self.nowcasters} nowcasters in {self.wall_s / 60:.1f} min, "
            f"{self.wall_s / self.slots:.1f} s a slot: {3600 * served / self.wall_s:,.0f} model-slots an hour"
        )


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Run the job; 0, 3 if nothing could be forecast, 4 if a nowcaster's training failed on the way."""
    console = wide_console()
    with opened_fleet(config, choices) as fleet:
        slots = replay_slots(config, fleet)
        todo = [s for s in slots if fleet.state.slot is None or s > fleet.state.slot]
        if not todo and (fleet.folder / ACCOUNTING).exists():
            return _say_done(fleet, len(slots), console)
        if todo:
            refuse_the_past(fleet, todo[0])
        (fleet.folder / ACCOUNTING).unlink(missing_ok=True)
        fleet.settings = replace(fleet.settings, register=False)  # the last champions are registered at the end
        with tracked(fleet, config):
            began = time.perf_counter()
            failures, last = _replay(fleet, slots, len(slots) - len(todo), console)
            pace = Pace(len(todo), len(fleet.nowcasters), time.perf_counter() - began)
            _finish(fleet, config, console, pace)
        if last is not None:
            raise_if_not_fresh(fleet, last)
        failures.raise_any(fleet)
    return 0


def _say_done(fleet: Fleet, slots: int, console: Console) -> int:
    table = summarise(fleet)
    if table.height:
        _show(fleet, table, console)
    console.print(f"nothing to do: all {slots} slots are done; another run=NAME starts anew", soft_wrap=True)
    console.print(f"report:  {fleet.folder / 'report.html'}", soft_wrap=True)
    return 0


def _replay(fleet: Fleet, slots: list[datetime], done: int, console: Console) -> tuple[Failures, Slot | None]:
    """Tick through the slots after the first `done`; what failed, and the last slot."""
    failures, last = Failures(), None
    with Progress(*COLUMNS, TextColumn("{task.fields[doing]}"), console=console) as progress:
        bar = progress.add_task(f"replay {fleet.name}", total=len(slots), completed=done, doing="")
        for slot in slots[done:]:
            this = tick(fleet, slot)
            if this is not None:
                last = this
                failures.note(this)
                progress.update(bar, doing=_doing(this))
            progress.advance(bar)
    return failures, last


def _doing(done: Slot) -> str:
    promoted = sum(o.promoted for o in done.outcomes.values())
    failed = f", {len(done.failed)} failed" if done.failed else ""
    trained = f"{len(done.outcomes)} trained, {promoted} promoted{failed}"
    return f"{done.slot:%Y-%m-%d %H:%M} · {trained} · {done.matured.height} rows settled"


def _finish(fleet: Fleet, config: Mapping[str, Any], console: Console, pace: Pace) -> None:
    """Table, report, final metrics, accounting, and how to look further."""
    with fleet.meter.charge(OVERHEAD, "log"):
        table, tracker = summarise(fleet), fleet.edges.tracker
        fleet.edges.executor.close()  # so that its processes count
        if table.height:
            report = write_report(fleet, table)
            _log_final(fleet, table)
            log_curves(fleet)
            tracker.artifact(report)
        for name in fleet.nowcasters if config["register"] else ():
            register(fleet, name)
        tracker.close()
    accounts = accounting(fleet, config["cpu_before_s"])
    (fleet.folder / ACCOUNTING).write_text(json.dumps(accounts, indent=1))
    if table.is_empty():
        console.print("no forecast has met its truth yet: no figures to show")
        return
    _show(fleet, table, console)
    if pace.slots:
        console.print(pace.told, soft_wrap=True)
    console.print(
        f"CPU: {accounts['charged_cpu_s']:.1f} s charged of {accounts['process_cpu_s']:.1f} s used, "
        f"peak memory {accounts['peak_mb']:.0f} MB"
    )
    console.print(f"report:  {report}", soft_wrap=True)
    if "folder_or_uri" in config["tracker"]:
        program = shlex.join([str(Path(sys.prefix) / "bin" / "forecast"), "ui", f"folder={config['folder']}"])
        console.print(f"MLflow:  {program} fleet={config['fleet']}", soft_wrap=True)


def _show(fleet: Fleet, table: pl.DataFrame, console: Console) -> None:
    """The table, one row per configuration, and the paper's claims where the grid is the paper's."""
    slots, short = max(table["slots"].to_list()), per_configuration(table)
    columns = [c for c in ("nowcaster", "slots", "wall_s", "promotions", "nowcasters") if c in short.columns]
    console.print(render(short.drop(columns), title=f"{fleet.name}: {slots} slots"))
    found = claims(short)
    if found is not None:
        console.print(found)


def _log_final(fleet: Fleet, table: pl.DataFrame) -> None:
    first = min(fleet.edges.store.records("decisions")["slot"].to_list()).timestamp()
    for row in table.iter_rows(named=True):
        metrics = {k: float(v) for k, v in row.items() if v is not None and k.startswith(FINAL)}
        fleet.edges.tracker.log(row["nowcaster"], {**metrics, "first_slot": first}, 0)


def accounting(fleet: Fleet, before_s: float) -> dict[str, float]:
    """CPU seconds charged, to nowcasters and overhead, beside those used, children included; and peak memory."""
    charged, used = fleet.charged_cpu_s, cpu_s() - before_s
    peak = read_clocks().peak_mb
    return {"charged_cpu_s": charged, "process_cpu_s": used, "share": charged / used, "peak_mb": peak}
