"""One training: fit a challenger, compare it with the champion on rows neither was trained on, promote or not.

Pure work on plain data, so that it runs in any process: everything it needs comes with the job, everything it
finds goes back with the outcome.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from forecast.errors import ForecastError
from forecast.forecaster import Forecaster
from forecast.meter import Meter
from forecast.panel import Panel
from forecast.schema import Task
from forecast.spec import from_spec

PAIR = ("series", "variable", "origin", "lead")
FAILURES = (ForecastError, ValueError, ArithmeticError, RuntimeError, MemoryError, OSError)


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """What to train.

    Args:
        nowcaster: whom it is for, and charged to.
        model: spec of the forecaster. allowed: packages its `_target_` may come from.
        panel: reduced history up to the slot. task: the question.
        folder: where a promoted model goes. champion: folder of the present model, if any.
        check_rows: rows for the comparison, the newest ones; 0 = promote at once.
        champion_rows: the champion's settled rows in that window, with `error`; may be empty.
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
    champion_rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    refit: bool = True


@dataclass(frozen=True)
class TrainingOutcome:
    """How a training ended; losses are scaled mean absolute errors on the check rows, NaN where not measured."""

    nowcaster: str
    promoted: bool
    why: str
    data_end: datetime | None = None
    challenger_loss: float = float("nan")
    champion_loss: float = float("nan")
    failed: bool = False
    record: dict[str, Any] = field(default_factory=dict)
    process: tuple[int, float, float] = (0, 0.0, 0.0)  # pid, CPU seconds of the process before and after

    @property
    def reference(self) -> float:
        """L_ref: what can be expected from now on, by the better of the two models."""
        both = [x for x in (self.challenger_loss, self.champion_loss) if np.isfinite(x)]
        return min(both) if both else float("nan")


def train(job: TrainingJob) -> TrainingOutcome:
    """Run a job. A failure comes back as an outcome, so that one nowcaster never ends the slot for all."""
    before, meter = time.process_time(), Meter()
    try:
        found = _compete(job, meter) if job.check_rows else _take_over(job, meter)
    except FAILURES as error:
        found = {"promoted": False, "failed": True, "why": f"{type(error).__name__}: {error}"}
    process = (os.getpid(), before, time.process_time())
    return TrainingOutcome(job.nowcaster, record=meter.record(), process=process, **found)


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
        losses = _losses(job, model, start)
    promoted = bool(not np.isfinite(losses["champion_loss"]) or losses["challenger_loss"] < losses["champion_loss"])
    if not promoted:
        return {"promoted": False, "why": "the challenger does not beat the champion", **losses}
    if job.refit:
        with meter.charge(job.nowcaster, "fit"):
            model = from_spec(job.model, job.allowed).fit(job.panel, job.task)
    with meter.charge(job.nowcaster, "save"):
        model.save(job.folder)
    why = "first model" if job.champion is None else "the challenger beats the champion"
    return {"promoted": True, "why": why, "data_end": model.data_end_, **losses}


def _losses(job: TrainingJob, model: Forecaster, start: datetime) -> dict[str, float]:
    """Challenger's and champion's loss on the same (series, variable, origin, lead) pairs, in the challenger's scale."""
    challenger = backtest_errors(model, job.panel, start)
    rows = job.champion_rows
    if job.champion is not None and rows.is_empty():
        rows = backtest_errors(Forecaster.load(job.champion, job.allowed), job.panel, start)
    if rows.is_empty():
        return {"challenger_loss": scaled_loss(challenger, model), "champion_loss": float("nan")}
    mine = challenger.join(rows.select(PAIR), on=list(PAIR), how="semi")
    same = rows.join(challenger.select(PAIR), on=list(PAIR), how="semi")
    return {"challenger_loss": scaled_loss(mine, model), "champion_loss": scaled_loss(same, model)}


def backtest_errors(model: Forecaster, panel: Panel, after: datetime) -> pl.DataFrame:
    """Errors of every forecast whose truth lies after `after`, as `series, variable, origin, lead, error`."""
    assert model.task_ is not None
    task: Task = model.task_
    rows = int((panel.end - after) / task.step)
    first = max(task.context - 1, len(panel.times) - rows - task.horizon)
    origins = [panel.end - k * task.step for k in range(len(panel.times) - 1 - first, 0, -1)]
    forecasts = model.predict_at(panel, origins)
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
