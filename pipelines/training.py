"""Trainings: fit challengers, compare each with its champion on rows neither was trained on, promote or not.

Pure work on plain data, so that it runs in any process: everything it needs comes with the jobs, everything it
finds goes back with the outcomes. Jobs that come together are fitted together where their models are alike; what
fails, fails alone.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
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
from forecast.together import Fit, fit_together
from pipelines.fleet import OVERHEAD
from pipelines.losses import backtest_errors, paired_losses, scaled_loss, scaled_mean

__all__ = ["FAILURES", "Trained", "TrainingJob", "TrainingOutcome", "backtest_errors", "scaled_loss", "scaled_mean",
           "train", "train_together", "worded"]  # fmt: skip

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

    @property
    def rows(self) -> int:
        """Rows to be trained on."""
        return int(np.count_nonzero(self.panel.keep))

    @property
    def start(self) -> datetime:
        """The newest row that the challenger may be trained on; the check rows come after it."""
        return self.panel.end - self.check_rows * self.task.step


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


@dataclass(frozen=True)
class Trained:
    """What some jobs came to: an outcome of each, and what they cost the process that did them."""

    outcomes: list[TrainingOutcome]
    record: dict[str, Any] = field(default_factory=dict)
    process: tuple[int, float] = (0, 0.0)  # pid, CPU seconds that the process had at the end; 0: none ran


class Contest:
    """A job on its way: the model in hand, and how it ends once that is known."""

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.model: Forecaster | None = None
        self.found: dict[str, Any] = {}  # what the outcome will say
        self.over = False

    @property
    def outcome(self) -> TrainingOutcome:
        return TrainingOutcome(self.job.nowcaster, **self.found)

    def end(self, **found: Any) -> None:
        self.found, self.over = {**self.found, **found}, True

    def fail(self, error: Exception) -> None:
        self.found, self.over = {"promoted": False, "failed": True, "why": worded(error)}, True

    def tried(self, step: Callable[[Contest, Meter], None], meter: Meter) -> None:
        """Do a step unless all is over; what it raises is this job's failure alone."""
        if not self.over:
            try:
                step(self, meter)
            except FAILURES as error:
                self.fail(error)


def train(job: TrainingJob) -> TrainingOutcome:
    """Run one job. A failure comes back as an outcome, so that one nowcaster never ends the slot for all."""
    return train_together([job]).outcomes[0]


def train_together(jobs: Sequence[TrainingJob]) -> Trained:
    """Run jobs side by side: all challengers are fitted, each meets its champion, all winners are fitted once more.

    A common pass is charged to its nowcasters in proportion to their rows.
    """
    meter = Meter()
    contests = [Contest(job) for job in jobs]
    for contest in contests:
        contest.tried(_prepare, meter)
    _fit([c for c in contests if not c.over], meter, whole=False)
    for contest in contests:
        contest.tried(_compete, meter)
    again = [c for c in contests if not c.over and c.job.check_rows and c.job.refit]
    for contest in again:
        contest.tried(_prepare, meter)
    _fit([c for c in again if not c.over], meter, whole=True)
    for contest in contests:
        contest.tried(_save, meter)
    return Trained([c.outcome for c in contests], meter.record(), (os.getpid(), time.process_time()))


def worded(error: Exception) -> str:
    """A failure in one line; of an error that was not raised on purpose, the place too."""
    text = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, ForecastError) or not frames:
        return text
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


def _prepare(contest: Contest, meter: Meter) -> None:
    """Load the libraries, whoever trains first does not pay for them, and make a model to fit."""
    with meter.charge(OVERHEAD, "overhead"):
        locate(contest.job.model["_target_"], contest.job.allowed).prepare()
        contest.model = from_spec(contest.job.model, contest.job.allowed)


def _fit(contests: list[Contest], meter: Meter, whole: bool) -> None:
    """Fit the models in hand: on `whole` histories, or those that will be challenged without their check rows."""
    fits = []
    for contest in contests:
        job = contest.job
        assert contest.model is not None
        panel = job.panel if whole or not job.check_rows else job.panel.until(job.start)
        fits.append(Fit(contest.model, panel, job.task))
    names, rows = [c.job.nowcaster for c in contests], [max(1, c.job.rows) for c in contests]
    failures = fit_together(
        fits, lambda places: meter.charge_shared([names[k] for k in places], "fit", [rows[k] for k in places])
    )
    for contest, failure in zip(contests, failures, strict=True):
        if failure is not None:
            contest.fail(failure)


def _compete(contest: Contest, meter: Meter) -> None:
    """Compare the challenger with the champion; one that does not win is out."""
    job, model = contest.job, contest.model
    assert model is not None
    if not job.check_rows:
        contest.found = {"promoted": True, "why": "takes over unchallenged"}
        return
    with meter.charge(job.nowcaster, "check"):
        mine = backtest_errors(model, job.panel, job.start)
        champion, theirs, why = _champion(job)
        pair = paired_losses(mine, mine.clear() if theirs is None else theirs, model, alone=theirs is None)
        if champion is not None and theirs is not None and not pair["challenger_loss"] < pair["champion_loss"]:
            why = "the challenger does not beat the champion" if theirs.height else "no row to compare both on"
            contest.end(promoted=False, why=why, reference=scaled_loss(theirs, champion), **pair)
            return
    contest.found = {"promoted": True, "why": why, "check": mine, **pair}


def _save(contest: Contest, meter: Meter) -> None:
    job, model, mine = contest.job, contest.model, contest.found.pop("check", None)
    assert model is not None
    with meter.charge(job.nowcaster, "save"):
        model.save(job.folder)
    reference = {} if mine is None else {"reference": scaled_loss(mine, model)}
    contest.end(data_end=model.data_end_, **reference)


def _champion(job: TrainingJob) -> tuple[Forecaster | None, pl.DataFrame | None, str]:
    """The present model, its errors in the check window on rows that it was not trained on, and why it has to go.

    There is none where none can be read, and one that fails on the check rows (a variable or a station that it wants
    is gone) has no errors: then any challenger is better, or the nowcaster would be stuck with it. One that takes in
    new rows has taken in all but the check rows, as the challenger has.

    Its forecasts are made now, like the challenger's: what the champion issued then was made without the rows that
    came late, and a challenger that does not forecast any better would win by them.
    """
    if job.champion is None:
        return None, None, "first model"
    try:
        model = Forecaster.load(job.champion, job.allowed)
    except CorruptModelError:
        return None, None, "the champion cannot be read"
    try:
        if model.traits.updates:
            with suppress(ShortHistoryError):  # older than the history: it stands as it was trained
                model.update(job.panel.until(job.start))
        errors = backtest_errors(model, job.panel, job.start)
    except FAILURES as error:
        return model, None, f"the champion fails on the check rows: {worded(error)}"
    return model, errors.filter(pl.col("origin") >= model.data_end_), "the challenger beats the champion"
