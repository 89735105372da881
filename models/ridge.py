"""Ridge: one linear equation per series and lead, solved anew from sums that each new row is added to. Always fresh.

The cheapest model that never needs a refit: every other model has to justify its cost against it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from forecast.errors import SchemaError, ShortHistoryError, UnknownNameError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel, stamp
from forecast.schema import Task
from forecast.windows import Windows, training_rows, training_span
from models.arrays import by_name, read_arrays, write_arrays
from models.ridges.block import Block, learn
from models.ridges.errors import known_or, mean_of_known, quantiles_of, ring_of
from models.ridges.inputs import RidgeInputs, design, without_gaps
from models.ridges.steps import discrete, read_off
from models.ridges.table import Table, outlook_means
from models.trees.tabular import most_alike

SCOPES = ("local", "global")
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
CHUNK = 4_000_000  # design values held at once while forecasting: 32 MB
HOLD = 0.05  # by the squared lead: chance beyond a half that it takes to leave a discrete variable's last value
INPUTS = RidgeInputs()


class Ridge(Forecaster):
    """Linear regression with a penalty on lags, neighbours, calendar, seasons and outlook, streaming.

    What is learnt is the change from the newest value. `update` adds each new row to X'X and X'y, weighs the old by
    the half-life and solves again: the equations are those of a fit on all rows, with the penalties of the last fit.
    A truth is learnt the moment it is known, at short leads before long ones. Intervals are quantiles of the newest
    errors on rows left out of the fit, in closed form, then of the forecasts' own errors as truths come in.

    Args:
        inputs: which columns the rows have.
        scope: `local`, one equation per series; `global`, one for all.
        penalties: to choose from, relative to each column's variance; one is taken as it is.
        block: rows left out together when the penalty is chosen and the errors are measured; 1 is leave-one-out.
        half_life: rows after which a row counts half; None: all rows count the same.
        errors: how many newest errors give the intervals. refresh: rows between two sortings of a series' errors.
        steps: a target with at most so many different values (cloud in oktas) is forecast by the chance of each
            (`ridge_steps`); 0: never.
        shift: move the point by the median of the errors, so that it is the median of the interval.

    Raises:
        UnknownNameError: a scope that does not exist. SchemaError: a number that must be positive and is not.

    Source: Hoerl and Kennard 1970, "Ridge Regression", Technometrics 12; leave-one-out: Allen 1974, Technometrics 16;
    exponential forgetting: Ljung 1999, "System Identification", 11.2.
    """

    traits = Traits(updates=True, exogenous=True, multivariate=True, regional=True)

    def __init__(
        self,
        inputs: RidgeInputs = INPUTS,
        scope: str = "local",
        penalties: Sequence[float] = PENALTIES,
        block: int = 240,
        half_life: float | None = None,
        errors: int = 512,
        refresh: int = 24,
        steps: int = 12,
        shift: bool = False,
    ) -> None:
        if scope not in SCOPES:
            raise UnknownNameError("scope", scope, SCOPES)
        for name, value in (("block", block), ("half_life", half_life), ("errors", errors), ("refresh", refresh)):
            if value is not None and not value > 0:
                raise SchemaError(f"ridge {name} is {value}: it must be positive")
        if not penalties or not min(penalties) > 0:
            raise SchemaError(f"ridge penalties are {list(penalties)}: give at least one, each above 0")
        self.inputs = inputs
        self.scope = scope
        self.penalties = penalties
        self.block = block
        self.half_life = half_life
        self.errors = errors
        self.refresh = refresh
        self.steps = steps
        self.shift = shift
        self.traits = replace(type(self).traits, regional=scope == "local" or inputs.neighbours > 0)

    @property
    def fade(self) -> float:
        """What a row's weight is multiplied by as it becomes one row older."""
        return 1.0 if self.half_life is None else 0.5 ** (1 / self.half_life)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        rows = training_rows(panel, task)  # (B,)
        seen = panel.values[:, training_span(panel, task, rows), : len(task.targets)]  # (N, T', C)
        self.neighbours_ = most_alike(seen, self.inputs.neighbours)  # (N, M)
        self.supports_ = discrete(seen, self.steps)
        self.outlook_means_ = outlook_means(panel, rows)  # (N, F)
        assert self.data_end_ is not None
        end = int(np.searchsorted(panel.times, stamp(self.data_end_)))
        rows = rows[rows < end]
        if not len(rows):
            raise ShortHistoryError(
                f"no value of a target follows a context of {task.context} rows: the newest is of {self.data_end_}; "
                "give a longer history or a shorter context"
            )
        self.pending_ = panel.times[np.append(rows[rows > end - task.horizon], end)]
        table = self._table(panel, task)
        self.blocks_, errors = learn(table, rows, end, self.scope, self.fade, self.penalties, self.block)
        newest = rows[rows > end - task.horizon]
        self.weights_ = self._solved(*table.of(np.arange(panel.shape[0]), newest), newest, end)  # (N or 1, O, D)
        self.ring_ = ring_of(errors, self.errors)  # (N, M, H, C)
        found = self._sorted(np.arange(panel.shape[0]), task)
        self.quantiles_ = known_or(found, mean_of_known(found))  # (N, H, C, Q)

    def _update(self, panel: Panel, task: Task) -> None:
        need = task.context + task.horizon
        for row in range(self.first_new(panel), len(panel.times)):
            self._take(panel.rows(slice(row + 1 - need, row + 1)), task)

    def _take(self, panel: Panel, task: Task) -> None:
        """Learn the truths of the panel's newest row: errors first, then sums, then equations."""
        end = len(panel.times) - 1
        rows = np.arange(end - task.horizon, end)  # (H,)
        times = panel.times[rows]
        allowed = np.isin(times, self.pending_)  # (H,)
        x, y = self._table(panel, task).of(np.arange(panel.shape[0]), rows)
        self._note_errors(x, y, task, panel.times[end])
        self.blocks_ = [b.plus(x, y, rows, allowed, end, self.fade) for b in self.blocks_]
        self.pending_ = np.append(times[allowed & (rows > end - task.horizon)], panel.times[end])
        self.weights_ = self._solved(x[:, allowed], y[:, allowed], rows[allowed], end)

    def _solved(self, x: np.ndarray, y: np.ndarray, rows: np.ndarray, end: int) -> np.ndarray:
        """(N or 1, O, D) the equations at row `end`, from the sums and the newest origins `rows` (R,)."""
        parts = [b.solve(x, y, rows, end, self.fade) for b in self.blocks_]
        if len(parts) == 1:
            return parts[0]
        out = np.empty((len(x), *parts[0].shape[1:]))
        for block, part in zip(self.blocks_, parts, strict=True):
            out[block.series] = part
        return out

    def _note_errors(self, x: np.ndarray, y: np.ndarray, task: Task, time: np.datetime64) -> None:
        """Push the errors of the forecasts for `time`, by the equations from before it."""
        lack = (y - self._applied(x, task)).reshape(*y.shape[:2], task.horizon, -1)[..., : len(task.targets)]
        newest = np.stack([lack[:, task.horizon - h, h - 1] for h in task.leads], 1)[:, None]  # (N, 1, H, C)
        self.ring_ = ring_of(np.concatenate([self.ring_, newest], 1), self.errors)
        due = self._due(int((time - np.datetime64(0, "us")) // np.timedelta64(task.step)))  # (N',)
        if len(due):
            self.quantiles_ = self.quantiles_.copy()
            self.quantiles_[due] = known_or(self._sorted(due, task), self.quantiles_[due])

    def _due(self, slot: int) -> np.ndarray:
        """(N',) the series whose errors are sorted in this slot: some in each, or all where they have one spread."""
        places = np.arange(len(self.ring_)) if self.scope == "local" else np.zeros(len(self.ring_), int)
        return np.flatnonzero(places % self.refresh == slot % self.refresh)

    def _sorted(self, series: np.ndarray, task: Task) -> np.ndarray:
        """(N', H, C, Q) error quantiles of `series` (N',), NaN without errors; one equation for all has one spread."""
        ring = self.ring_[series] if self.scope == "local" else self.ring_.reshape(1, -1, *self.ring_.shape[2:])
        found = quantiles_of(ring, task.levels, self.shift)
        return np.broadcast_to(found, (len(series), *found.shape[1:])).copy()

    def _table(self, panel: Panel, task: Task) -> Table:
        return Table(
            panel,
            task,
            self.inputs,
            self._centres(self.series_),
            self.neighbours_,
            tuple(self.supports_),
            self.outlook_means_,
        )

    def _centres(self, series: Sequence[str]) -> np.ndarray:
        """(N, V) what levels are centred by: of each series, or of all where one equation serves all."""
        means = self.means_of(series)
        return means if self.scope == "local" else np.broadcast_to(self.means_.mean(0), means.shape)

    def _applied(self, x: np.ndarray, task: Task) -> np.ndarray:
        """(N, B, O) of rows x (N, B, 1 or H, D)."""
        weights = self.weights_  # (N or 1, O, D)
        if x.shape[2] == 1:
            return x[:, :, 0] @ weights.swapaxes(1, 2)
        by_lead = weights.reshape(len(weights), task.horizon, -1, weights.shape[2])  # (N, H, E, D)
        out = x.swapaxes(1, 2) @ by_lead.swapaxes(2, 3)  # (N, H, B, E)
        return out.swapaxes(1, 2).reshape(*x.shape[:2], -1)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        count = windows.values.shape[1]
        per_row = count * self.weights_.shape[2] * (1 if self.blocks_[0].alike else task.horizon)
        size = max(1, CHUNK // per_row)
        parts = []
        for i in range(0, len(windows.origins), size):
            outlook = None if windows.outlook is None else windows.outlook[i : i + size]
            parts.append(
                self._answers(
                    Windows(windows.values[i : i + size], windows.origins[i : i + size], outlook, windows.series), task
                )
            )
        return np.concatenate(parts)

    def _answers(self, windows: Windows, task: Task) -> np.ndarray:
        """(B, N, H, C, Q)."""
        count, targets = windows.values.shape[1], len(task.targets)
        known = windows.series == self.series_
        neighbours = self.neighbours_ if known else np.empty((count, 0), np.int64)
        means = (
            self.outlook_means_
            if known
            else np.broadcast_to(self.outlook_means_.mean(0), (count, self.outlook_means_.shape[1]))
        )
        windows = replace(windows, outlook=without_gaps(windows.outlook, means))
        x = design(
            windows, task, self.inputs, self._centres(windows.series), neighbours, np.arange(count), self.supports_
        )
        out = (
            self._applied(x, task).swapaxes(0, 1).reshape(len(windows.origins), count, task.horizon, -1)
        )  # (B, N, H, E)
        point = out[..., :targets] + windows.values[:, :, -1, None, :targets]  # (B, N, H, C)
        answers = point[..., None] + self._spread(windows.series)  # (B, N, H, C, Q)
        start = targets
        for c, support in enumerate(self.supports_):
            if len(support):
                chances = out[..., start : start + len(support) - 1]  # (B, N, H, K)
                answers[..., c, :] = read_off(
                    chances, support, task.levels, windows.values[:, :, -1, None, c], HOLD / np.array(task.leads) ** 2
                )
                start += len(support) - 1
        return answers

    def _spread(self, series: Sequence[str]) -> np.ndarray:
        """(N, H, C, Q) error quantiles of `series`; those that training did not know have the mean."""
        return by_name(self.quantiles_, self.series_, series, self.quantiles_.mean(0))

    def _save(self, folder: Path) -> None:
        arrays = {
            name: getattr(self, f"{name}_") for name in ("neighbours", "weights", "ring", "quantiles", "outlook_means")
        }
        for i, block in enumerate(self.blocks_):
            arrays |= {f"block{i}_{name}": array for name, array in block.arrays().items()}
        write_arrays(folder, pending=self.pending_.astype(np.int64), **arrays)
        (folder / "steps.json").write_text(json.dumps([s.tolist() for s in self.supports_]))

    def _load(self, folder: Path) -> None:
        arrays = read_arrays(folder)
        for name in ("neighbours", "weights", "ring", "quantiles", "outlook_means"):
            setattr(self, f"{name}_", arrays[name])
        self.pending_ = arrays["pending"].astype("datetime64[us]")
        count = sum(name.endswith("_gram") for name in arrays)
        self.blocks_ = [
            Block.of({n.partition("_")[2]: a for n, a in arrays.items() if n.startswith(f"block{i}_")})
            for i in range(count)
        ]
        self.supports_ = [np.array(s) for s in json.loads((folder / "steps.json").read_text())]
