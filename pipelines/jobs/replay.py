"""Replay a stretch of history hour by hour through the very loop that runs live, and report on it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from forecast.errors import PartialError, SchemaError
from forecast.meter import read_clocks
from pipelines.compare import render
from pipelines.console import wide_console
from pipelines.fleet import OVERHEAD, Fleet
from pipelines.jobs.setting_up import opened_fleet
from pipelines.report import write_report
from pipelines.run import cpu_s
from pipelines.slot import Slot
from pipelines.summary import summarise
from pipelines.tick import tick

COLUMNS = (TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Run the job; 0, or 4 if a nowcaster's training failed on the way."""
    console = wide_console()
    with opened_fleet(config, choices) as fleet:
        failed = _replay(fleet, _slots(config, fleet), console)
        _finish(fleet, config, console)
    if failed:
        raise PartialError(
            f"trainings of {', '.join(sorted(failed))} failed, their last good models went on: see `decisions`"
        )
    return 0


def _slots(config: Mapping[str, Any], fleet: Fleet) -> list[datetime]:
    """The slots to replay, those done before left out."""
    start, step = parse_time(config["clock"]["start"]), fleet.task.step
    if start is None:
        raise SchemaError("a replay needs its first slot: clock.start=2013-05-21T00:00Z, say")
    count = int(timedelta(days=config["clock"]["days"]) / step)
    slots = [start + k * step for k in range(count)]
    return [s for s in slots if fleet.state.slot is None or s > fleet.state.slot]


def parse_time(text: str | datetime | None) -> datetime | None:
    """An ISO time in UTC; null stays null.

    Raises:
        SchemaError: not a time, or without a zone.
    """
    if text is None or isinstance(text, datetime):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SchemaError(f"'{text}' is not a time: write it like 2013-05-21T00:00Z") from error
    if moment.tzinfo is None:
        raise SchemaError(f"'{text}' has no zone: write it like {text}Z for UTC")
    return moment.astimezone(UTC)


def _replay(fleet: Fleet, slots: list[datetime], console: Console) -> set[str]:
    failed: set[str] = set()
    with Progress(*COLUMNS, TextColumn("{task.fields[doing]}"), console=console) as progress:
        bar = progress.add_task(f"replay {fleet.name}", total=len(slots), doing="")
        for slot in slots:
            done = tick(fleet, slot)
            if done is not None:
                failed |= set(done.failed)
                progress.update(bar, doing=_doing(done))
            progress.advance(bar)
    return failed


def _doing(done: Slot) -> str:
    promoted = sum(o.promoted for o in done.outcomes.values())
    return f"{done.slot:%Y-%m-%d %H:%M} · {len(done.outcomes)} trained, {promoted} promoted · {done.matured.height} rows settled"


def _finish(fleet: Fleet, config: Mapping[str, Any], console: Console) -> None:
    """Table, report, final metrics, accounting, and how to look further."""
    with fleet.meter.charge(OVERHEAD, "log"):
        table = summarise(fleet)
        if table.is_empty():
            console.print("nothing has matured yet: no figures to show")
            return
        fleet.edges.executor.close()  # so that its processes count
        report = write_report(fleet, table)
        _log_final(fleet, table)
        fleet.edges.tracker.artifact(report)
        fleet.edges.tracker.close()
        console.print(render(table.drop("nowcaster", "slots"), title=f"{fleet.name}: {table['slots'].max()} slots"))
    accounts = accounting(fleet, config["cpu_before_s"])
    (fleet.folder / "accounting.json").write_text(json.dumps(accounts, indent=1))
    console.print(
        f"CPU: {accounts['charged_cpu_s']:.1f} s charged of {accounts['process_cpu_s']:.1f} s used, "
        f"peak memory {accounts['peak_mb']:.0f} MB"
    )
    console.print(f"report:  {report}", soft_wrap=True)
    folder = Path(config["folder"]).absolute()
    console.print(f"MLflow:  {Path(sys.prefix) / 'bin' / 'forecast'} ui folder={folder}", soft_wrap=True)


def _log_final(fleet: Fleet, table: Any) -> None:
    kept = ("mae/", "skill/", "coverage80/", "cpu_s", "wall_s", "dC", "dE", "ENC", "retrains", "promotions", "rows")
    for row in table.iter_rows(named=True):
        metrics = {k: float(v) for k, v in row.items() if v is not None and k.startswith(kept)}
        fleet.edges.tracker.log(row["nowcaster"], metrics, 0)


def accounting(fleet: Fleet, before_s: float) -> dict[str, float]:
    """CPU seconds charged (to nowcasters and overhead) beside what the process and its children used, and peak memory."""
    charged, used = fleet.meter.total_cpu_s, cpu_s() - before_s
    peak = read_clocks().peak_mb
    return {"charged_cpu_s": charged, "process_cpu_s": used, "share": charged / used, "peak_mb": peak}
