"""NumPy arrays of a model in one safetensors file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

ARRAYS = "arrays.safetensors"


def write_arrays(folder: Path, **arrays: np.ndarray) -> None:
    save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, folder / ARRAYS)


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / ARRAYS)
