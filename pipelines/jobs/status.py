"""Is it stuck, why does it not retrain, which model is live: one line per nowcaster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from forecast.errors import SchemaError
from forecast.schema import duration
from pipelines.console import plain_table, wide_console
from pipelines.run import run_folder
from pipelines.state import FILE, FleetState, NowcasterState, load_state

COLUMNS = ("last check", "L_now", "L_ref", "age", "decision", "reason", "version", "data end", "next slot")


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Print the table; needs nothing but the run's folder, and changes nothing.

    Raises:
        SchemaError: there is no such run.
    """
    folder = run_folder(dict(config))
    if not (folder / FILE).exists():
        raise SchemaError(f"there is no run in {folder}{_others(folder)}")
    state, console = load_state(folder), wide_console()
    console.print(_table(state, duration(config["task"]["step"])))
    if state.slot is None:
        console.print("models are trained, no slot is done yet: `forecast nowcast` does the first", soft_wrap=True)
    return 0


def _others(folder: Path) -> str:
    """The runs there are beside a folder that has none, or how to make one."""
    root = folder.parent
    found = sorted(str(p.parent.relative_to(root)) for p in root.glob(f"**/{FILE}")) if root.is_dir() else []
    if found:
        return f": take one of run={', run='.join(found)}"
    return f": run `forecast replay` or `forecast nowcast` with run={folder.name} first"


def _table(state: FleetState, step: timedelta) -> Table:
    table = plain_table()
    table.add_column("nowcaster", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="right" if name.startswith("L_") else "left", no_wrap=name != "reason")
    for name, memory in state.nowcasters.items():
        table.add_row(name, *_cells(memory, state.slot, step))
    return table


def _cells(memory: NowcasterState, slot: datetime | None, step: timedelta) -> tuple[str, ...]:
    last = memory.last
    return (
        f"{slot:%m-%d %H:%M}" if slot else "-",
        _number(last.get("loss")),
        _number(last.get("reference")),
        _age(slot - memory.trained_at) if slot and memory.trained_at else "-",
        str(last.get("action", "-")),
        _why(memory),
        memory.version or "no model",
        f"{memory.data_end:%m-%d %H:%M}" if memory.data_end else "-",
        f"{slot + step:%m-%d %H:%M}" if slot else "-",
    )


def _age(age: timedelta) -> str:
    """Days and hours.

    >>> _age(timedelta(days=2, hours=3)), _age(timedelta(minutes=90))
    ('2d 3h', '1h 30m')
    """
    hours, minutes = divmod(int(age.total_seconds()) // 60, 60)
    return f"{hours // 24}d {hours % 24}h" if hours >= 24 else f"{hours}h {minutes}m" if minutes else f"{hours}h"


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _why(memory: NowcasterState) -> str:
    count = memory.failures
    failures = f"; {count} training{'s' if count > 1 else ''} in a row refused or failed" if count else ""
    moved = memory.data_end is not None and memory.trained_at is not None and memory.data_end > memory.trained_at
    fresh = "; kept fresh by updates" if moved else ""
    trouble = f"; {memory.last['outcome']}" if memory.last.get("outcome") else ""
    return f"{memory.last.get('why', '-')}{failures}{fresh}{trouble}"
