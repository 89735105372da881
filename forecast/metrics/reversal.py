"""Reversal accuracy: does the forecast turn where the truth turns?

The class of a step comes from the signs of the differences before and after it: up-down, down-up, or none (a flat side
included). The score is the balanced accuracy, the mean recall of the classes. A forecast that never turns scores 1/3.
Source: the public page of the nowcasting experiment of arXiv 2309.15207, read from a figure; the tolerance is ours.
"""

from __future__ import annotations

from enum import IntEnum
from typing import final

import numpy as np

from forecast.errors import SchemaError


class Turn(IntEnum):
    """Class of a step."""

    UNKNOWN = -1  # one of the three values is NaN
    NONE = 0
    UP_DOWN = 1
    DOWN_UP = 2


CLASSES = (Turn.NONE, Turn.UP_DOWN, Turn.DOWN_UP)


def turns(path: np.ndarray) -> np.ndarray:
    """(..., T) values in time order -> (..., T - 2) classes of the inner steps; empty for fewer than three steps.

    >>> turns(np.array([0.0, 2.0, 1.0, 1.0, 3.0])).tolist()
    [1, 0, 0]
    """
    sign = np.sign(np.diff(path, axis=-1))  # (..., T - 1)
    before, after = sign[..., :-1], sign[..., 1:]  # (..., T - 2)
    kind = np.where((before > 0) & (after < 0), Turn.UP_DOWN, Turn.NONE)  # (..., T - 2)
    kind = np.where((before < 0) & (after > 0), Turn.DOWN_UP, kind)
    return np.where(np.isnan(before) | np.isnan(after), Turn.UNKNOWN, kind).astype(np.int8)


def _near(kind: np.ndarray, turn: int, tolerance: int) -> np.ndarray:
    """(..., S) bool: `turn` occurs within `tolerance` steps."""
    found = kind == turn  # (..., S)
    near = found.copy()  # (..., S)
    for k in range(1, min(tolerance, kind.shape[-1] - 1) + 1):
        near[..., k:] |= found[..., :-k]
        near[..., :-k] |= found[..., k:]
    return near


@final
class ReversalTally:
    """Balanced accuracy of reversals, streaming over paths.

    Args:
        tolerance: k >= 0; a turn also counts as found up to k steps early or late, and a step without a turn as right
            when the forecast's turn there belongs to a true one of its class within k steps. Chance rises with k.

    Raises:
        SchemaError: a negative tolerance.

    >>> tally = ReversalTally()
    >>> tally.update(np.array([0.0, 2.0, 1.0, 3.0, 4.0]), np.array([0.0, 2.0, 1.0, 0.0, 4.0]))
    >>> round(tally.value, 3), tally.recall.tolist()
    (0.333, [0.0, 1.0, 0.0])
    """

    def __init__(self, tolerance: int = 0) -> None:
        if tolerance < 0:
            raise SchemaError(f"tolerance is {tolerance} steps: it must be at least 0")
        self.tolerance = tolerance
        self.hits = np.zeros(3, np.int64)  # (3,) by class, in the order of CLASSES
        self.of = np.zeros(3, np.int64)  # (3,)
        self.left_out = 0

    def update(self, truth: np.ndarray, point: np.ndarray) -> None:
        """Adds paths (..., T) of one shape, whole in time: chunk along other axes. Steps with NaN are left out."""
        if truth.shape != point.shape or truth.ndim < 1:
            raise SchemaError(f"truth has shape {truth.shape} and point {point.shape}: they must be the same, (..., T)")
        true, said = turns(truth), turns(point)  # (..., S), (..., S)
        known = (true != Turn.UNKNOWN) & (said != Turn.UNKNOWN)  # (..., S)
        right = true == said  # (..., S)
        for turn in (Turn.UP_DOWN, Turn.DOWN_UP):
            right |= (true == turn) & _near(said, turn, self.tolerance)
            right |= (true == Turn.NONE) & (said == turn) & _near(true, turn, self.tolerance)
        for i, turn in enumerate(CLASSES):
            self.hits[i] += int((right & known & (true == turn)).sum())
            self.of[i] += int((known & (true == turn)).sum())
        self.left_out += int((~known).sum())

    def merge(self, other: ReversalTally) -> ReversalTally:
        """A new tally of both streams; raises SchemaError where the tolerances differ."""
        if other.tolerance != self.tolerance:
            raise SchemaError(f"cannot merge reversals with tolerance {self.tolerance} and {other.tolerance}")
        merged = ReversalTally(self.tolerance)
        merged.hits, merged.of = self.hits + other.hits, self.of + other.of
        merged.left_out = self.left_out + other.left_out
        return merged

    @property
    def recall(self) -> np.ndarray:
        """(3,) share found of each class, in the order of CLASSES; NaN for a class that never occurred."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.hits / self.of)  # (3,)

    @property
    def value(self) -> float:
        """Mean recall of the classes that occurred; NaN if none did."""
        seen = self.recall[self.of > 0]  # (0..3,)
        return float(seen.mean()) if seen.size else float("nan")
