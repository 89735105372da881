"""The common ground of a report: pairs that every contestant has, the views on them, the weights of their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from forecast.errors import NoFreshDataError, SchemaError
from forecast.evaluation.asked import Views
from forecast.evaluation.denominators import Scale
from forecast.evaluation.question import Answer, Question
from forecast.evaluation.views import ALL, REGIME, View, views

RAW, UNIT, MATCHED = 0, 1, 2  # weights: the variable's unit, the series' naive error, the naive error at the same lead
ABSOLUTE, SQUARED = 0, 1
POOLED = "all"


@dataclass(frozen=True, eq=False)
class Ground:
    """What all contestants share.

    Args:
        question: with truths on common pairs only. views: the first is everything.
        weights: (2, 3, N, H, C) what absolute and squared errors are multiplied by; NaN where undefined.
        pool: whether a column for all variables stands behind the C columns.
    """

    question: Question
    views: Sequence[View]
    weights: np.ndarray
    pool: bool

    @cached_property
    def known(self) -> np.ndarray:
        """(B, N, H, C), bool."""
        return ~np.isnan(self.question.truth)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the C' columns."""
        return (*self.question.names, *((POOLED,) if self.pool else ()))

    @cached_property
    def tested(self) -> list[int]:
        """Places of the views with tests: everything, and the regimes."""
        return [k for k, view in enumerate(self.views) if view.group in (ALL, REGIME)]

    @cached_property
    def counts(self) -> np.ndarray:
        """(3, V, B, C') pairs behind each sum."""
        defined = ~np.isnan(self.weights[ABSOLUTE])  # (3, N, H, C)
        per_lead = np.einsum("bnhc,wnhc->wbhc", self.known.astype(float), defined.astype(float))  # (3, B, H, C)
        sums = [np.stack([view.sums(one) for view in self.views]) for one in per_lead]  # 3 of (V, B, C)
        return np.stack([self.with_pool(one, weight) for weight, one in enumerate(sums)])

    @cached_property
    def moving(self) -> np.ndarray:
        """(C,) bool: variables that have naive errors to be measured in; all where none has."""
        some = ~np.isnan(self.weights[ABSOLUTE, MATCHED]).all(axis=(0, 1))  # (C,)
        return some if some.any() else ~some

    def with_pool(self, sums: np.ndarray, weight: int) -> np.ndarray:
        """(..., C) with the sum over variables behind it, (..., C').

        Raw ones add up only where all variables share a unit, those in naive errors where there are such errors.
        """
        if not self.pool:
            return sums
        mixed = weight == RAW and len({variable.unit for variable in self.question.variables}) > 1
        some = sums[..., self.moving] if weight == UNIT else sums
        total = np.full((*sums.shape[:-1], 1), np.nan) if mixed else some.sum(-1, keepdims=True)
        return np.concatenate([sums, total], axis=-1)

    def origins(self, view: int, column: int) -> int:
        """Origins that have a pair of this variable in this view; of all variables together, of any."""
        one = slice(column, column + 1) if column < len(self.question.names) else slice(None)
        pairs = self.views[view].sums(self.known.sum(axis=1))[:, one]  # (B, c)
        return int((pairs.sum(axis=1) > 0).sum())


def common_ground(question: Question, answers: Sequence[Answer], scale: Scale, asked: Views, *, pool: bool) -> Ground:
    """Truths masked where a seed of a contestant has no forecast.

    Raises:
        SchemaError: forecasts of another shape than the truths. NoFreshDataError: no pair is left.
    """
    known = ~np.isnan(question.truth)  # (B, N, H, C)
    for answer in answers:
        if answer.points.shape[1:] != known.shape:
            raise SchemaError(
                f"points of '{answer.label}' have shape {answer.points.shape}, the truths {known.shape}: give "
                "(S, B, N, H, C) for the same origins, series, leads and variables"
            )
        for points in answer.points:
            known &= ~np.isnan(points)
    if not known.any():
        raise NoFreshDataError(
            f"no truth of {', '.join(question.names)} is known where all of {len(answers)} contestants have a "
            f"forecast: look at the gaps of the series, or leave out {_without(question, answers) or 'a contestant'}"
        )
    masked = replace(question, truth=np.where(known, question.truth, np.nan))
    return Ground(masked, views(question, asked, known.any(axis=(1, 3))), _weights(scale), pool)


def _without(question: Question, answers: Sequence[Answer]) -> str:
    """Contestants of which a seed has no forecast of any truth."""
    known = ~np.isnan(question.truth)  # (B, N, H, C)
    return ", ".join(a.label for a in answers if not all((known & ~np.isnan(one)).any() for one in a.points))


def _weights(scale: Scale) -> np.ndarray:
    """(2, 3, N, H, C)."""
    unit = scale.unit()[:, :, None]  # (2, N, 1, C)
    unit = np.where(np.isnan(unit).all(axis=1, keepdims=True), 1.0, unit)  # none is defined: the variable's own unit
    unit = np.broadcast_to(unit, (2, *scale.absolute.shape))  # (2, N, H, C)
    matched = np.stack([scale.absolute, scale.squared])  # (2, N, H, C)
    weights = 1 / np.stack([np.ones_like(matched), unit, matched], axis=1)  # (2, 3, N, H, C)
    weights[SQUARED] **= 2
    return np.asarray(weights)
