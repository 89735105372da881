"""What a forecast looks like: the newest ones of the best nowcaster, beside what came."""

from __future__ import annotations

import polars as pl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from forecast.metrics.table import quantile_levels
from pipelines.report.style import COLOURS, figure, titled

SHOWN_H = 48


def fans(settled: pl.DataFrame, nowcaster: str, series: str, units: dict[str, str]) -> Figure:
    """The last 48 h of one series: truth, and every sixth origin's median and interval.

    Args:
        settled: matured forecasts. nowcaster, series: whose. units: target -> unit.
    """
    made, axes = figure(10, 2.1 * len(units), len(units), 1, sharex=True)
    own = settled.filter((pl.col("nowcaster") == nowcaster) & (pl.col("series") == series))
    own = own.filter(pl.col("time") > pl.col("time").max() - pl.duration(hours=SHOWN_H))
    quantiles = list(quantile_levels(own))
    for axis, (target, unit) in zip(axes[:, 0], units.items(), strict=True):
        rows = own.filter(pl.col("variable") == target).with_columns(
            pl.col("time", "origin").dt.replace_time_zone(None)
        )
        truth = rows.unique("time").sort("time")
        axis.plot(truth["time"], truth["truth"], ".-", color="black", markersize=3, linewidth=0.8, label="observed")
        for place, origin in enumerate(rows["origin"].unique().sort().to_list()[::6]):
            one = rows.filter(pl.col("origin") == origin).sort("lead")
            first = place == 0
            axis.fill_between(
                one["time"].to_list(), one[quantiles[0]], one[quantiles[-1]], color=COLOURS[0], alpha=0.2,
                linewidth=0, label=f"{quantiles[0][1:]} to {quantiles[-1][1:]}" if first else None,
            )  # fmt: skip
            axis.plot(one["time"], one["point"], color=COLOURS[0], linewidth=1.4, label="median" if first else None)
        axis.set(ylabel=f"{target.replace('_', ' ')}, {unit}")
    axes[0][0].set_title(f"{series}, forecasts of {titled(nowcaster)} from every sixth hour")
    axes[0][0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
    axes[-1][0].xaxis.set_major_locator(locator := AutoDateLocator())
    axes[-1][0].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    return made
