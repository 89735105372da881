"""NumPy arrays of a model: in one safetensors file, and looked up by the names of the series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

ARRAYS = "arrays.safetensors"


def write_arrays(folder: Path, **arrays: np.ndarray) -> None:
    save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, folder / ARRAYS)


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / ARRAYS)


def by_name(values: np.ndarray, known: Sequence[str], series: Sequence[str], usual: np.ndarray) -> np.ndarray:
    """Rows of `values` (N, ...), one for each of `known`, for `series`; those not known have `usual` (...).

    >>> by_name(np.array([1.0, 5.0]), ("JFK", "LGA"), ("EWR", "LGA"), np.array(3.0)).tolist()
    [3.0, 5.0]
    """
    if tuple(series) == tuple(known):
        return values
    place = {name: i for i, name in enumerate(known)}
    return np.stack([values[place[name]] if name in place else usual for name in series])
