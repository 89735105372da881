"""What is shown once the cells are done: tables, reports, figures; on the console, on disk and in the tracker."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from forecast.evaluation.columns import ALWAYS
from forecast.evaluation.ground import POOLED
from forecast.evaluation.report import Report
from forecast.evaluation.sheet import Sheet
from forecast.panel import moment
from forecast.spec import from_spec
from pipelines.backtest.about import about, by_clock, labels_of, per_seed, retraining
from pipelines.backtest.figures import error_by_lead
from pipelines.backtest.findings import Comparison, Findings, findings
from pipelines.backtest.losses import nominal
from pipelines.backtest.portraits import portraits
from pipelines.backtest.reducing import reducing
from pipelines.backtest.reporting import asked_of, metrics, reported
from pipelines.backtest.table import NOTE, SEEDS, sheets, show, with_words
from pipelines.backtest.tracking import log
from pipelines.build import allowed_targets
from pipelines.protocols import Tracker
from pipelines.threads import ThreadPolicy

MANY = 12  # series, from which on they are counted instead of named


def finish(
    made: Comparison, config: Mapping[str, Any], failed: Mapping[str, str], threads: ThreadPolicy, console: Console
) -> list[str]:
    """Scores, tables, reports, figures, tracker. Returns what failed, in words.

    Raises:
        PartialError: the reference failed, so that there is nothing to compare with.
    """
    found = findings(made, config, failed)
    found.table.write_parquet(made.folder / "scores.parquet")
    found.costs.write_parquet(made.folder / "costs.parquet")
    files = [_tables(found, console), made.folder / "scores.parquet"]
    reports = {h: _report(found, h, threads) for h in made.horizons}
    files += [_written(found, h, one, console) for h, one in reports.items()]
    units = {v.name: v.unit for v in made.task.targets}
    files += [
        error_by_lead(found.table, units, h, made.folder / f"error_by_lead_{h}.png") for h in made.horizons if h > 1
    ]
    shown = portraits([c for c in made.cells if c.key not in failed], made.folder / "portraits")
    for path in shown:
        console.print(f"figure: {path}", soft_wrap=True)
    _track(found, reports, threads, [*files, *shown])
    return found.told


def _tables(found: Findings, console: Console) -> Path:
    """Print the tables, and write them as Markdown."""
    made, costs = found.made, per_seed(found.costs)
    labels = {one.label: one.labels for one in made.contestants}
    words, scaled = about(found.present, found.costs), found.config["backtest"]["standardise"]
    pages = sheets(found.table, costs, made.leads, nominal(made.task.levels), words, scaled=scaled)
    more = reducing(found.table, costs, labels, made.leads) + retraining(found.present, found.costs)
    known = {label: {ALWAYS: of[ALWAYS]} for label, of in words.items()}
    pages += [with_words(page, known) for page in more]
    for page in pages:
        show(page, console)
    path = made.folder / "table.md"
    path.write_text(_markdown(found, pages))
    console.print(f"table:  {path}", soft_wrap=True)
    return path


def _markdown(found: Findings, pages: Sequence[Sheet]) -> str:
    asked, first = found.config["backtest"], found.made.cells[0]
    fit, times = first.stretch, first.panel.times
    origins = np.concatenate([c.stretch.origins for c in found.made.cells if c.task.horizon == first.task.horizon])
    rows, later, seed = fit.stop - fit.first, asked["cutoffs"] - 1, found.config["seed"]
    more = f" and at {later} later cutoffs" if later else ""
    more += f", then by policy ({', '.join(asked['policies'])})" if asked["policies"] else ""
    block = f"{asked['block']} origins" if asked["block"] > 1 else "1 origin"
    seeds = f"seeds {seed} to {seed + asked['seeds'] - 1}" if asked["seeds"] > 1 else f"seed {seed}"
    head = [
        f"# {found.config['fleet']}, part `{asked['part']}`",
        f"Fitted on {rows} rows up to {_day(times[fit.stop - 1])}{more}; origins {_day(times[origins.min()])} to "
        f"{_day(times[origins.max()])}; {_named(first.scored)}; {seeds}.",
        NOTE.format(reference=asked["reference"], block=block),
        *([SEEDS.format(seeds=asked["seeds"])] if found.table["seeds"].max() != 1 else []),
    ]
    clock, failures = by_clock(found.present), [f"Failed: {line}" for line in found.told]
    foot = [*([f"CPU seconds: {clock}."] if clock else []), *failures]
    return "\n\n".join([*head, *(page.markdown() for page in pages), *foot]) + "\n"


def _report(found: Findings, horizon: int, threads: ThreadPolicy) -> Report:
    asked, of = found.config["backtest"], found.of(horizon)
    ask = asked_of(asked, horizon, found.made.leads, list(of), _facts(found, horizon, threads))
    return reported(of, found.costs, about(found.present, found.costs), ask, asked["every"])


def _facts(found: Findings, horizon: int, threads: ThreadPolicy) -> dict[str, str]:
    """What a reader of the report has to know about how it was made."""
    asked, cells = found.config["backtest"], [c for c in found.made.cells if c.task.horizon == horizon]
    fit, times = cells[0].stretch, cells[0].panel.times
    rules = sorted({one.labels["policy"] for one in found.present if one.walk})
    machine, clock = threads.record(), by_clock(found.present)
    return {
        "fitted on": f"{fit.stop - fit.first} rows up to {_day(times[fit.stop - 1])}",
        "retraining": ", ".join(rules)
        if rules
        else f"none, {asked['cutoffs']} fits"
        if asked["cutoffs"] > 1
        else "none",
        "seeds": f"{asked['seeds']} of every model that has one",
        "series": _named(cells[0].scored).removeprefix("series "),
        "scaling": "values standardised by the rows fitted on" if asked["standardise"] else "each model's own",
        "CPU seconds": f"{found.cpu_s(horizon):.1f}{f'; {clock}' if clock else ''}",
        "hardware": f"{machine['cores']} cores of {machine['machine']}, {machine['workers']} workers",
    }


def _written(found: Findings, horizon: int, report: Report, console: Console) -> Path:
    """Write a report, and print its sentences and its sheets of errors: over all variables where that is asked."""
    several = len(found.made.horizons) > 1
    path = found.made.folder / (f"report_{horizon}.md" if several else "report.md")
    path.write_text(
        report.markdown(f"{found.config['fleet']}, part `{found.config['backtest']['part']}`, horizon {horizon}")
    )
    main = [sheet for sheet in report.sheets if sheet.title.endswith(": errors")]
    for sheet in [one for one in main if one.title.startswith(POOLED)] or main:
        show(sheet, console)
    for sentence in report.statements:
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)
    console.print(f"report: {path}", soft_wrap=True)
    return path


def _named(series: Sequence[str]) -> str:
    return f"series {', '.join(series)}" if len(series) <= MANY else f"{len(series)} series"


def _day(time: np.datetime64) -> str:
    return f"{moment(time):%Y-%m-%d %H:%M}"


def _track(found: Findings, reports: Mapping[int, Report], threads: ThreadPolicy, files: Sequence[Path]) -> None:
    """Log to the tracker, unless these very cells were logged before."""
    made, config = found.made, found.config
    done = made.folder / "logged.json"
    keys = sorted(cell.key for cell in made.cells if cell.done)
    if done.exists() and json.loads(done.read_text()) == keys:
        return
    spec = dict(config["tracker"])
    if "period" in spec:
        spec["period"] = spec["period"] or made.task.step
    tracker: Tracker = from_spec(spec, allowed_targets(config))
    entered = {one.label: {**labels_of(one), "spec": dict(one.model)} for one in found.present}
    tracker.open(config["fleet"], {k: v for k, v in config.items() if k != "cpu_before_s"}, entered)
    log(tracker, found.table, per_seed(found.costs), nominal(made.task.levels))
    for horizon, report in reports.items():
        place = f"h{horizon}/" if len(reports) > 1 else ""
        for label, values in metrics(report).items():
            tracker.log(label, {f"{place}{name}": value for name, value in values.items()}, 0)
    machine = made.folder / "machine.json"
    machine.write_text(json.dumps(threads.record(), indent=1))
    for path in [*files, machine]:
        tracker.artifact(path)
    tracker.close()
    done.write_text(json.dumps(keys))
