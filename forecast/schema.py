"""What is asked: a `Variable` has a name, a unit and physical bounds; a `Task` is the whole question in one object."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from forecast.errors import SchemaError

RESERVED = frozenset({"series", "time", "seen", "origin", "lead", "variable", "point", "status"})


@dataclass(frozen=True)
class Variable:
    """One measured quantity.

    Args:
        name: column name.
        unit: unit of the stored values, for messages and axes.
        lower, upper: physical bounds in `unit`; values outside are faults, forecasts are clipped to them.

    Raises:
        SchemaError: reserved or empty name, or lower >= upper.

    >>> Variable("humidity", "%", 0, 100).upper
    100.0
    """

    name: str
    unit: str = ""
    lower: float = -math.inf
    upper: float = math.inf

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", float(self.lower))
        object.__setattr__(self, "upper", float(self.upper))
        if not self.name or self.name in RESERVED:
            raise SchemaError(f"variable name '{self.name}' is reserved or empty: choose another column name")
        if not self.lower < self.upper:
            raise SchemaError(
                f"variable '{self.name}' has bounds [{self.lower}, {self.upper}]: lower must be below upper"
            )


UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: timedelta | str) -> timedelta:
    """A timedelta from text such as "1h", "15m", "3600s", "1d" (pandas' "H" and "D" too).

    A month is not a fixed step: pandas' "M" is refused, never read as minutes.

    >>> duration("15m")
    datetime.timedelta(seconds=900)
    """
    if isinstance(text, timedelta):
        return text
    found = re.fullmatch(r"\s*(\d*\.?\d*)\s*([a-zA-Z]+)\s*", str(text))
    if not found or found[1] == "." or found[2] == "M" or found[2].lower() not in UNITS:
        raise SchemaError(f"'{text}' is not a duration: write a number and one of {', '.join(UNITS)}, e.g. '1h'")
    return timedelta(**{UNITS[found[2].lower()]: float(found[1] or 1)})


@dataclass(frozen=True)
class Task:
    """The question: which variables, how far, from how much context.

    Args:
        targets: variables to forecast (C of them).
        step: grid step, a timedelta or text such as "1h", "15m", "1d".
        horizon: H, number of steps ahead.
        context: L, number of past rows a model sees.
        past: further variables known up to the origin (inputs only).
        future: F outlook variables, known ahead as issued (e.g. numerical weather predictions).
        levels: quantile levels, increasing, 0.5 among them: the point forecast is the median.
        patience: newest target value may be this many rows old before a series counts as stale.

    Raises:
        SchemaError: an impossible question, in words.

    >>> Task(targets=(Variable("temperature"),), horizon=6, context=6).leads
    (1, 2, 3, 4, 5, 6)
    """

    targets: Sequence[Variable]
    step: timedelta = timedelta(hours=1)  # text is taken too, and converted
    horizon: int = 6
    context: int = 6
    past: Sequence[Variable] = ()
    future: Sequence[Variable] = ()
    levels: Sequence[float] = (0.1, 0.5, 0.9)
    patience: int = 2

    def __post_init__(self) -> None:
        for name in ("targets", "past", "future"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "levels", tuple(float(q) for q in self.levels))
        object.__setattr__(self, "step", duration(self.step))
        names = [v.name for v in self.variables]
        if not self.targets:
            raise SchemaError("a task needs at least one target variable")
        if len(set(names)) != len(names):
            raise SchemaError(f"variables are named twice in the task: {names}; each may be target or past input, once")
        if self.step <= timedelta(0):
            raise SchemaError(f"step is {self.step}: it must be positive")
        if self.horizon < 1 or self.context < 1 or self.patience < 0:
            raise SchemaError(
                f"horizon {self.horizon} and context {self.context} must be at least 1, "
                f"patience {self.patience} at least 0"
            )
        self._check_levels()

    def _check_levels(self) -> None:
        ordered = all(a < b for a, b in zip(self.levels, self.levels[1:], strict=False))
        if not ordered or 0.5 not in self.levels or not all(0 < q < 1 for q in self.levels):
            raise SchemaError(
                f"levels {list(self.levels)} must increase strictly, lie inside (0, 1) and contain 0.5 "
                "(the point forecast is the median)"
            )

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """Targets first, then past inputs: the order of the last axis of every panel a model sees."""
        return (*self.targets, *self.past)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(v.name for v in self.variables)

    @property
    def target_names(self) -> tuple[str, ...]:
        return tuple(v.name for v in self.targets)

    @property
    def leads(self) -> tuple[int, ...]:
        return tuple(range(1, self.horizon + 1))

    @property
    def median(self) -> int:
        """Index of level 0.5."""
        return self.levels.index(0.5)
