"""Table and plot of the runs in MLflow: what accuracy each configuration reached, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forecast.spec import from_spec
from pipelines.build import allowed_targets
from pipelines.checking import check_targets
from pipelines.compare import compare, render
from pipelines.console import wide_console
from pipelines.jobs.recorded import recorded
from pipelines.report.figures import error_against_cost, save


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Print the table of the experiment named by `fleet`, write it as CSV and the cost plot beside it."""
    recorded(config)
    console, allowed = wide_console(), allowed_targets(config)
    check_targets(config["tracker"], allowed, "tracker")
    table = compare(from_spec(config["tracker"], allowed).runs())
    folder = Path(config["folder"])
    console.print(render(table, title=config["fleet"]))
    path = folder / f"compare-{config['fleet']}.csv"
    table.write_csv(path)
    console.print(f"table: {path}", soft_wrap=True)
    plot = save(error_against_cost(table), folder / f"compare-{config['fleet']}.png")
    console.print(f"plot:  {plot}", soft_wrap=True)
    return 0
