"""One training: fit a challenger, compare it with the champion on rows neither was trained on, promote or not.

Pure work on plain data, so that it runs in any process: everything it needs comes with the job, everything it
finds goes back with the outcome.
"""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from forecast.errors import CorruptModelError, ForecastError, ShortHistoryError
from forecast.forecaster import Forecaster
from forecast.meter import Meter
from forecast.panel import Panel
from forecast.schema import Task
from forecast.spec import from_spec, locate
from pipelines.fleet import OVERHEAD

PAIR = ("series", "variable", "origin", "lead")
FAILURES = (Exception,)  # a user's model may raise anything; it is recorded, shown, and told by the exit code


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """What to train.

    Args:
        nowcaster: whom it is for, and charged to.
        model: spec of the forecaster. allowed: packages its `_target_` may come from.
        panel: reduced history up to the slot. task: the question.
        folder: where a promoted model goes. champion: folder of the present model, if any.
        check_rows: rows for the comparison, the newest ones; 0 = promote at once.
        refit: after a won comparison, train once more on every row.
    """

    nowcaster: str
    model: dict[str, Any]
    allowed: tuple[str, ...]
    panel: Panel
    task: Task
    folder: Path
    champion: Path | None = None
    check_rows: int = 0
    refit: bool = True


@dataclass(frozen=True)
class TrainingOutcome:
    """How a training ended; losses are scaled mean absolute errors on the check rows, NaN where not measured.

    Challenger and champion are compared on identical pairs, in one scale, the challenger's, and on the same
    information: both forecast the check rows again from the rows as known today. `reference` is L_ref, what is to be
    expected from now on: the loss of the model that goes on, on all its check rows, in its own scale. Where rows come
    late it is slightly optimistic: the contexts of a backtest are complete, those of a live forecast were not.
    """

    nowcaster: str
    promoted: bool
    why: str
    data_end: datetime | None = None
    challenger_loss: float = float("nan")
    champion_loss: float = float("nan")
    reference: float = float("nan")
    failed: bool = False
    record: dict[str, Any] = field(default_factory=dict)
    process: tuple[int, float, float] = (0, 0.0, 0.0)  # pid, CPU seconds of the process before and after; 0: none ran


def train(job: TrainingJob) -> TrainingOutcome:
    """Run a job. A failure comes back as an outcome, so that one nowcaster never ends the slot for all."""
    before, meter = time.process_time(), Meter()
    try:
        with meter.charge(OVERHEAD, "overhead"):  # whoever trains first does not pay for the libraries
            locate(job.model["_target_"], job.allowed).prepare()
        found = _compete(job, meter) if job.check_rows else _take_over(job, meter)
    except FAILURES as error:
        found = {"promoted": False, "failed": True, "why": worded(error)}
    process = (os.getpid(), before, time.process_time())
    return TrainingOutcome(job.nowcaster, record=meter.record(), process=process, **found)


def worded(error: Exception) -> str:
    """A failure in one line; of an error that was not raised on purpose, the place too."""
    text = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, ForecastError) or not frames:
        return text
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


def _take_over(job: TrainingJob, meter: Meter) -> dict[str, Any]:
    with meter.charge(job.nowcaster, "fit"):
        model = from_spec(job.model, job.allowed).fit(job.panel, job.task)
    with meter.charge(job.nowcaster, "save"):
        model.save(job.folder)
    return {"promoted": True, "why": "takes over unchallenged", "data_end": model.data_end_}


def _compete(job: TrainingJob, meter: Meter) -> dict[str, Any]:
    start = job.panel.end - job.check_rows * job.task.step
    with meter.charge(job.nowcaster, "fit"):
        model = from_spec(job.model, job.allowed).fit(job.panel.until(start), job.task)
    with meter.charge(job.nowcaster, "check"):
        champion = _champion(job)
        mine, theirs = _check_rows(job, model, champion, start)
        pair = _losses(mine, theirs, model, alone=champion is None)
        if champion is not None and not pair["challenger_loss"] < pair["champion_loss"]:
            why = "the challenger does not beat the champion" if theirs.height else "no row to compare both on"
            return {"promoted": False, "why": why, "reference": scaled_loss(theirs, champion), **pair}
    if job.refit:
        with meter.charge(job.nowcaster, "fit"):
            model = from_spec(job.model, job.allowed).fit(job.panel, job.task)
    with meter.charge(job.nowcaster, "save"):
        model.save(job.folder)
    why = "the challenger beats the champion" if champion is not None else "first model"
    if job.champion is not None and champion is None:
        why = "the champion cannot be read"
    return {"promoted": True, "why": why, "data_end": model.data_end_, "reference": scaled_loss(mine, model), **pair}


