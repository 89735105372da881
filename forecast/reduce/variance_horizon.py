"""Variance Horizon: how many of the newest rows are worth training on.

Windows of the newest H, H + 1, H + 2, ... rows are compared with the last H rows, the horizon block, by

    r_t = std(distances window x block) / std(distances window x window),

over all Euclidean distances, those of a row to itself included. Once the ratio hardly changes any more, older rows
say nothing new about the spread of the data: the rows up to there, and `test_size` more, are kept.

Use it where a model's cost falls with its rows. It is no regime detector: after a level shift it keeps stale rows too,
and on seasonal data a random thinning to as many rows can serve better, so compare the two. Scale the columns first,
or the one with the largest unit decides alone, and leave lagged copies of columns out.

Source: Törnquist et al., arXiv 2309.15207 (2023), names the method; the definition is that of
`datasieve.utils.find_training_horizon` (datasieve 0.1.9), by the same authors; that the two are one is inferred.
"""

from __future__ import annotations

import numpy as np

from forecast.reduce.horizon_search import HorizonSearch
from forecast.reduce.reduction import Reduction

__all__ = ["HorizonSearch", "variance_horizon"]


def variance_horizon(
    x: np.ndarray,
    *,
    target_horizon: int,
    test_size: int,
    threshold: float = 2.5e-4,
    change_window: int = 100,
    step: int = 1,
    curve: bool = False,
) -> Reduction:
    """Search one table; for a table that grows use `HorizonSearch`.

    The point k of the curve stands for a window of H + k * step rows, the largest of T - 1 rows. The search stops at
    the first k > `change_window` where the mean absolute change over the last `change_window` points is below
    `threshold`, and keeps k * step + `test_size` rows; all T if that is more, or if it never stops.

    Args:
        x: (T, D) scaled features, oldest row first.
        target_horizon: H, rows in the horizon block; 6 for hourly forecasts up to six hours.
        test_size: rows kept on top of the horizon found.
        threshold: ratio per point.
        change_window: points; at least 2.
        step: rows the window grows by per point; the source has 1. Every distance is used whatever the step.
        curve: put the curve up to the stop into the evidence.

    Raises:
        SchemaError: a parameter out of its range; `x` is not (T, D) or has NaN, infinite or huge values.
        ShortHistoryError: no more than `target_horizon` rows.

    >>> x = np.random.default_rng(0).normal(size=(800, 4))
    >>> reduction = variance_horizon(x, target_horizon=6, test_size=24)
    >>> reduction.rows, reduction.of, reduction.evidence["stopped_at"]
    (628, 800, 604)
    """
    search = HorizonSearch(
        target_horizon, test_size, threshold, change_window, step, max_rows=max(len(x), target_horizon + 1), curve=curve
    )
    return search.search(x)
