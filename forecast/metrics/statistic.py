"""Statistics: one number per pair, NaN where it is undefined; aggregations make metrics of them.

Errors are forecast minus truth, so a positive bias means that the forecast is too high.
Source of the pinball loss: Koenker and Bassett, "Regression Quantiles", Econometrica 46 (1978).
"""

from __future__ import annotations

import numpy as np

from forecast.metrics.pairs import Pairs


def error(pairs: Pairs) -> np.ndarray:
    """(...,) forecast minus truth, in the variable's unit."""
    return np.asarray(pairs.point - pairs.truth)  # (...,)


def absolute_error(pairs: Pairs) -> np.ndarray:
    """(...,) |forecast - truth|, in the variable's unit."""
    return np.asarray(np.abs(error(pairs)))  # (...,)


def squared_error(pairs: Pairs) -> np.ndarray:
    """(...,) (forecast - truth)^2, in the variable's unit squared."""
    return np.asarray(error(pairs) ** 2)  # (...,)


def scaled_error(pairs: Pairs) -> np.ndarray:
    """(...,) forecast minus truth over `pairs.scale`, without unit; NaN where the scale is not positive."""
    scale = np.where(pairs.scale > 0, pairs.scale, np.nan)  # ()..(...,)
    return np.asarray(error(pairs) / scale)  # (...,)


def absolute_scaled_error(pairs: Pairs) -> np.ndarray:
    """(...,) |forecast - truth| / scale."""
    return np.asarray(np.abs(scaled_error(pairs)))  # (...,)


def squared_scaled_error(pairs: Pairs) -> np.ndarray:
    """(...,) ((forecast - truth) / scale)^2."""
    return np.asarray(scaled_error(pairs) ** 2)  # (...,)


def pinball_loss(pairs: Pairs, level: float) -> np.ndarray:
    """(...,) max(level * (truth - quantile), (level - 1) * (truth - quantile)), in the variable's unit."""
    gap = pairs.truth - pairs.quantile(level)  # (...,)
    return np.asarray(np.maximum(level * gap, (level - 1) * gap))  # (...,)


def quantile_crps(pairs: Pairs) -> np.ndarray:
    """(...,) twice the mean pinball loss over the levels, in the variable's unit; NaN without levels.

    An approximation: CRPS is twice the integral of the pinball loss over all levels in (0, 1), and a mean over Q levels
    stands for it here. Exact for a sample of Q members given at levels (i - 1/2) / Q; with three levels, good for
    ranking only, and comparable only between forecasts with the same levels.
    Source: Gneiting and Ranjan, JBES 29 (2011), section 2.
    """
    if not pairs.levels:
        return np.full(pairs.truth.shape, np.nan)  # (...,)
    losses = [pinball_loss(pairs, level) for level in pairs.levels]  # Q of (...,)
    return np.asarray(2 * np.mean(losses, axis=0))  # (...,)


def inside(pairs: Pairs, nominal: float) -> np.ndarray:
    """(...,) 1 where the central interval holds the truth, ends included, else 0; NaN where not known."""
    low, high = bounds(pairs, nominal)  # (...,), (...,)
    known = ~(np.isnan(low) | np.isnan(high) | np.isnan(pairs.truth))  # (...,)
    return np.where(known, (low <= pairs.truth) & (pairs.truth <= high), np.nan)  # (...,)


def interval_width(pairs: Pairs, nominal: float) -> np.ndarray:
    """(...,) width of the central interval of nominal coverage, in the variable's unit."""
    low, high = bounds(pairs, nominal)  # (...,), (...,)
    return np.asarray(high - low)  # (...,)


def bounds(pairs: Pairs, nominal: float) -> tuple[np.ndarray, np.ndarray]:
    """(...,), (...,): quantiles at (1 - nominal) / 2 and (1 + nominal) / 2."""
    return pairs.quantile((1 - nominal) / 2), pairs.quantile((1 + nominal) / 2)
