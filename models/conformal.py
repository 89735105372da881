"""Conformal: gives any model intervals that cover what they say, and keeps them right while the world drifts."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from forecast.conformal import Adaptive, Tracking, quantiles
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment
from forecast.portrait import Matrix
from forecast.schema import Task
from forecast.windows import Windows, training_rows, truth_at
from models.arrays import by_name
from models.inside import read_inside, said, write_inside
from models.persistence import Persistence, around_point
from models.residuals import PRIOR, Residuals, block_rows, clear_of, held_out

AROUND = ("point", "quantiles")
FILE = "conformal.safetensors"
POINT, TRACKING = Persistence(), Tracking()


class Conformal(Forecaster):
    """The point of a model, inside intervals of its errors on rows that it was not trained on.

    `fit` trains the model without some blocks of rows, keeps its errors there, then trains it once more on all rows;
    each (series, lead, variable) has the quantiles of its own errors at the exact finite-sample rank, one with fewer
    than 50 errors those of all series times its own width, a series that the fit did not know the mean over those it
    did. `update` forecasts the origins whose truth has come since, and lets `adaptive` move the intervals by the
    errors: no refit, memory that does not grow. A history too short to hold anything out takes the errors of the
    training itself, which are narrower. A warm fit trains the model on and leaves the intervals as they are.

    Args:
        model: any Forecaster; it is copied, never fitted itself.
        adaptive: how intervals follow the errors; `forecast.conformal.Fixed()` for split conformal and nothing more.
        holdout: every how many blocks (4 H rows, whole days) one is held out for the calibration.
        around: `point`, intervals around the model's median; `quantiles`, around each of its own quantiles, so that
            its widths stay as various as it made them (conformalised quantile regression).
        refit: whether the model is trained again on all rows, which doubles the cost; else it keeps the part.

    Raises:
        UnknownNameError: another `around`. SchemaError: a model that is conformal already.

    Source: split conformal, Lei et al., JASA 113 (2018), section 2.2; around quantiles, Romano, Patterson and Candes,
    "Conformalized Quantile Regression", NeurIPS 32 (2019); adaptive, see `forecast.conformal`.
    """

    def __init__(
        self,
        model: Forecaster = POINT,
        adaptive: Adaptive = TRACKING,
        holdout: int = 5,
        around: str = "point",
        refit: bool = True,
    ) -> None:
        if around not in AROUND:
            raise UnknownNameError("around", around, AROUND)
        if isinstance(model, Conformal):
            raise SchemaError("the model is conformal already: wrap the model that is inside it")
        self.model = model
        self.adaptive = adaptive
        self.holdout = holdout
        self.around = around
        self.refit = refit
        self.traits = replace(model.traits, updates=adaptive.learns or model.traits.updates, named=True, seeded=False)

    @property
    def min_origins(self) -> int:  # type: ignore[override]
        return self.model.min_origins

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        if warm:
            self.model_: Forecaster = deepcopy(self.model_).fit(panel, self._inner(task), warm=True)
            return
        model, held = self._calibrated(panel, task)
        self.model_ = self.model_of(panel, task) if model is None or self.refit else model
        errors = self._errors(model or self.model_, panel, held)  # (B, N, H, C, E)
        offsets = self._offsets(errors, task)  # (N, H, C, Q)
        streams = int(np.prod(offsets.shape[:3]))
        levels = offsets.shape[3]
        flat = errors.reshape(len(errors), streams, -1)  # (B, S, E)
        self.state_ = self.adaptive.begin(offsets.reshape(streams, levels), flat, task.levels)

    def _calibrated(self, panel: Panel, task: Task) -> tuple[Forecaster | None, np.ndarray]:
        """A model fitted without some rows, and these rows (B,); None and all rows where too few would be left."""
        rows = training_rows(panel, task)
        held = held_out(panel, rows, block_rows(task), self.holdout)  # (B,)
        kept = rows[clear_of(rows, rows[held], task.horizon)]
        if not held.any() or len(kept) < max(self.min_origins, len(rows) / 2):
            return None, rows
        keep = np.zeros(len(panel.times), bool)
        keep[kept] = True
        try:
            return self.model_of(panel.with_keep(keep), task), rows[held]
        except SchemaError:  # the part says too little: the fit on all rows says whether it is more than that
            return None, rows

    def model_of(self, panel: Panel, task: Task) -> Forecaster:
        """A copy of the model, fitted on the panel."""
        return deepcopy(self.model).fit(panel, self._inner(task))

    def _inner(self, task: Task) -> Task:
        """What the model inside is asked."""
        return task if self.around == "quantiles" else replace(task, levels=(0.5,))

    @staticmethod
    def _errors(model: Forecaster, panel: Panel, rows: np.ndarray) -> np.ndarray:
        """(B, N, H, C, E) truth minus forecast at `rows` (B,); NaN where either is missing."""
        assert model.task_ is not None
        made = model.predict_at(panel, [moment(t) for t in panel.times[rows]])
        values = np.stack([f.quantiles for f in made])  # (B, N, H, C, E)
        return truth_at(panel, model.task_, rows)[..., None] - values

    def _offsets(self, errors: np.ndarray, task: Task) -> np.ndarray:
        """(N, H, C, Q) of the calibration errors (B, N, H, C, E)."""
        parts = []
        for q, level in enumerate(task.levels):
            one = errors[..., q if errors.shape[-1] > 1 else 0]  # (B, N, H, C)
            own = quantiles(one, (level,))[..., 0]  # (N, H, C)
            common = Residuals.of(one, task)
            pooled = (common.widths[:, None, :, None] * common.shape)[..., q]  # (N, H, C)
            parts.append(np.where((~np.isnan(one)).sum(0) < PRIOR, pooled, own))
        offsets = np.stack(parts, axis=-1)  # (N, H, C, Q)
        if self.around == "point":
            return around_point(offsets, task)
        return np.where(np.array(task.levels) == 0.5, 0.0, offsets)

    def _update(self, panel: Panel, task: Task) -> None:
        assert self.data_end_ is not None
        first, end = self.first_new(panel), len(panel.times)
        if not self.model_.traits.updates:
            self._learn_rows(panel, task, first, end)
            return
        self.model_ = deepcopy(self.model_)
        for row in range(first, end):  # each row is forecast before it is learnt
            self._learn_rows(panel, task, row, row + 1)
            self.model_.update(panel.rows(slice(0, row + 1)))

    def _learn_rows(self, panel: Panel, task: Task, first: int, end: int) -> None:
        """Move the intervals by the errors of the truths in rows `first` to `end` - 1, one row after another."""
        origins = np.arange(first - task.horizon, end - 1)
        errors = self._errors(self.model_, panel.rows(slice(0, end)), origins)  # (B, N, H, C, E)
        leads = np.arange(task.horizon)
        for row in range(first, end):
            error = errors[row - 1 - leads - origins[0], :, leads]  # (H, N, C, E)
            error = error.swapaxes(0, 1).reshape(-1, errors.shape[-1])  # (S, E)
            self.state_ = self.adaptive.step(self.state_, error, task.levels)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        values = said(self.model_, windows, self._inner(task))  # (B, N, H, C, E), as its errors were measured
        shape = (len(self.series_), task.horizon, len(task.targets), len(task.levels))
        offsets = self.state_["offsets"].reshape(shape)  # (N, H, C, Q)
        return values + by_name(offsets, self.series_, windows.series, offsets.mean(0))

    def _portrait(self) -> dict[str, Matrix]:
        return self.model_.portrait()

    def _save(self, folder: Path) -> None:
        write_inside(self.model_, folder)
        save_file({name: np.ascontiguousarray(values) for name, values in self.state_.items()}, folder / FILE)

    def _load(self, folder: Path) -> None:
        assert self.task_ is not None
        self.state_ = load_file(folder / FILE)
        self.model_ = deepcopy(self.model)
        read_inside(self.model_, self._inner(self.task_), self, folder)
