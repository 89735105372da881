"""The metrics by name: each is one line, a statistic and an aggregation."""

from __future__ import annotations

from functools import partial

from forecast.metrics import statistic
from forecast.metrics.metric import Metric, root_mean

MAE = Metric("mae", statistic.absolute_error)
RMSE = Metric("rmse", statistic.squared_error, root_mean)
BIAS = Metric("bias", statistic.error)
MASE = Metric("mase", statistic.absolute_scaled_error)  # mean over pairs; keep=(0,) for one value per series
RMSSE = Metric(
    "rmsse", statistic.squared_scaled_error, root_mean
)  # pooled over pairs; the M5 figure averages keep=(0,)
CRPS = Metric("crps", statistic.quantile_crps)


def pinball(level: float) -> Metric:
    """Mean pinball loss at one level, in the variable's unit."""
    return Metric(f"pinball_{level:g}", partial(statistic.pinball_loss, level=level))


def coverage(nominal: float) -> Metric:
    """Share of truths inside the central interval of nominal coverage (0.8: from level 0.1 to 0.9), ends included."""
    return Metric(f"coverage_{100 * nominal:g}", partial(statistic.inside, nominal=nominal))


def width(nominal: float) -> Metric:
    """Mean width of the central interval of nominal coverage, in the variable's unit."""
    return Metric(f"width_{100 * nominal:g}", partial(statistic.interval_width, nominal=nominal))
