"""Several tests at once: p-values that keep their word for all of them together.

Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
"""

from __future__ import annotations

import numpy as np


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values: below 0.05 for any one that is true happens to all together at most once in twenty times.

    Args:
        p: (A, ...) one row per test; NaN where there is none, which does not count.

    Returns:
        (A, ...) each the running maximum of (tests left) times p, smallest first; at most 1.

    >>> holm(np.array([0.01, 0.04, np.nan, 0.03])).round(2).tolist()
    [0.03, 0.06, nan, 0.06]
    """
    order = np.argsort(p, axis=0)  # (A, ...), NaN last
    ordered = np.take_along_axis(p, order, axis=0)
    left = (~np.isnan(p)).sum(axis=0) - np.arange(len(p)).reshape(-1, *[1] * (p.ndim - 1))  # (A, ...)
    raised = np.minimum(np.maximum.accumulate(ordered * np.maximum(left, 1), axis=0), 1.0)  # (A, ...)
    found = np.empty_like(raised)
    np.put_along_axis(found, order, raised, axis=0)
    return found
