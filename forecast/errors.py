"""Errors a user can act on: each message says what was given, what is allowed and what to do.

The exit code travels with the class, so that the command line never guesses:
2 configuration or input, 3 no fresh data, 4 partial failure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ForecastError(Exception):
    """Base of every error the platform raises on purpose."""

    exit_code = 2


class SchemaError(ForecastError, ValueError):
    """A frame, panel or task does not have the promised shape, names, types or values."""


class NotFittedError(ForecastError, RuntimeError):
    """`predict` or `save` before `fit`."""


class ShortHistoryError(SchemaError):
    """Fewer rows than the model needs; the message names how many."""


class UnknownNameError(ForecastError, LookupError):
    """A name that nothing has; the message offers the nearest one."""

    def __init__(self, kind: str, given: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(str(given), known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'? " if near else ""
        super().__init__(f"unknown {kind} '{given}': {hint}known: {', '.join(known) or 'none'}")


class CorruptModelError(ForecastError, OSError):
    """A saved model folder is incomplete, altered or from an unknown version."""


class ForbiddenTargetError(ForecastError, PermissionError):
    """A `_target_` outside the packages that may be instantiated."""


class NoFreshDataError(ForecastError, RuntimeError):
    """No series has data fresh enough to forecast."""

    exit_code = 3


class PartialError(ForecastError, RuntimeError):
    """Some nowcasters of a fleet failed; the others went on."""

    exit_code = 4
