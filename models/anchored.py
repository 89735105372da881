"""Anchored: a model whose point stays at the last known value until it is sure enough that the value will move.

For variables that often do not change at all, such as cloud in oktas or wind in whole knots: the likeliest value is the
present one, and a point that leaves it a little too soon costs more absolute error than one that stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment
from forecast.portrait import Matrix
from forecast.schema import Task
from forecast.windows import Windows, training_rows, truth_at
from models.inside import read_inside, said, write_inside
from models.persistence import Persistence

FILE = "anchored.safetensors"
POINT = Persistence()


class Anchored(Forecaster):
    """The quantiles of a model; its point only where the last known value lies outside a central interval of them.

    The interval lies between two of the task's levels: 0 is the model's own median, 0.2 from level 0.4 to 0.6, 1
    everything, so that the point is always the last value.

    Args:
        model: any Forecaster; it is copied, never fitted itself.
        widths: target -> widths by lead, the last one for all further leads; targets not named are left as they are.
            None: chosen for each lead and target by the absolute error on the newest part of the training rows, by a
            model trained on the older part; of equals the widest.
        newest: share of the training origins that the choice is made on.

    Raises:
        SchemaError: a share outside (0, 1); at fit, a width that is no distance of two levels around 0.5.
        UnknownNameError: at fit, a target that the task does not have.
    """

    model_: Forecaster
    width_: np.ndarray  # (H, C) index of `pairs`

    def __init__(
        self,
        model: Forecaster = POINT,
        widths: Mapping[str, Sequence[float]] | None = None,
        newest: float = 0.25,
    ) -> None:
        if not 0 < newest < 1:
            raise SchemaError(f"newest is {newest}: it is a share of the training origins, between 0 and 1")
        self.model = model
        self.widths = widths
        self.newest = newest
        self.traits = model.traits

    @property
    def min_origins(self) -> int:  # type: ignore[override]
        return self.model.min_origins

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        if warm:
            self.model_ = deepcopy(self.model_).fit(panel, task, warm=True)
            return
        self.width_ = self._chosen(panel, task) if self.widths is None else given(self.widths, task)  # (H, C)
        self.model_ = deepcopy(self.model).fit(panel, task)

    def _chosen(self, panel: Panel, task: Task) -> np.ndarray:
        none = np.zeros((task.horizon, len(task.targets)), np.int64)  # (H, C)
        rows = training_rows(panel, task)  # (B,)
        held = rows[len(rows) - int(len(rows) * self.newest) :]  # (B',)
        if len(rows) - len(held) - task.horizon < self.min_origins or not len(held):
            return none
        try:
            model = deepcopy(self.model).fit(panel.rows(slice(0, int(held[0]) + 1)), task)
        except SchemaError:  # the older part says too little: the fit on all rows says whether it is more than that
            return none
        quantiles = np.stack([f.quantiles for f in model.predict_at(panel, [moment(t) for t in panel.times[held]])])
        last = _last(panel, held, len(task.targets))  # (B', N, C)
        truth = truth_at(panel, task, held)  # (B', N, H, C)
        losses = []
        for width in range(len(pairs(task))):
            point = anchored(quantiles, last, np.full_like(none, width), task)[..., task.median]  # (B', N, H, C)
            error = np.abs(truth - point)
            losses.append(np.where(np.isnan(error), 0.0, error).sum((0, 1)))  # (H, C)
        wide = np.stack(losses[::-1])  # (P, H, C), the widest first
        return len(losses) - 1 - wide.argmin(0)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        quantiles = said(self.model_, windows, task)  # (B, N, H, C, Q)
        return anchored(quantiles, windows.last_known(len(task.targets)), self.width_, task)

    def _update(self, panel: Panel, task: Task) -> None:
        self.model_ = deepcopy(self.model_).update(panel)

    def _portrait(self) -> dict[str, Matrix]:
        return self.model_.portrait()

    def _save(self, folder: Path) -> None:
        write_inside(self.model_, folder)
        save_file({"width": self.width_}, folder / FILE)

    def _load(self, folder: Path) -> None:
        assert self.task_ is not None
        self.width_ = load_file(folder / FILE)["width"]
        self.model_ = deepcopy(self.model)
        read_inside(self.model_, self.task_, self, folder)


def given(widths: Mapping[str, Sequence[float]], task: Task) -> np.ndarray:
    """(H, C) indices of `pairs`."""
    known = [task.levels[high] - task.levels[low] if low >= 0 else 1.0 for low, high in pairs(task)]
    found = np.zeros((task.horizon, len(task.targets)), np.int64)  # (H, C)
    for name, asked in widths.items():
        if name not in task.target_names:
            raise UnknownNameError("target to anchor", name, task.target_names)
        for h in range(task.horizon):
            width = asked[min(h, len(asked) - 1)]
            near = np.flatnonzero(np.isclose(known, width))  # (0 or 1,)
            if not near.size:
                raise SchemaError(
                    f"width {width:g} is no distance of two levels around 0.5 of {list(task.levels)}: known are "
                    f"{[round(w, 9) for w in known]}; choose one, or add two levels to the task"
                )
            found[h, task.target_names.index(name)] = near[0]
    return found


def pairs(task: Task) -> list[tuple[int, int]]:
    """Indices of the levels below and above 0.5, the innermost pair first; the first is the median itself.

    >>> from forecast.schema import Variable
    >>> pairs(Task(targets=(Variable("cloud"),), levels=(0.1, 0.5, 0.9)))
    [(1, 1), (0, 2), (-1, -1)]
    """
    middle, count = task.median, min(task.median, len(task.levels) - 1 - task.median)
    return [(middle - k, middle + k) for k in range(count + 1)] + [(-1, -1)]  # the last: never leave


def anchored(quantiles: np.ndarray, last: np.ndarray, width: np.ndarray, task: Task) -> np.ndarray:
    """Quantiles (B, N, H, C, Q) with the last value (B, N, C) as median wherever the pair `width` (H, C) holds it."""
    out, found = quantiles.copy(), last[:, :, None]  # (B, N, H, C, Q), (B, N, 1, C)
    for k, (low, high) in enumerate(pairs(task)):
        inside = np.isfinite(found) & (width == k)  # (B, N, H, C)
        if low >= 0:
            inside &= (quantiles[..., low] <= found) & (found <= quantiles[..., high])
        out[..., task.median] = np.where(inside & ((low != high) | (low < 0)), found, out[..., task.median])
    return out


def _last(panel: Panel, rows: np.ndarray, targets: int) -> np.ndarray:
    """(B, N, C) the newest value of each target at or before `rows` (B,), NaN if there is none."""
    values = panel.values[..., :targets]  # (N, T, C)
    known = np.where(np.isnan(values), 0, np.arange(values.shape[1])[:, None])  # (N, T, C)
    filled = np.take_along_axis(values, np.maximum.accumulate(known, axis=1), axis=1)  # (N, T, C)
    return filled[:, rows].swapaxes(0, 1)
