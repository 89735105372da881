"""Blocks of successive origins: within a block losses depend on each other, between blocks hardly."""

from __future__ import annotations

import numpy as np

from forecast.errors import SchemaError


def block_means(values: np.ndarray, block: int) -> np.ndarray:
    """Means over blocks of origins, NaN left out.

    Args:
        values: (B, ...) one row per origin. block: origins per block; a last incomplete block counts from half on.

    Returns:
        (K, ...) NaN where a block has no value.

    Raises:
        SchemaError: a block below 1.

    >>> block_means(np.array([1.0, 3.0, np.nan, 5.0, 7.0]), 2).tolist()
    [2.0, 5.0, 7.0]
    """
    if block < 1:
        raise SchemaError(f"block is {block}: it must be at least 1 origin")
    rest = len(values) % block
    whole = len(values) - rest if rest * 2 < block and rest < len(values) else len(values)
    starts = np.arange(0, whole, block)  # (K,)
    known = ~np.isnan(values[:whole])  # (B, ...)
    total = np.add.reduceat(np.where(known, values[:whole], 0.0), starts, axis=0)  # (K, ...)
    count = np.add.reduceat(known.astype(float), starts, axis=0)  # (K, ...)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
