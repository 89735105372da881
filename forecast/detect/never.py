"""Never: the detector that is off."""

from __future__ import annotations

import numpy as np

from forecast.detect.base import Detector
from forecast.detect.signal import Signals
from forecast.detect.state import Floats, State


class Never(Detector):
    """Says CALM always: a policy without drift detection, and the dummy every detector must beat.

    >>> Never().update([1.0, 900.0]).tolist()
    [0, 0]
    """

    def _rules(self) -> dict[str, bool]:
        return {}

    def _empty(self, count: int) -> State:
        return {}

    def _step(self, state: State, error: Floats) -> Signals:
        return np.zeros(len(error), np.int8)  # (S,)

    def _level(self, state: State) -> Floats:
        return np.full(len(state["over"]), np.nan)  # (S,)
