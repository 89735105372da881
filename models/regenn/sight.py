"""How a ReGENN sees a panel: which rows, in which units, and what its errors are measured in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecast.errors import SchemaError, UnknownNameError
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import training_span
from models.nets.scaling import Scale
from models.nets.view import LIMIT, placed

SCALINGS = ("none", "standard", "minmax", "last", "movement")
BY_NAME = ("standard", "minmax")  # those that are fitted, each series by itself
CLIPPED = (*BY_NAME, "last")  # those in which a wild value is many times what is usual
PRESENT = ("finite", "positive")
ERRORS = ("scaled", "raw")


@dataclass(frozen=True)
class Sight:
    """Scaling of windows and errors. Nothing is taken from after the origin or from outside the training slice.

    Args:
        window: W, the newest rows of the context that are seen; None for all.
        scaling: of each series and variable: `none`; `standard` (mean and standard deviation of training); `minmax`
            (its range there to [-1, 1]); `last` (divided by the window's newest value, for counts that grow);
            `movement` (divided by the window's mean absolute change).
        difference: values are seen, and forecast, as differences to the window's newest.
        present: what counts as present in the graph: what is `finite`, or `positive`, which says more of counts.
        errors: the training loss is the mean absolute error of `scaled` numbers, or of `raw` ones, whose largest
            series and variables decide (the authors').

    Raises:
        UnknownNameError: another scaling, presence or error. SchemaError: a window that is not positive.
    """

    window: int | None = None
    scaling: str = "standard"
    difference: bool = True
    present: str = "finite"
    errors: str = "scaled"

    def __post_init__(self) -> None:
        for name, known in (("scaling", SCALINGS), ("present", PRESENT), ("errors", ERRORS)):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), known)
        if self.window is not None and self.window < 1:
            raise SchemaError(f"window is {self.window}: it must be at least 1, or null for the whole context")

    def rows(self, task: Task) -> int:
        """W of a task.

        Raises:
            SchemaError: the window is longer than the task's context.
        """
        if self.window is not None and self.window > task.context:
            raise SchemaError(
                f"a window of {self.window} rows does not fit the task's context of {task.context}: "
                "shorten it, or lengthen the context"
            )
        return self.window or task.context

    def scale(self, panel: Panel, task: Task, rows: np.ndarray) -> Scale:
        """Scale (1, N, 1, V) from the contexts and truths of the training origins `rows` (B,)."""
        if self.scaling not in BY_NAME:
            return Scale(np.zeros((1, len(panel.series), 1, panel.shape[2])), np.ones((1, 1, 1, 1)))
        inside = panel.values[:, training_span(panel, task, rows)]  # (N, T', V)
        return Scale.of(inside[None], (0, 2), self.scaling)

    def seen(self, values: np.ndarray, scale: Scale, series: Sequence[str], known: Sequence[str], task: Task) -> Seen:
        """Windows as a network sees them.

        Args:
            values: (B, N, L, V) without gaps. scale: of the `known` series. series: the N of the windows.
        """
        values, last = values[:, :, -self.rows(task) :], values[:, :, -1:]  # (B, N, W, V), (B, N, 1, V)
        place = placed(series, known) if self.scaling in BY_NAME else None
        scale = scale if place is None else scale.at(place)
        base = last if self.difference else scale.centre + np.zeros_like(last)  # (B, N, 1, V)
        size = self._size(values, scale)  # (B, N, 1, V)
        scaled = (values - base) / np.where(size > 0, size, 1.0)  # (B, N, W, V)
        if self.scaling in CLIPPED:
            scaled = np.clip(scaled, -LIMIT, LIMIT)
        count = len(task.targets)
        return Seen(scaled, base[..., :count], size[..., :count])

    def _size(self, values: np.ndarray, scale: Scale) -> np.ndarray:
        """(B, N, 1, V) what windows (B, N, W, V) are divided by; 0 where nothing moves."""
        if self.scaling in ("none", *BY_NAME):
            return scale.spread + np.zeros_like(values[:, :, -1:])
        widest = np.abs(values).max(2, keepdims=True)  # (B, N, 1, V)
        size = np.abs(values[:, :, -1:])
        if self.scaling == "movement":
            size = np.abs(np.diff(values, axis=2, prepend=values[:, :, :1])).mean(2, keepdims=True)
        return np.where(size > 0, size, np.where(widest > 0, widest, 1.0))


@dataclass(frozen=True, eq=False)
class Seen:
    """Windows (B, N, W, V) in scaled numbers, and of the targets the base and the size (B, N, 1, C) of one."""

    values: np.ndarray
    base: np.ndarray
    size: np.ndarray
