"""Framing: how a network sees the question: whose windows it reads, what it forecasts, in which units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.errors import SchemaError, UnknownNameError
from forecast.schema import Task
from models.nets.heads import Shape

SCOPES = ("regional", "local", "global")
TARGETS = ("difference", "level")
SCALINGS = ("minmax", "standard")
CHANNELS = ("mixed", "independent")


@dataclass(frozen=True)
class Framing:
    """How a network sees the question.

    Args:
        scope: `regional`, one net reads the windows of all series and forecasts all; `local`, one net per series, from
            its own window, all trained in one pass; `global`, one net shared by all series, each from its own window:
            it forecasts series that it was not fitted on too.
        target: `difference` to the last known value, or `level`. For series not fitted on take `difference`: moved to
            where the known ones live, one by level was 6 % worse than its last value, one by difference 16 % better.
        scaling: `minmax` (to [-1, 1]) or `standard` (mean 0, deviation 1; for data with lone extremes), fitted on
            the rows trained on, each series by itself: inputs by variable, truth by lead and target. A warm start
            keeps it.
        channels: `mixed`, all variables of a series are inputs of all its targets; `independent`, each target is
            taken for a series of its own and forecast from its own past (for long horizons over many variables).
        linear: a linear path beside the net (a skip connection from the window), which starts at the ridge solution:
            training has only to learn what a straight line cannot say.
        neighbours: only for `global`: how many other series' newest values are inputs, the most alike first. With
            any, the net forecasts only the series it was fitted on.
        harmonics: of the hour of day among the calendar inputs; 0 leaves the calendar out.

    Raises:
        UnknownNameError: another word. SchemaError: a negative number, or neighbours without `global`.

    >>> Framing(scope="global").bound, Framing(scope="global", neighbours=2).bound
    (False, True)
    """

    scope: str = "regional"
    target: str = "difference"
    scaling: str = "minmax"
    channels: str = "mixed"
    linear: bool = True
    neighbours: int = 0
    harmonics: int = 3

    def __post_init__(self) -> None:
        for kind, known in (("scope", SCOPES), ("target", TARGETS), ("scaling", SCALINGS), ("channels", CHANNELS)):
            if getattr(self, kind) not in known:
                raise UnknownNameError(kind, getattr(self, kind), known)
        for name in ("neighbours", "harmonics"):
            if getattr(self, name) < 0:
                raise SchemaError(f"framing.{name} is {getattr(self, name)}: it must be 0 or more")
        if self.neighbours and self.scope != "global":
            raise SchemaError(f"framing.neighbours is for scope 'global', the scope is '{self.scope}': set one of them")

    @property
    def bound(self) -> bool:
        """Whether the net forecasts only the series it was fitted on."""
        return self.scope != "global" or self.neighbours > 0

    @property
    def joint(self) -> bool:
        """Whether a series is forecast from others too."""
        return self.scope == "regional" or self.neighbours > 0

    def shape(self, series: int, task: Task, ahead: int) -> Shape:
        """Of the rows of a network for `series` series; `ahead` = K * F numbers of outlook, each."""
        units, mixed, regional = (
            self.count(series, len(task.targets)),
            self.channels == "mixed",
            self.scope == "regional",
        )
        columns = len(task.variables) if mixed else 1
        joined = units if regional else 1
        extras = 2 * self.harmonics + 2 if self.harmonics else 0
        extras += min(self.neighbours, units - 1) * columns + ahead * (series if regional else 1)
        outputs = joined * task.horizon * (len(task.targets) if mixed else 1)
        return Shape(task.context, joined * columns, extras, outputs, tuple(task.levels), task.horizon)

    def members(self, series: int, task: Task) -> int:
        """M, how many nets there are."""
        return self.count(series, len(task.targets)) if self.scope == "local" else 1

    def count(self, series: int, targets: int) -> int:
        """U, how many the net takes for series."""
        return series if self.channels == "mixed" else series * targets

    def units(self, values: np.ndarray, targets: int) -> np.ndarray:
        """(B, N, L, V) as (B, U, L, W), what the net takes for series: U = N and W = V, or U = N * C and W = 1."""
        if self.channels == "mixed":
            return values
        batch, series, rows, _ = values.shape
        return values[..., :targets].swapaxes(2, 3).reshape(batch, series * targets, rows, 1)

    def series(self, values: np.ndarray, targets: int) -> np.ndarray:
        """`units` undone, with quantiles behind: (B, U, H, C or 1, Q) as (B, N, H, C, Q)."""
        if self.channels == "mixed":
            return values
        batch, units, horizon, _, levels = values.shape
        return values.reshape(batch, units // targets, targets, horizon, levels).swapaxes(2, 3)

    def per_unit(self, values: np.ndarray, targets: int) -> np.ndarray:
        """Something of each series, (B, N, ...), as something of each unit, (B, U, ...)."""
        return values if self.channels == "mixed" else np.repeat(values, targets, axis=1)
