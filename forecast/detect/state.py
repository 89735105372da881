"""The state of S streams: a dict of arrays whose first axis is the stream, and its form as JSON."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
State = dict[str, Array]  # each (S, ...)


def put(state: State, streams: npt.NDArray[Any], part: State) -> None:
    """Overwrite the state of some streams; names that `part` lacks stay."""
    for name, values in part.items():
        state[name][streams] = values


def encode(values: Array) -> dict[str, Any]:
    """An array as strict JSON, bit for bit."""
    text = base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
    return {"dtype": values.dtype.str, "shape": list(values.shape), "base64": text}


def decode(saved: dict[str, Any]) -> Array:
    """The array that was encoded."""
    raw = np.frombuffer(base64.b64decode(saved["base64"]), saved["dtype"])
    return raw.reshape(saved["shape"]).copy()
