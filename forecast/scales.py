"""Means and scales of training data, each series by itself: a difference of level between series is no spread."""

from __future__ import annotations

import numpy as np

from forecast.errors import SchemaError
from forecast.schema import Task

ROUNDING = 1e-12  # a spread below this part of the mean is arithmetic, not data


def means_and_scale(values: np.ndarray, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Means (N, V) of each series and variable, scales (C,) of the targets, from the values (N, T, V) of training.

    The scale of a target is the mean over series of their standard deviations, 1 where nothing varies. A series
    without a value of a variable has that variable's mean over the others.

    Raises:
        SchemaError: a target without any value.
    """
    known = ~np.isnan(values)  # (N, T, V)
    some = known.any(1)  # (N, V)
    for c, name in enumerate(task.target_names):
        if not some[:, c].any():
            raise SchemaError(f"target '{name}' has no value in any of the {len(values)} series: nothing to learn from")
    counts, live = np.maximum(known.sum(1), 1), np.maximum(some.sum(0), 1)  # (N, V), (V,)
    own = np.where(known, values, 0.0).sum(1) / counts  # (N, V)
    spread = np.sqrt((np.where(known, values - own[:, None], 0.0) ** 2).sum(1) / counts)  # (N, V)
    spread = np.where(spread > ROUNDING * np.abs(own), spread, 0.0)  # (N, V)
    scale = (spread.sum(0) / live)[: len(task.targets)]  # (C,)
    return np.where(some, own, own.sum(0) / live), np.where(scale > 0, scale, 1.0)
