"""What a detector says about one stream after one error."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

Signals = npt.NDArray[np.int8]


class Signal(IntEnum):
    """CALM: nothing to do. WARN: watch it. DRIFT: the errors have changed."""

    CALM = 0
    WARN = 1
    DRIFT = 2


WARN, DRIFT = np.int8(Signal.WARN), np.int8(Signal.DRIFT)  # as arrays hold them


def signals(drift: npt.NDArray[np.bool_], warn: npt.NDArray[np.bool_] | None = None) -> Signals:
    """DRIFT where `drift`, else WARN where `warn`, else CALM; all (S,)."""
    signal = drift.view(np.int8) * DRIFT  # (S,)
    return signal if warn is None else np.maximum(signal, warn.view(np.int8) * WARN)
