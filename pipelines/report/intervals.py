"""Intervals by lead: do they hold what they say, and how wide are they for it."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from forecast.metrics import scores
from pipelines.report.style import colours, figure, label, lines


def intervals_by_lead(settled: pl.DataFrame, table: pl.DataFrame, units: dict[str, str]) -> Figure | None:
    """Coverage and width of the widest interval for each target, one line per nowcaster; None without intervals.

    Args:
        settled: matured forecasts. table: `nowcaster, model, reducer, policy`. units: target -> unit.
    """
    found = scores(settled, by=["nowcaster", "lead", "variable"]).sort("lead")
    if "coverage" not in found.columns or found["coverage"].drop_nulls().is_empty():
        return None
    targets = list(units)
    made, axes = figure(4.2 * len(targets), 7.0, 2, len(targets))
    hue = colours(table["model"].to_list())
    dash = lines([f"{r} · {p}" for r, p in table.filter(pl.col("model") != "persistence")["reducer", "policy"].rows()])
    for column, target in enumerate(targets):
        for row in table.iter_rows(named=True):
            one = found.filter((pl.col("nowcaster") == row["nowcaster"]) & (pl.col("variable") == target))
            style = "-" if row["model"] == "persistence" else dash[f"{row['reducer']} · {row['policy']}"]
            for axis, score in zip(axes[:, column], ("coverage", "width"), strict=True):
                axis.plot(one["lead"], one[score], style, color=hue[row["model"]], label=label(row), linewidth=1.6)
        axes[0][column].axhline(found["nominal"][0], color="0.4", linewidth=0.8, linestyle=":")
        axes[0][column].set(title=target.replace("_", " "), ylabel="coverage", ylim=(0, 1))
        axes[1][column].set(xlabel="lead, steps", ylabel=f"width, {units[target]}")
        axes[1][column].set_ylim(bottom=0)
    handles, labels = axes[0][0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8.5, frameon=False)
    return made
