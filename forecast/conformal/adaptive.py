"""What moves intervals with the errors that come in: one rule for thousands of streams, its state a dict of arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

State = dict[str, np.ndarray]  # every array has the stream as its first axis


class Adaptive(ABC):
    """Base of the rules. A rule is a frozen dataclass of settings; what it knows of S streams is a `State`.

    A stream is one (series, lead, variable). Each of its Q levels has an offset: what is added to the forecast of that
    level. Its news is the error of that forecast, truth minus forecast. The error has one column where all levels stand
    around one point, and Q where each level has a forecast of its own: E is 1 or Q.
    """

    @final
    def begin(self, offsets: np.ndarray, errors: np.ndarray, levels: Sequence[float]) -> State:
        """The state from which the rule starts.

        Args:
            offsets: (S, Q) of a split conformal calibration.
            errors: (T, S, E) the calibration's errors, oldest first; NaN for unknown.
        """
        return {"offsets": np.array(offsets, float), **self._begin(offsets, errors, np.array(levels))}

    @final
    def step(self, state: State, error: np.ndarray, levels: Sequence[float]) -> State:
        """The state after one new error (S, E) of each stream; a stream whose error is NaN stays as it is."""
        news = ~np.isnan(error).any(-1)  # (S,)
        if not news.any():
            return state
        if news.all():
            return self._step(state, error, np.array(levels))
        part = self._step({k: v[news] for k, v in state.items()}, error[news], np.array(levels))
        after = {name: values.copy() for name, values in state.items()}
        for name, values in part.items():
            after[name][news] = values
        return after

    @property
    def learns(self) -> bool:
        """Whether `step` changes anything."""
        return True

    @abstractmethod
    def _begin(self, offsets: np.ndarray, errors: np.ndarray, levels: np.ndarray) -> State:
        """What the state holds beside `offsets`."""

    @abstractmethod
    def _step(self, state: State, error: np.ndarray, levels: np.ndarray) -> State:
        """The next state, its `offsets` (S, Q) included; `error` (S, E) has no NaN. Writes into no array of `state`."""


@dataclass(frozen=True)
class Fixed(Adaptive):
    """Split conformal as it is: the offsets of the calibration, until the next one."""

    @property
    def learns(self) -> bool:
        return False

    def _begin(self, offsets: np.ndarray, errors: np.ndarray, levels: np.ndarray) -> State:
        return {}

    def _step(self, state: State, error: np.ndarray, levels: np.ndarray) -> State:
        return state


def covered(error: np.ndarray, offsets: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(S, Q) whether the truth was at or below each level; a truth exactly on a bound is inside the interval."""
    return np.where(levels < 0.5, error < offsets, error <= offsets)
