"""PointNetwork: a network that gives one number for each output, fitted by squared error; intervals by its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from forecast.panel import Panel
from forecast.schema import Task
from forecast.together import Fit
from forecast.windows import training_rows, truth_at, windows_at
from models.arrays import read_arrays, write_arrays
from models.lightning import Loss
from models.nets.heads import Point, Shape, Squares
from models.nets.network import TRAITS, Begun, Network, answers, quiet
from models.nets.scopes import SCOPES
from models.nets.view import Seen
from models.residuals import Residuals

NEWEST = 0.2  # share of the rows trained on, the newest, whose errors give the intervals where none are held out


class PointNetwork(Network):
    """The mean of every series, lead and target from windows, and intervals around it.

    An interval reaches as far as two do, whichever reaches further: one around the point, by the net's errors, and one
    around the last value, by its changes, as persistence has it. A net's errors in training are smaller than those to
    come, by a factor that is not known; the last value learns nothing and has no such excuse, and a point that strays
    from it makes its own interval wider. On the Fridays of 2017 and 2018, 80 % intervals for NIFTY by the net's errors
    alone covered 68 and 55 % (cnn_univ_10), 34 and 45 % (cnn_multv_10); these do 93 and 70, 94 and 73 %, at a smaller
    pinball loss in each case, and the last value's own 92 and 72 %.

    Both are quantiles of errors, each series' by its own mean error: the net's on the rows that its training holds out,
    else on the newest fifth of those it was trained on, whose level is nearest to today's (rows without any truth, as
    in a silence before the history's end, do not count); the last value's on all. Wrap the model in
    `models.conformal.Conformal` where coverage matters. It takes no outlook.
    """

    traits = replace(TRAITS, exogenous=False)

    residuals_: Residuals
    changes_: Residuals

    def _checked(self, panel: Panel, task: Task) -> Panel:
        return super()._checked(panel, task).with_outlook(())

    def _single(self, shape: Shape) -> Point:
        return Point(self._body(shape), shape)

    def _loss(self, shape: Shape) -> Loss:
        return Squares()

    def _begun(self, fit: Fit) -> Begun:
        rows = training_rows(fit.panel, fit.task)
        last = windows_at(fit.panel, fit.task, rows).last_known(len(fit.task.targets))  # (B, N, C)
        self.changes_ = Residuals.of(truth_at(fit.panel, fit.task, rows) - last[:, :, None], fit.task)
        return super()._begun(fit)

    def _learn_rest(self, begun: Begun) -> None:
        task, spread = self.task_, self.view_.outputs.spread  # (1, U, H, C)
        assert task is not None
        some = judging(begun.truth, self.training.trained(begun.truth.shape[1]))  # (M, R)
        first = int(some.any(0).int().argmax())
        first -= first % (spread.shape[1] if self.framing.scope == "global" else 1)  # whole origins
        with quiet(self.training.threads):
            points = answers(self.net_, *(tensor[:, first:] for tensor in begun.inputs)).squeeze(-1)  # (M, R', O)
        scaled = (begun.truth[:, first:] - points).masked_fill(~some[:, first:, None], torch.nan)  # (M, R', O)
        errors = SCOPES[self.framing.scope].restored(scaled.double().numpy()[..., None], spread.shape[1])
        errors = errors.reshape(len(errors), *spread.shape[1:]) * spread  # (B, U, H, C)
        self.residuals_ = Residuals.of(self.framing.series(errors[..., None], len(task.targets))[..., 0], task)

    def _answered(self, raw: np.ndarray, seen: Seen, series: Sequence[str], task: Task) -> np.ndarray:
        points = self.view_.answered(raw, seen, len(task.targets))[..., 0]  # (B, N, H, C)
        last = self.framing.series(seen.last[..., None], len(task.targets))[..., 0]  # (B, N, 1, C)
        return further(
            self.residuals_.around(points, series, self.series_),
            self.changes_.around(np.broadcast_to(last, points.shape), series, self.series_),
            task,
        )

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        parts = {"residuals": self.residuals_, "changes": self.changes_}
        write_arrays(
            folder, **{f"{name}.{key}": array for name, part in parts.items() for key, array in vars(part).items()}
        )

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        held = read_arrays(folder)
        self.residuals_, self.changes_ = (
            Residuals(held[f"{name}.shape"], held[f"{name}.widths"]) for name in ("residuals", "changes")
        )


def further(own: np.ndarray, other: np.ndarray, task: Task) -> np.ndarray:
    """Quantiles `own` (..., Q), each no nearer to its median than `other`'s is.

    >>> from forecast.schema import Variable
    >>> further(np.array([4.0, 5.0, 6.0]), np.array([0.0, 1.0, 9.0]), Task([Variable("open")])).tolist()
    [0.0, 5.0, 9.0]
    """
    levels = np.array(task.levels)  # (Q,)
    return np.where(levels < 0.5, np.minimum(own, other), np.where(levels > 0.5, np.maximum(own, other), own))


def judging(truth: Tensor, kept: int) -> Tensor:
    """(M, R) bool: of the rows of each member's truth (M, R, O), those whose errors tell how wide its intervals are.

    Of the rows with any truth: those from `kept` on, which are held out, else the newest fifth.

    >>> truth = torch.arange(1.0, 11.0).view(1, 10, 1)
    >>> truth[:, 7:] = torch.nan
    >>> judging(truth, 10).int().tolist(), judging(truth, 5).int().tolist()
    ([[0, 0, 0, 0, 0, 0, 1, 0, 0, 0]], [[0, 0, 0, 0, 0, 1, 1, 0, 0, 0]])
    """
    known = ~torch.isnan(truth).all(2)  # (M, R)
    behind = known.flip(1).cumsum(1).flip(1)  # (M, R) rows with a truth from each on
    newest = known & (behind <= (NEWEST * known.sum(1, keepdim=True)).round().clamp(min=1))
    held = known & (torch.arange(truth.shape[1]) >= kept)
    return torch.where(held.any(1, keepdim=True), held, newest)
