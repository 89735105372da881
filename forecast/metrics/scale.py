"""Denominators of MASE and RMSSE: what the naive forecast errs in the history, at the same lead.

Source: Hyndman and Koehler, "Another look at measures of forecast accuracy", IJF 22 (2006), section 3; here the
denominator is matched to the lead, so that a MASE of 1 means "as good as naive" at lead 6 as well as at lead 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from forecast.errors import SchemaError


class Kind(StrEnum):
    """Which mean of the naive errors."""

    ABSOLUTE = "absolute"  # mean |difference|, for MASE
    SQUARED = "squared"  # root of the mean squared difference, for RMSSE


def naive_scale(
    history: np.ndarray, leads: Sequence[int], *, season: int = 1, kind: Kind | str = Kind.ABSOLUTE
) -> np.ndarray:
    """In-sample error of the (seasonal) naive forecast at each lead.

    Args:
        history: (N, T, C) values up to the origin, NaN for gaps.
        leads: H leads in steps, each at least 1.
        season: m steps; 1 is plain persistence. Lead h looks back m * ceil(h / m) steps.
        kind: `absolute` for MASE, `squared` for RMSSE.

    Returns:
        (N, H, C) in the variables' units; NaN where undefined: a flat history, or no two values at that distance.

    Raises:
        SchemaError: history without three axes, leads or season below 1.

    >>> naive_scale(np.arange(8.0).reshape(1, 8, 1), [1, 3]).ravel().tolist()
    [1.0, 3.0]
    """
    kind = Kind(kind)
    if history.ndim != 3 or season < 1 or any(lead < 1 for lead in leads):
        raise SchemaError(
            f"history has shape {history.shape}, expected (N, T, C); "
            f"leads {list(leads)} and season {season} must be at least 1"
        )
    n, _, c = history.shape
    scale = np.full((n, len(leads), c), np.nan)  # (N, H, C)
    for i, lead in enumerate(leads):
        scale[:, i] = _lagged(history, season * -(-lead // season), kind)
    noise = 8 * np.finfo(float).eps * np.nanmax(np.abs(history), axis=1, initial=0.0)  # (N, C): rounding, not change
    return np.where(scale > noise[:, None, :], scale, np.nan)  # (N, H, C)


def _lagged(history: np.ndarray, lag: int, kind: Kind) -> np.ndarray:
    step = history[:, lag:] - history[:, : max(history.shape[1] - lag, 0)]  # (N, T - lag, C)
    size = np.abs(step) if kind is Kind.ABSOLUTE else step**2  # (N, T - lag, C)
    count = (~np.isnan(size)).sum(axis=1)  # (N, C)
    with np.errstate(invalid="ignore"):
        average = np.nansum(size, axis=1) / count  # (N, C), NaN where nothing is counted
    return average if kind is Kind.ABSOLUTE else np.asarray(np.sqrt(average))
