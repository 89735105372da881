"""A walker: one cell on its way from origin to origin, with a champion, a policy and what both have come to.

What a nowcaster is to the live loop: errors of its own forecasts are settled as their truths come, its policy decides,
a training promotes or refuses.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from forecast.forecaster import Forecaster
from forecast.meter import Meter, Phase
from forecast.panel import Panel, moment
from forecast.policy import Decision, Policy, Situation
from forecast.spec import from_spec
from pipelines.backtest.ahead import Ahead
from pipelines.backtest.cell import Cell, Result
from pipelines.fleet import OVERHEAD
from pipelines.losses import backtest_errors, scaled_loss, scaled_mean
from pipelines.training import FAILURES, TrainingJob, TrainingOutcome, worded

STEPS: dict[str, Any] = {
    "slot": pl.Datetime("us", "UTC"), "error": pl.Float64, "action": pl.String, "why": pl.String, "loss": pl.Float64,
    "reference": pl.Float64, "outcome": pl.String, "told": pl.String, "rows": pl.Int64, "challenger_loss": pl.Float64,
    "champion_loss": pl.Float64,
}  # fmt: skip


class Walker:
    """One cell that is walked through.

    Args:
        cell: it has a walk. meter: charged by the cell's key.
    """

    def __init__(self, cell: Cell, meter: Meter) -> None:
        assert cell.walk is not None
        self.cell, self.meter = cell, meter
        self.policy: Policy = from_spec(cell.walk.policy, cell.allowed)
        self.ahead = Ahead(cell, meter)
        self.model: Forecaster | None = None
        self.now = Situation(self.slot(0), None, None)
        self.since = 0  # origin from which on the present champion forecasts
        self.steps: list[dict] = []
        self.failure = ""  # why the cell has ended: no model could be fitted, or one cannot forecast

    def slot(self, b: int) -> datetime:
        """Time of the newest row that origin `b` may see."""
        return moment(self.cell.panel.times[self.cell.stretch.origins[b]])

    def decide(self, b: int) -> Decision:
        """Settle what has matured since the origin before, and ask the policy."""
        with self.meter.charge(self.cell.key, Phase.CHECK):
            try:
                error, told = self._error(b), ""
            except FAILURES as failure:  # as in the live loop: an error that cannot be told is no news
                error, told = math.nan, f"check: {worded(failure)}"
            self.now = replace(self.now, slot=self.slot(b), error=error)
            decision = self.policy.decide(self.now)
        step = {"slot": self.now.slot, "error": error, "action": str(decision.action), "why": decision.why}
        self.steps.append({**step, "loss": decision.loss, "reference": decision.reference, "told": told})
        return decision

    def _error(self, b: int) -> float:
        """The champion's scaled error since the origin before, on truths that it was not trained on."""
        if self.model is None or b == 0:
            return math.nan
        if getattr(self.policy, "source", "live") == "live":
            assert self.model.task_ is not None
            return scaled_mean(
                self._matured(b), dict(zip(self.model.task_.target_names, self.model.scale_, strict=True))
            )
        before, now = (int(o) for o in self.cell.stretch.origins[b - 1 : b + 1])
        need = self.cell.task.context + self.cell.task.horizon + now - before - 1
        panel = self.cell.panel.rows(slice(max(0, now + 1 - need), now + 1))
        recent = backtest_errors(self.model, panel, self.slot(b - 1))
        return scaled_loss(recent.filter(pl.col("origin") >= self.model.data_end_), self.model)

    def _matured(self, b: int) -> pl.DataFrame:
        """`variable, error` of the champion's forecasts as issued, whose truths lie after origin b - 1 and up to b."""
        task, origins = self.cell.task, self.cell.stretch.origins
        first = max(self.since, int(np.searchsorted(origins, origins[b - 1] - task.horizon, side="right")))
        rows = origins[first:b, None] + np.arange(1, task.horizon + 1)  # (b', H)
        a, h = np.nonzero((rows > origins[b - 1]) & (rows <= origins[b]))
        truth = self.cell.panel.values[:, rows[a, h], : len(task.targets)]  # (N, P, C)
        error = self.ahead.points[first + a, :, h] - truth.swapaxes(0, 1)  # (P, N, C)
        known = ~np.isnan(error)
        names = np.array(task.target_names, object)[np.nonzero(known)[2]]
        return pl.DataFrame(
            {"variable": names, "error": error[known]}, schema={"variable": pl.String, "error": pl.Float64}
        )

    def job(self, panel: Panel, b: int, root: Path) -> TrainingJob:
        """The training that the policy asked for, on the reduced history."""
        walk, challenged = self.cell.walk, self.policy.challenges
        assert walk is not None
        return TrainingJob(
            self.cell.key, self.cell.model, self.cell.allowed, panel, self.cell.task, self._folder(root, b),
            self._folder(root, self.since) if self.model is not None else None,
            self.policy.check_window if challenged else 0, walk.refit,
        )  # fmt: skip

    def _folder(self, root: Path, b: int) -> Path:
        return root / str(self.cell.seed) / str(b)

    def ended(self, outcome: TrainingOutcome, rows: int, b: int, root: Path) -> None:
        """Take over a promoted model, and tell the policy."""
        word = "failed" if outcome.failed else "promoted" if outcome.promoted else "refused"
        found = {"outcome": word, "told": outcome.why, "rows": rows}
        losses = {"challenger_loss": outcome.challenger_loss, "champion_loss": outcome.champion_loss}
        self.steps[-1] |= found | losses
        failures = 0 if outcome.promoted else self.now.failures + 1
        self.now = replace(self.now, attempted_at=self.slot(b), failures=failures)
        if outcome.promoted:
            former, self.since = self._folder(root, self.since), b
            with self.meter.charge(OVERHEAD, "overhead"):
                self.model = Forecaster.load(self._folder(root, b), self.cell.allowed)
                if former != self._folder(root, b):
                    shutil.rmtree(former, ignore_errors=True)
            self.now = replace(self.now, trained_at=self.slot(b))
            self.ahead.takes(self.model, b)
        if not outcome.failed:
            self.policy.trained(outcome.promoted, outcome.reference)
        if self.model is None:
            self.failure = outcome.why

    def forecast(self, b: int) -> None:
        """Forecast from this origin; a champion that cannot ends the cell."""
        try:
            self.ahead.forecast(b)
        except FAILURES as error:
            self.failure = worded(error)

    def result(self) -> Result | str:
        """The forecasts and what was decided, or why there are none."""
        if self.failure or self.model is None:
            return self.failure
        try:
            made, shown = self.ahead.made(), self.model.portrait()
        except FAILURES as error:
            return worded(error)
        steps = pl.DataFrame(self.steps, schema=STEPS).with_columns(pl.selectors.float().fill_nan(None))
        ends = steps["outcome"].drop_nulls()
        counts = {name: int((ends == word).sum()) for name, word in COUNTS.items()}
        facts = {"rows": int(steps["rows"].drop_nulls()[-1]), "fits": len(ends), **counts}
        return Result(made, facts, steps, shown)


COUNTS = {"promotions": "promoted", "refusals": "refused", "failures": "failed"}
