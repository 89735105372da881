"""What a report is made of: the question all contestants answer, and the answer of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from forecast.errors import SchemaError
from forecast.panel import Panel
from forecast.schema import Variable


@dataclass(frozen=True, eq=False)
class Question:
    """Truths after B origins of N series, H steps ahead, for C variables.

    Args:
        truth: (B, N, H, C) what came, in the variables' units; NaN where it is not known.
        last: (B, N, C) the newest value known at each origin; NaN where there is none.
        origins: (B,) datetime64[us], `stride` steps apart.
        history: N series of C variables before the first fit's end: what denominators are measured on.
        variables: the C targets.
        stride: rows between origins. patience: rows that the newest known value may be old, as in the task.

    Raises:
        SchemaError: shapes that do not fit, infinite values, or origins that are not evenly spaced.
    """

    truth: np.ndarray
    last: np.ndarray
    origins: np.ndarray
    history: Panel
    variables: Sequence[Variable]
    stride: int = 1
    patience: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", tuple(self.variables))
        object.__setattr__(self, "truth", np.asarray(self.truth, float))
        object.__setattr__(self, "last", np.asarray(self.last, float))
        object.__setattr__(self, "origins", np.asarray(self.origins, "datetime64[us]"))
        n, _, c = self.history.values.shape
        if self.truth.ndim != 4 or not len(self.origins) or self.truth.shape[:2] != (len(self.origins), n):
            raise SchemaError(
                f"truth has shape {self.truth.shape}: expected (B, N, H, C) of {len(self.origins)} origins, at least "
                f"one, and the {n} series of the history"
            )
        if self.truth.shape[3] != c or len(self.variables) != c or self.last.shape != (len(self.origins), n, c):
            raise SchemaError(
                f"history has {c} variables, truth {self.truth.shape[3]}, variables name {len(self.variables)}, last "
                f"has shape {self.last.shape}: give the same targets to all, and last as (B, N, C)"
            )
        self._check_values()

    def _check_values(self) -> None:
        for name in ("truth", "last"):
            if np.isinf(getattr(self, name)).any():
                raise SchemaError(f"{name} holds infinite values: use NaN for what is not known, and mend the rest")
        if self.stride < 1 or self.patience < 0:
            raise SchemaError(
                f"stride is {self.stride} and patience {self.patience}: give at least 1 and at least 0 rows"
            )
        apart = np.unique(np.diff(self.origins))
        if len(apart) and apart.tolist() != [self.stride * self.history.step]:
            raise SchemaError(
                f"origins are {', '.join(map(str, apart[:5].tolist()))} apart, expected stride {self.stride} times "
                f"{self.history.step}: sort them, or give the stride that they have"
            )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(v.name for v in self.variables)

    @property
    def horizon(self) -> int:
        return int(self.truth.shape[2])

    @property
    def times(self) -> np.ndarray:
        """(B, H) when each truth holds."""
        return np.asarray(self.origins[:, None] + np.arange(1, self.horizon + 1) * np.timedelta64(self.history.step))

    @property
    def overlap(self) -> int:
        """Origins whose truths share rows: 1 where the horizon fits into the stride."""
        return -(-self.horizon // self.stride)


@dataclass(frozen=True, eq=False)
class Answer:
    """One contestant's forecasts.

    Args:
        label: its name in tables.
        points: (S, B, N, H, C), one forecast per seed, in the variables' units; NaN where it has none.
        about: words for the tables, by heading, such as `policy`, `fits`, `pretrained on`; "" prints "-".
        cpu_s: phase -> CPU seconds, over all seeds.

    Raises:
        SchemaError: points without five axes or without a seed, infinite values.
    """

    label: str
    points: np.ndarray
    about: Mapping[str, str] = field(default_factory=dict)
    cpu_s: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.points.ndim != 5 or not len(self.points):
            raise SchemaError(
                f"points of '{self.label}' have shape {self.points.shape}: expected (S, B, N, H, C), one row per seed"
            )
        if np.isinf(self.points).any():
            raise SchemaError(f"points of '{self.label}' hold infinite values: use NaN where there is no forecast")

    @property
    def seeds(self) -> int:
        return len(self.points)
