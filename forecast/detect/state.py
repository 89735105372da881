"""The state of S streams: a dict of arrays whose first axis is the stream, and its form as JSON."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
State = dict[str, Array]  # each (S, ...)


@contextmanager
def part_of(state: State, streams: npt.NDArray[np.bool_]) -> Iterator[State]:
    """The state of some streams, to change in place: a copy that is written back, or the state itself if all."""
    if streams.all():
        yield state
        return
    part = {name: values[streams] for name, values in state.items()}
    yield part
    put(state, streams, part)


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
