"""Decisions on a time line: when each nowcaster was retrained, and the losses that said so."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from pipelines.report.style import COLOURS, GREY, figure, titled


def decision_lines(decisions: pl.DataFrame) -> Figure:
    """L_now and L_ref of every nowcaster that watches its errors, trainings as marks, the others as a row of marks.

    Args:
        decisions: `slot, nowcaster, action, promoted, loss, reference`.
    """
    watched = decisions.filter(pl.col("loss").is_not_null())["nowcaster"].unique(maintain_order=True).to_list()
    others = [n for n in decisions["nowcaster"].unique(maintain_order=True).to_list() if n not in watched]
    heights = [1.5] * len(watched) + [max(0.6, 0.28 * len(others))]
    made, axes = figure(10, sum(heights) + 0.6, len(heights), 1, sharex=True, height_ratios=heights)
    for axis, name in zip(axes[:, 0], watched, strict=False):
        _watched(axis, decisions.filter(pl.col("nowcaster") == name), name)
    _others(axes[-1][0], decisions, others)
    axes[-1][0].xaxis.set_major_locator(locator := AutoDateLocator())
    axes[-1][0].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    return made


def _watched(axis: Any, rows: pl.DataFrame, name: str) -> None:
    time = rows["slot"].dt.replace_time_zone(None).to_numpy()
    axis.plot(time, rows["loss"], color=COLOURS[0], linewidth=1.5, label="L_now")
    axis.step(time, rows["reference"], where="post", color=COLOURS[1], linewidth=1.2, label="L_ref")
    top = float(rows.select(pl.max_horizontal("loss", "reference").max()).item() or 1.0)
    for promoted, colour, label in ((True, COLOURS[2], "promoted"), (False, GREY, "refused")):
        marks = rows.filter(pl.col("promoted") == promoted)["slot"].dt.replace_time_zone(None).to_numpy()
        axis.plot(marks, [top * 1.12] * len(marks), "v", color=colour, markersize=7, label=label)
    axis.set(title=titled(name), ylabel="scaled loss", ylim=(0, top * 1.3))
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)


def _others(axis: Any, decisions: pl.DataFrame, names: list[str]) -> None:
    for place, name in enumerate(names):
        trained = decisions.filter((pl.col("nowcaster") == name) & (pl.col("action") == "retrain"))
        time = trained["slot"].dt.replace_time_zone(None).to_numpy()
        axis.plot(time, [place] * len(time), "|", color=COLOURS[2], markersize=9)
    axis.set_yticks(range(len(names)), [titled(n) for n in names])
    axis.set(ylim=(-0.7, max(len(names), 1) - 0.3), title="trainings of the others")
    axis.grid(visible=False)
