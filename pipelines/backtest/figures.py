"""Error by lead, one line per contestant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from pipelines.backtest.scores import ALL
from pipelines.report.style import colours, figure, lines, save

WIDTH, HEIGHT, COLUMNS = 4.2, 3.4, 4


def error_by_lead(table: pl.DataFrame, units: Mapping[str, str], horizon: int, path: Path) -> Path:
    """MAE by lead of each variable at one horizon, as a PNG."""
    here = table.filter((pl.col("horizon") == horizon) & (pl.col("lead") > 0) & (pl.col("variable") != ALL))
    names, labels = list(units), here["label"].unique(maintain_order=True).to_list()
    columns = min(COLUMNS, len(names))
    height = -(-len(names) // columns)
    made, axes = figure(WIDTH * columns, HEIGHT * height + 0.2 * len(labels), height, columns)
    hue, dash = colours(labels), lines(labels)
    for axis, name in zip(axes.flat, names, strict=False):
        for label in labels:
            one = here.filter((pl.col("label") == label) & (pl.col("variable") == name)).sort("lead")
            axis.plot(one["lead"], one["mae"], dash[label], color=hue[label], label=label, linewidth=1.4)
        axis.set(title=name.replace("_", " "), xlabel="lead", ylabel=f"MAE, {units[name]}".rstrip(", "))
        axis.set_ylim(bottom=0)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    handles, texts = axes.flat[0].get_legend_handles_labels()
    made.legend(handles, texts, loc="outside lower center", ncols=columns + 1, fontsize=8.5, frameon=False)
    return save(made, path)
