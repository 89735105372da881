"""PointNetwork: a network that gives one number for each output, fitted by squared error; intervals by its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from forecast.panel import Panel
from forecast.schema import Task
from models.arrays import read_arrays, write_arrays
from models.lightning import Loss
from models.nets.heads import Point, Shape, Squares
from models.nets.network import TRAITS, Begun, Network, answers, quiet
from models.nets.scopes import SCOPES
from models.nets.view import Seen
from models.residuals import Residuals

NEWEST = 0.2  # share of the training rows, the newest, whose errors give the intervals where none are held out


class PointNetwork(Network):
    """The mean of every series, lead and target from windows, and intervals of fixed width around it.

    The widths are quantiles of the net's errors, each series' by its own mean error: on the rows that its training
    holds out, else on the newest fifth of those it was trained on, whose level is nearest to today's. Errors in
    training are smaller than those to come: wrap the model in `models.conformal.Conformal` where coverage matters.
    It takes no outlook.
    """

    traits = replace(TRAITS, exogenous=False)

    residuals_: Residuals

    def _checked(self, panel: Panel, task: Task) -> Panel:
        return super()._checked(panel, task).with_outlook(())

    def _single(self, shape: Shape) -> Point:
        return Point(self._body(shape), shape)

    def _loss(self, shape: Shape) -> Loss:
        return Squares()

    def _learn_rest(self, begun: Begun) -> None:
        task, count = self.task_, begun.truth.shape[1]
        assert task is not None
        kept, spread = self.training.trained(count), self.view_.outputs.spread  # (1, U, H, C)
        first = kept if kept < count else count - max(1, round(NEWEST * count))
        first -= first % (spread.shape[1] if self.framing.scope == "global" else 1)  # whole origins
        some = slice(first, None)
        with quiet(self.training.threads):
            points = answers(self.net_, *(tensor[:, some] for tensor in begun.inputs)).squeeze(-1)  # (M, R, O)
        scaled = (begun.truth[:, some] - points).double().numpy()  # (M, R, O)
        errors = SCOPES[self.framing.scope].restored(scaled[..., None], spread.shape[1])  # (B, U, O / U, 1)
        errors = errors.reshape(len(errors), *spread.shape[1:]) * spread  # (B, U, H, C)
        self.residuals_ = Residuals.of(self.framing.series(errors[..., None], len(task.targets))[..., 0], task)

    def _answered(self, raw: np.ndarray, seen: Seen, series: Sequence[str], task: Task) -> np.ndarray:
        points = self.view_.answered(raw, seen, len(task.targets))[..., 0]  # (B, N, H, C)
        return self.residuals_.around(points, series, self.series_)

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        write_arrays(folder, shape=self.residuals_.shape, widths=self.residuals_.widths)

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        self.residuals_ = Residuals(**read_arrays(folder))
