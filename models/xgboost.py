"""XGBoost: boosted trees over lags, neighbours and calendar. The first choice where CPU seconds count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, training_rows, training_span, truth_at, windows_at
from models.arrays import read_arrays, write_arrays
from models.residuals import Residuals, block_rows, clear_of, held_out
from models.trees.boosted import Boosted
from models.trees.boosting import Boosters, Trees, read_boosters, write_boosters
from models.trees.tabular import CHUNK, Inputs, features, last_known, most_alike, table

STRATEGIES = ("multi", "direct", "recursive")
SCOPES = ("regional", "global", "local")
QUANTILES = ("residual", "pinball")
SMALL, LOCAL = Trees(), Inputs()


class XGBoost(Forecaster):
    """Gradient boosted trees, one table for all series or one for each.

    The table has one row per origin and series: the series' own lags, the last values of its most similar
    neighbours, the calendar, the outlook. What is learnt is the change from the last known value, each lead divided by
    its standard deviation. Gaps are inputs like any other. Columns are put into bins once for all leads and targets.
    Deterministic for a given seed and number of threads.

    Args:
        trees: how trees are grown, and by which loss. inputs: which columns the rows have.
        strategy: `multi`, one booster per target whose leaves hold all leads (Zhang and Jung 2021, "GBDT-MO");
            `direct`, one booster per target and lead on the same bins; `recursive`, one-step boosters applied H
            times, for tasks without past inputs and outlook.
        scope: `regional`, all series in one table, each with its neighbours (none where inputs.neighbours is 0);
            `global`, all series in one table, none seen by another: it forecasts series never seen; `local`, trees of
            its own for each series.
        quantiles: `residual`, the errors at their exact finite-sample rank on days held out of the training; `pinball`,
            trees that learn each level (one booster per target and lead, leaves hold the levels). Crossing ones are
            put in order.
        holdout: every how many blocks (4 H rows, whole days) one is kept from training, for the intervals and for
            `trees.patience`; 0 keeps none and takes the narrower errors of the training itself. Nothing is held out
            where neither needs it (a task with no level but 0.5, or pinball, without patience), or where less
            than half of the rows would be left.
        threads: threads for training and forecasting. seed: of the draws of rows and columns.

    Raises:
        UnknownNameError: a strategy, scope or kind of quantiles that does not exist.
        SchemaError: `recursive` with pinball; at fit, with past inputs or an outlook, whose future values nothing
            forecasts.

    Source: Chen and Guestrin 2016, "XGBoost: A Scalable Tree Boosting System", KDD.
    """

    traits = Traits(exogenous=True, missing=True, multivariate=True, regional=True, seeded=True)

    def __init__(
        self,
        trees: Trees = SMALL,
        inputs: Inputs = LOCAL,
        strategy: str = "multi",
        scope: str = "regional",
        quantiles: str = "residual",
        holdout: int = 10,
        threads: int = 1,
        seed: int = 0,
    ) -> None:
        asked = (("strategy", strategy, STRATEGIES), ("scope", scope, SCOPES), ("quantiles", quantiles, QUANTILES))
        for kind, given, known in asked:
            if given not in known:
                raise UnknownNameError(kind, given, known)
        if strategy == "recursive" and quantiles == "pinball":
            raise SchemaError("quantiles of one step do not add up to those of many: take strategy 'direct' or 'multi'")
        self.trees = trees
        self.inputs = inputs
        self.strategy = strategy
        self.scope = scope
        self.quantiles = quantiles
        self.holdout = holdout
        self.threads = threads
        self.seed = seed
        alone = scope == "global" or (scope == "regional" and not inputs.neighbours)
        names = quantiles == "residual" or self.columns.identity  # each series has its own width or its own number
        self.traits = replace(type(self).traits, regional=not alone, named=names)

    @property
    def columns(self) -> Inputs:
        """The inputs as the scope allows them."""
        if self.scope == "regional":
            return self.inputs
        return replace(self.inputs, neighbours=0, identity=self.inputs.identity and self.scope == "global")

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        ahead = self._step_task(panel, task)
        rows = training_rows(panel, task)  # (B,)
        span = training_span(panel, task, rows)  # (T,)
        self.neighbours_ = most_alike(panel.values[:, span, : len(task.targets)], self.columns.neighbours)  # (N, M)
        self.levels_ = self._levels(task)
        uncertain = len(task.levels) > 1 and not self.levels_
        every = self.holdout if uncertain or self.trees.patience else 0
        held = held_out(panel, rows, block_rows(task), every)  # (B,)
        apart = clear_of(rows, rows[held], task.horizon) | held  # (B,)
        if (apart & ~held).sum() < len(rows) / 2:  # a short history: better trained on whole
            held, apart = np.zeros_like(held), np.ones_like(apart)
        rows, held = rows[apart], held[apart]
        self.parts_ = self._grown(panel, ahead, rows, held)
        self.residuals_ = Residuals.none(panel.shape[0], task)
        if uncertain:
            self.residuals_ = Residuals.of(self._errors(panel, task, rows[held] if held.any() else rows), task)

    def _levels(self, task: Task) -> tuple[float, ...]:
        """The levels that trees learn by themselves: none, unless by the pinball loss."""
        return tuple(task.levels) if self.quantiles == "pinball" else ()

    def _step_task(self, panel: Panel, task: Task) -> Task:
        """The task that the boosters learn: one step where they are applied again and again."""
        if self.strategy != "recursive":
            return task
        if task.past or panel.outlook is not None:
            names = ", ".join(v.name for v in (*task.past, *task.future))
            raise SchemaError(
                f"strategy 'recursive' needs later values of {names}, which nothing forecasts: make them targets, "
                "leave them out, or take strategy 'multi' or 'direct'"
            )
        return replace(task, horizon=1)

    def _grown(self, panel: Panel, task: Task, rows: np.ndarray, held: np.ndarray) -> list[Boosted]:
        """One for the whole table, or one for each series where the scope is local; rows of one series adjoin."""
        if held.any() and not self.trees.patience:
            rows, held = rows[~held], held[~held]
        x = table(panel, task, rows, self.columns, self.neighbours_).swapaxes(0, 1)  # (N, B, F)
        truth = truth_at(panel, task, rows)  # (B, N, H, C)
        if self.inputs.relative:  # the table's first columns say the same, but in single precision
            truth = truth - last_known(panel, task, rows)[:, :, None]
        truth = truth.swapaxes(0, 1)  # (N, B, H, C)
        parts = len(x) if self.scope == "local" else 1
        x, truth = x.reshape(parts, -1, x.shape[2]), truth.reshape(parts, -1, *truth.shape[2:])
        stop = np.tile(held, x.shape[1] // len(held)) if held.any() else None  # (R,)

        def learnt(x: np.ndarray, truth: np.ndarray) -> Boosted:
            direct = self.strategy == "direct"
            return Boosted.learnt(x, truth, self.trees, direct, self.levels_, stop, self.threads, self.seed)

        return [learnt(*part) for part in zip(x, truth, strict=True)]

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        values = self._answers(windows, task)  # (B, N, H, C, E)
        return values if self.levels_ else self.residuals_.around(values[..., 0], windows.series, self.series_)

    def _answers(self, windows: Windows, task: Task) -> np.ndarray:
        """(B, N, H, C, E)."""
        if self.strategy != "recursive":
            return self._scored(windows)
        context = windows.values.shape[2]
        room = np.pad(windows.values, ((0, 0), (0, 0), (0, task.horizon), (0, 0)))  # (B, N, L+H, C)
        for h in range(task.horizon):
            origins = windows.origins + h * np.timedelta64(task.step)  # (B,)
            seen = Windows(room[:, :, h : h + context], origins, None, windows.series)
            room[:, :, context + h] = self._scored(seen)[:, :, 0, :, 0]  # (B, N, C)
        return room[:, :, context:, :, None]  # (B, N, H, C, 1)

    def _scored(self, windows: Windows) -> np.ndarray:
        """(B, N, H, C, E) of what the boosters reach in one go."""
        batch, count = windows.values.shape[:2]
        x = features(windows, self.columns, self.series_, self.neighbours_)  # (B, N, F)
        if len(self.parts_) == 1:
            flat = self.parts_[0].answers(x.reshape(batch * count, -1))  # (B*N, H, C, E)
            values = flat.reshape(batch, count, *flat.shape[1:])
        else:
            values = np.stack([part.answers(x[:, n]) for n, part in enumerate(self.parts_)], axis=1)
        if self.inputs.relative:
            values = values + windows.last_known(values.shape[3])[:, :, None, :, None]
        return values

    def _errors(self, panel: Panel, task: Task, rows: np.ndarray) -> np.ndarray:
        """(B, N, H, C) truth minus point at `rows` (B,), a bounded number of windows at a time."""
        step = max(1, CHUNK // (panel.shape[0] * panel.shape[2] * task.context))
        parts = [rows[i : i + step] for i in range(0, len(rows), step)]
        return np.concatenate(
            [truth_at(panel, task, p) - self._answers(windows_at(panel, task, p), task)[..., 0] for p in parts]
        )

    def _save(self, folder: Path) -> None:
        write_boosters(folder, [booster for part in self.parts_ for booster in part.boosters])
        write_arrays(
            folder,
            centre=np.stack([part.centre for part in self.parts_]),  # (P, H, C)
            width=np.stack([part.width for part in self.parts_]),  # (P, H, C)
            neighbours=self.neighbours_,
            shape=self.residuals_.shape,
            widths=self.residuals_.widths,
        )

    def _load(self, folder: Path) -> None:
        arrays = read_arrays(folder)
        self.neighbours_ = arrays["neighbours"]
        self.residuals_ = Residuals(arrays["shape"], arrays["widths"])
        assert self.task_ is not None
        self.levels_ = self._levels(self.task_)
        boosters = read_boosters(folder, self.threads)
        each = len(boosters) // len(arrays["centre"])
        cut = [Boosters(boosters[i : i + each]) for i in range(0, len(boosters), each)]
        parts = zip(cut, arrays["centre"], arrays["width"], strict=True)
        self.parts_ = [Boosted(*part) for part in parts]
