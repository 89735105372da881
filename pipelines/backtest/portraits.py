"""What models show of themselves, drawn: a heat map for each matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from forecast.portrait import Matrix
from pipelines.backtest.cell import Cell
from pipelines.report.style import figure, save, titled

NUMBERED = 144  # entries up to which each is written into its square
NAMED = 60  # rows or columns up to which each has its name
SMALLEST, LARGEST, INCH = 3.2, 9.0, 0.42  # inches of the map, and of one square
SIGNED, PLAIN = "RdBu_r", "viridis"  # zero in the middle, or small to large


def portraits(cells: Sequence[Cell], folder: Path) -> list[Path]:
    """A PNG for each matrix of each contestant: of its first seed, after the last fit of its last stretch."""
    last: dict[tuple[str, int], Cell] = {}
    for cell in cells:
        if cell.seed == 0 and cell.done:
            place = cell.label, cell.task.horizon
            if place not in last or last[place].stretch.stop < cell.stretch.stop:
                last[place] = cell
    several, made = len({horizon for _, horizon in last}) > 1, []
    for (label, horizon), cell in last.items():
        for name, matrix in cell.portraits().items():
            words = [label, name, *([f"h{horizon}"] if several else [])]
            made.append(heat_map(matrix, titled(f"{label}: {name}"), folder / f"{'.'.join(words)}.png"))
    return made


def heat_map(matrix: Matrix, title: str, path: Path) -> Path:
    """Draw a matrix as a PNG: diverging colours around zero where it has numbers below it, numbers where they fit."""
    rows, columns = matrix.values.shape
    left = 0.075 * max(map(len, matrix.rows)) if rows <= NAMED else 0.3  # inches for the names beside it
    made, axes = figure(
        _inches(columns) + left + 1.2, _inches(rows) + 0.075 * max(map(len, matrix.columns)) + 0.6, 1, 1
    )
    axis = axes[0, 0]
    image = axis.imshow(matrix.values, aspect="auto", **_colours(matrix))
    axis.set_title(title)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    longest = 0.075 * max(map(len, matrix.columns))  # inches
    _named(axis.xaxis, matrix.columns, rotation=90 if longest > 0.9 * _inches(columns) / columns else 0)
    _named(axis.yaxis, matrix.rows, rotation=0)
    if matrix.values.size <= NUMBERED:
        _numbered(axis, image, matrix.values)
    bar = made.colorbar(image, ax=axis, fraction=0.05, pad=0.02, shrink=0.7)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0)
    bar.set_label(matrix.of_what, fontsize=8)
    return save(made, path)


def _inches(count: int) -> float:
    return float(np.clip(INCH * count, SMALLEST, LARGEST))


def _colours(matrix: Matrix) -> dict[str, Any]:
    if not matrix.signed:
        return {"cmap": PLAIN}
    widest = matrix.limit or float(np.abs(matrix.values).max())
    return {"cmap": SIGNED, "vmin": -widest, "vmax": widest}


def _named(axis: Any, names: Sequence[str], rotation: int) -> None:
    """A name for every row or column; of too many, as many as can be read."""
    step = -(-len(names) // NAMED)
    axis.set_ticks(range(0, len(names), step), [name.replace("_", " ") for name in names[::step]])
    axis.set_tick_params(length=0, labelsize=8, rotation=rotation)


def _numbered(axis: Any, image: Any, values: np.ndarray) -> None:
    """Each number in its square, dark on light and light on dark."""
    digits = 2 if np.abs(values).max() < 10 else 0
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        axis.text(
            column, row, f"{value:.{digits}f}", ha="center", va="center", fontsize=7, color="white" if dark else "black"
        )
