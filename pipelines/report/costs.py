"""Error against cost: what a CPU second buys."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from forecast.metrics import pareto
from pipelines.report.style import colours, figure, label, markers


def error_against_cost(table: pl.DataFrame) -> Figure:
    """CPU seconds (log) against the mean over targets of MAE / MAE of persistence, with the Pareto front.

    Args:
        table: `model, reducer, policy, cpu_s` and `skill/<target>` columns; rows without them are left out.
    """
    skills = [c for c in table.columns if c.startswith("skill/")]
    shown = table.with_columns(ratio=1 - pl.mean_horizontal(skills)).drop_nulls(["ratio", "cpu_s"])
    cost, error = shown["cpu_s"].to_numpy(), shown["ratio"].to_numpy()  # (M,), (M,)
    made, axes = figure(7.6, 4.6, 1, 1)
    axis = axes[0][0]
    front = np.flatnonzero(pareto(cost, error))
    front = front[np.argsort(cost[front])]  # (F,)
    axis.step(cost[front], error[front], where="post", color="#999999", linewidth=1, zorder=1, label="Pareto front")
    hue, shape = colours(shown["model"].to_list()), markers(shown["reducer"].to_list())
    for row, c, e in zip(shown.iter_rows(named=True), cost, error, strict=True):
        hollow = row["policy"] in ("on_drift", "never") and row["model"] != "persistence"
        axis.scatter(
            c, e, s=70, marker=shape[row["reducer"]], edgecolors=hue[row["model"]], linewidths=1.6, zorder=3,
            facecolors="white" if hollow else hue[row["model"]], label=label(row),
        )  # fmt: skip
    axis.set_xscale("log")
    axis.set(xlabel="CPU seconds of the whole run (log)", ylabel="MAE / MAE of persistence, mean of targets")
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8.5, frameon=False)
    return made