def _champion(job: TrainingJob) -> Forecaster | None:
    """The present model; None where there is none, or none that can be read: then any challenger is better."""
    try:
        return Forecaster.load(job.champion, job.allowed) if job.champion is not None else None
    except CorruptModelError:
        return None


def _check_rows(
    job: TrainingJob, model: Forecaster, champion: Forecaster | None, start: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Errors of challenger and champion in the check window, each on rows that it was not trained on.

    Both are made now, from one panel: what the champion issued then was made without the rows that came late, and
    a challenger that does not forecast any better would win by them.
    """
    mine = backtest_errors(model, job.panel, start)
    if champion is None:
        return mine, mine.clear()
    return mine, backtest_errors(champion, job.panel, start).filter(pl.col("origin") >= champion.data_end_)


def _losses(mine: pl.DataFrame, theirs: pl.DataFrame, model: Forecaster, alone: bool) -> dict[str, float]:
    """Both losses on the same (series, variable, origin, lead) pairs, in the challenger's scale; on all if alone."""
    if alone:
        return {"challenger_loss": scaled_loss(mine, model), "champion_loss": float("nan")}
    other = theirs.select(*PAIR, other="error")
    both = mine.join(other, on=list(PAIR), how="inner", maintain_order="left")  # one order: equal models tie exactly
    champion_loss = scaled_loss(both.with_columns(error="other"), model)
    return {"challenger_loss": scaled_loss(both, model), "champion_loss": champion_loss}


def backtest_errors(model: Forecaster, panel: Panel, after: datetime) -> pl.DataFrame:
    """Errors of every forecast whose truth lies after `after`, as `series, variable, origin, lead, error`."""
    assert model.task_ is not None
    task: Task = model.task_
    rows = int((panel.end - after) / task.step)
    first = max(task.context - 1, len(panel.times) - rows - task.horizon)
    origins = [panel.end - k * task.step for k in range(len(panel.times) - 1 - first, 0, -1)]
    forecasts = model.predict_at(panel, origins)
    if not forecasts:
        raise ShortHistoryError(
            f"no row to check on: {len(panel.times)} rows, of which {task.context} are context and {rows} are to be "
            "checked; give a longer history or a shorter check_window"
        )
    truth = _long(panel.select(task.target_names))
    frames = pl.concat([f.frame() for f in forecasts]).filter((pl.col("time") > after) & pl.col("point").is_not_null())
    joined = frames.join(truth, on=["series", "time", "variable"], how="inner", maintain_order="left")
    return joined.select(*PAIR, error=pl.col("point") - pl.col("truth"))


def scaled_loss(rows: pl.DataFrame, model: Forecaster) -> float:
    """Mean over targets of mean |error| / scale, with the model's own saved scales; NaN without rows."""
    assert model.task_ is not None
    return scaled_mean(rows, dict(zip(model.task_.target_names, model.scale_, strict=True)))


def scaled_mean(rows: pl.DataFrame, scale: dict[str, float]) -> float:
    """Mean over variables of mean |error| / scale of `rows` (`variable, error`); NaN without rows."""
    if rows.is_empty():
        return float("nan")
    means = rows.group_by("variable").agg(pl.col("error").abs().mean()).sort("variable")
    return float(np.mean([error / scale[name] for name, error in means.iter_rows()]))


def _long(panel: Panel) -> pl.DataFrame:
    n, t, c = panel.shape
    return pl.DataFrame(
        {
            "series": np.repeat(np.array(panel.series, object), t * c),
            "time": pl.Series(np.tile(np.repeat(panel.times, c), n)).dt.replace_time_zone("UTC"),
            "variable": np.tile(np.array(panel.variables, object), n * t),
            "truth": panel.values.reshape(-1),
        },
        schema_overrides={"series": pl.String, "variable": pl.String},
    ).filter(pl.col("truth").is_not_nan())
