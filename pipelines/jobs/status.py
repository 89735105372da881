"""Is it stuck, why does it not retrain, which model is live: one line per nowcaster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from forecast.schema import duration
from pipelines.run import run_folder
from pipelines.state import NowcasterState, load_state

COLUMNS = ("nowcaster", "last check", "L_now", "L_ref", "age", "decision", "reason", "version", "data end", "next slot")


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Print the table; needs nothing but the run's folder."""
    folder = run_folder(dict(config))
    state, console = load_state(folder), Console()
    if state.slot is None:
        console.print(
            f"{folder} has no finished slot: run `forecast replay` or `forecast nowcast` with run={config['run']}"
        )
        return 0
    table = Table(*COLUMNS)
    following = f"{state.slot + duration(config['task']['step']):%m-%d %H:%M}"
    for name, memory in state.nowcasters.items():
        age = f"{state.slot - memory.trained_at}" if memory.trained_at else "-"
        end = f"{memory.data_end:%m-%d %H:%M}" if memory.data_end else "-"
        last = memory.last
        losses = (_number(last.get("loss")), _number(last.get("reference")))
        checked = f"{state.slot:%m-%d %H:%M}"
        table.add_row(
            name, checked, *losses, age, last.get("action"), _why(memory), memory.version or "-", end, following
        )
    console.print(table)
    return 0


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _why(memory: NowcasterState) -> str:
    failures = f", {memory.failures} trainings refused or failed" if memory.failures else ""
    return f"{memory.last.get('why')}{failures}"
