"""Fit several models on one table and compare their forecasts with the reference, by variable and lead."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.progress import Progress, TextColumn

from forecast.errors import PartialError, UnknownNameError
from forecast.evaluation.sheet import Sheet
from forecast.panel import moment
from forecast.schema import Task, duration
from forecast.spec import from_spec
from pipelines.backtest.cell import Cell
from pipelines.backtest.cells import Contestant, cells, contestants, of_each
from pipelines.backtest.checking import check_settings
from pipelines.backtest.data import panel_of, standardised
from pipelines.backtest.figures import error_by_lead
from pipelines.backtest.losses import nominal
from pipelines.backtest.plan import Split
from pipelines.backtest.reducing import reducing
from pipelines.backtest.run import run_cells
from pipelines.backtest.scores import scores, with_skill
from pipelines.backtest.table import NOTE, sheets, show
from pipelines.backtest.tracking import log
from pipelines.build import allowed_targets
from pipelines.checking import check_targets
from pipelines.console import wide_console
from pipelines.jobs.replay import COLUMNS
from pipelines.protocols import Tracker
from pipelines.run import run_folder
from pipelines.slots import RunLock
from pipelines.threads import ThreadPolicy

MANY = 12  # series, from which on they are counted instead of named
PARTS = ("task", "source", "tracker", "executor", "baselines", "backtest")
SPLIT = ("part", "choose", "test", "end", "train", "history", "cutoffs", "every")


@dataclass(frozen=True)
class Comparison:
    """A backtest, ready to run: who takes part, in which cells, and how it is shown."""

    contestants: Sequence[Contestant]
    cells: Sequence[Cell]
    task: Task
    horizons: Sequence[int]
    leads: Sequence[int]
    folder: Path


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
        told = _finish(made, config, failed, threads, console)
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
    found = contestants(config, choices, allowed)
    horizons = asked["horizons"] or [task.horizon]
    split = Split(**{name: asked[name] for name in SPLIT})
    panel = panel_of(from_spec(config["source"], allowed), task, duration(config["latency"]), max(horizons))
    for name in config["series"]:
        if name not in panel.series:
            raise UnknownNameError("series", name, panel.series)
    if asked["standardise"]:
        panel, task = standardised(panel, task, split.stretches(panel.times, max(horizons))[0].stop)
    scored = tuple(sorted(config["series"])) or panel.series
    every = cells(found, panel, task, split, horizons, scored, asked["update"], allowed, folder / "cells")
    leads = range(1, max(horizons) + 1) if asked["leads"] is None else asked["leads"]
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


def _finish(
    made: Comparison, config: Mapping[str, Any], failed: Mapping[str, str], threads: ThreadPolicy, console: Console
) -> list[str]:
    """Scores, tables, figures, MLflow. Returns what failed, in words."""
    told = [f"{c.label}, horizon {c.task.horizon}: {failed[c.key]}" for c in made.cells if c.key in failed]
    if config["backtest"]["reference"] in {c.label for c in made.cells if c.key in failed}:
        raise PartialError("\n  ".join(["the reference failed: there is nothing to compare with", *told]))
    table, costs = _scored(made, config["backtest"], failed), _costs(made, failed)
    table.write_parquet(made.folder / "scores.parquet")
    costs.write_parquet(made.folder / "costs.parquet")
    labels = {c.label: c.labels for c in made.contestants}
    pages = sheets(table, costs, made.leads, nominal(made.task.levels)) + reducing(table, costs, labels, made.leads)
    for page in pages:
        show(page, console)
    path = made.folder / "table.md"
    path.write_text(_markdown(made, config, pages, told))
    console.print(f"table:  {path}", soft_wrap=True)
    units = {v.name: v.unit for v in made.task.targets}
    pictures = [error_by_lead(table, units, h, made.folder / f"error_by_lead_{h}.png") for h in made.horizons if h > 1]
    _track(made, config, table, costs, threads, [path, made.folder / "scores.parquet", *pictures])
    return told


def _scored(made: Comparison, asked: Mapping[str, Any], failed: Mapping[str, str]) -> pl.DataFrame:
    frames = []
    for horizon in made.horizons:
        of = {label: mine for label, mine in of_each(made.cells, horizon) if not any(c.key in failed for c in mine)}
        leads = [k for k in made.leads if k <= horizon]
        options = {name: asked[name] for name in ("season", "mase", "block")} | {"pool": asked["standardise"]}
        frames.append(scores(of, asked["reference"], leads=leads, **options))
    return with_skill(pl.concat(frames, how="diagonal"), asked["reference"])


def _costs(made: Comparison, failed: Mapping[str, str]) -> pl.DataFrame:
    return pl.DataFrame([{"cutoff": c.stretch.stop, **c.facts()} for c in made.cells if c.key not in failed])


def _markdown(made: Comparison, config: Mapping[str, Any], pages: Sequence[Sheet], told: Sequence[str]) -> str:
    asked, first = config["backtest"], made.cells[0]
    fit, times = first.stretch, first.panel.times
    origins = np.concatenate([c.stretch.origins for c in made.cells if c.task.horizon == first.task.horizon])
    rows, later = fit.stop - fit.first, asked["cutoffs"] - 1
    head = [
        f"# {config['fleet']}, part `{asked['part']}`",
        f"Fitted on {rows} rows up to {_day(times[fit.stop - 1])}{f' and at {later} later cutoffs' if later else ''}; "
        f"origins {_day(times[origins.min()])} to {_day(times[origins.max()])}; {_named(first.scored)}; seed "
        f"{config['seed']}.",
        NOTE.format(reference=asked["reference"], block=asked["block"]),
    ]
    failures = [f"Failed: {line}" for line in told]
    return "\n\n".join([*head, *(page.markdown() for page in pages), *failures]) + "\n"


def _named(series: Sequence[str]) -> str:
    return f"series {', '.join(series)}" if len(series) <= MANY else f"{len(series)} series"


def _day(time: np.datetime64) -> str:
    return f"{moment(time):%Y-%m-%d %H:%M}"


def _track(
    made: Comparison,
    config: Mapping[str, Any],
    table: pl.DataFrame,
    costs: pl.DataFrame,
    threads: ThreadPolicy,
    files: Sequence[Path],
) -> None:
    """Log to the tracker, unless these very cells were logged before."""
    done = made.folder / "logged.json"
    keys = sorted(cell.key for cell in made.cells if cell.done)
    if done.exists() and json.loads(done.read_text()) == keys:
        return
    spec = dict(config["tracker"])
    if "period" in spec:
        spec["period"] = spec["period"] or made.task.step
    tracker: Tracker = from_spec(spec, allowed_targets(config))
    present = set(table["label"])
    about = {c.label: {**c.labels, "spec": dict(c.model)} for c in made.contestants if c.label in present}
    tracker.open(config["fleet"], {k: v for k, v in config.items() if k != "cpu_before_s"}, about)
    log(tracker, table, costs, nominal(made.task.levels))
    machine = made.folder / "machine.json"
    machine.write_text(json.dumps(threads.record(), indent=1))
    for path in [*files, machine]:
        tracker.artifact(path)
    tracker.close()
    done.write_text(json.dumps(keys))
