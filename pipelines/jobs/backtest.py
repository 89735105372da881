"""Fit several models on one table and compare their forecasts with the reference, by variable and lead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TextColumn

from forecast.errors import PartialError, UnknownNameError
from forecast.schema import Task, duration
from forecast.spec import from_spec
from pipelines.backtest.cell import Cell
from pipelines.backtest.cells import cells
from pipelines.backtest.checking import check_names, check_settings, check_trade
from pipelines.backtest.contestants import check_policies, contestants
from pipelines.backtest.data import panel_of, standardised
from pipelines.backtest.findings import Comparison
from pipelines.backtest.finish import finish
from pipelines.backtest.plan import Split
from pipelines.backtest.reporting import asked_of
from pipelines.backtest.run import run_cells
from pipelines.build import allowed_targets
from pipelines.checking import check_targets
from pipelines.console import wide_console
from pipelines.jobs.replay import COLUMNS
from pipelines.run import run_folder
from pipelines.slots import RunLock
from pipelines.threads import ThreadPolicy

PARTS = ("task", "source", "tracker", "executor", "baselines", "backtest")
SPLIT = ("part", "choose", "test", "end", "train", "history", "cutoffs", "every")


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Run the job; 0, or 4 if a model failed and the others went on."""
    threads = ThreadPolicy.detect(config["threads"]["workers"], config["threads"]["per_worker"])
    threads.apply()
    console, folder, allowed = wide_console(), run_folder(dict(config)), allowed_targets(config)
    for part in PARTS:
        check_targets(config.get(part), allowed, part)
    made = comparison(config, choices, folder)
    executor = config["executor"] | ({"workers": threads.workers} if "workers" in config["executor"] else {})
    with RunLock(folder / "run.lock"):
        pool = from_spec(executor, allowed)
        try:
            failed = _run(made, pool, console)
        finally:
            pool.close()
        told = finish(made, config, failed, threads, console)
    if failed:
        raise PartialError("\n  ".join([f"{len(failed)} of {len(made.cells)} fits failed, the others went on", *told]))
    return 0


def comparison(config: Mapping[str, Any], choices: Mapping[str, str], folder: Path) -> Comparison:
    """From plain configuration to cells.

    Raises:
        ForecastError: what is wrong with the configuration or the data, before anything is fitted.
    """
    asked, allowed = config["backtest"], allowed_targets(config)
    task: Task = from_spec(config["task"], allowed)
    check_settings(asked, task.horizon)
    check_policies(asked["policies"], allowed)
    found = contestants(config, choices, allowed)
    check_names(asked["report"], [one.label for one in found], task.target_names)
    horizons = asked["horizons"] or [task.horizon]
    split = Split(**{name: asked[name] for name in SPLIT})
    panel = panel_of(from_spec(config["source"], allowed), task, duration(config["latency"]), max(horizons))
    for name in config["series"]:
        if name not in panel.series:
            raise UnknownNameError("series", name, panel.series)
    if asked["standardise"]:
        panel, task = standardised(panel, task, split.stretches(panel.times, max(horizons))[0].stop)
    scored = tuple(sorted(config["series"])) or panel.series
    check_trade(asked, panel, task, scored, split.bounds(panel.times)[0])
    every = cells(found, panel, task, split, horizons, scored, asked["update"], allowed, folder / "cells")
    leads = range(1, max(horizons) + 1) if asked["leads"] is None else asked["leads"]
    for horizon in horizons:
        asked_of(asked, horizon, leads, [one.label for one in found], {})  # what is wrong with the report is told now
    return Comparison(found, every, task, horizons, list(leads), folder)


def _run(made: Comparison, executor: Any, console: Console) -> dict[str, str]:
    """Do what is not done yet; a line of progress."""
    done = sum(cell.done for cell in made.cells)
    with Progress(*COLUMNS, TextColumn("{task.fields[doing]}"), console=console) as progress:
        bar = progress.add_task("backtest", total=len(made.cells), completed=done, doing="")

        def told(cell: Cell, why: str) -> None:
            progress.update(
                bar, advance=1, doing=f"{cell.label} · horizon {cell.task.horizon}{' failed' if why else ''}"
            )

        return run_cells(made.cells, executor, told)
