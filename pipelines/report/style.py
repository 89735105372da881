"""How the figures look: one colour per model, one line style per policy, one marker per reducer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# Okabe & Ito (2008): eight colours that the colour-blind can tell apart
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
GREY = "#555555"
SETTINGS: Any = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titlesize": 10.5,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def figure(width: float, height: float, rows: int, columns: int, **options: Any) -> tuple[Figure, Any]:
    """A figure without pyplot's global state; axes are always (rows, columns)."""
    with mpl.rc_context(SETTINGS):
        made = Figure(figsize=(width, height))
        return made, made.subplots(rows, columns, squeeze=False, **options)


def colours(labels: list[str]) -> dict[str, str]:
    """One colour per label, persistence always grey."""
    others = sorted(set(labels) - {"persistence"})
    return {"persistence": GREY, **dict(zip(others, cycle(COLOURS), strict=False))}


def lines(labels: list[str]) -> dict[str, Any]:
    """One line style per label."""
    return dict(zip(sorted(set(labels)), cycle(["-", "--", ":", "-."]), strict=False))


def markers(labels: list[str]) -> dict[str, str]:
    """One marker per label."""
    return dict(zip(sorted(set(labels)), cycle("osD^vP"), strict=False))


def label(row: Mapping[str, Any]) -> str:
    """How a nowcaster is called in legends."""
    if row["model"] == "persistence":
        return "persistence"
    return f"{row['model']} · {row['reducer']} · {row['policy']}".replace("_", " ")


def titled(name: str) -> str:
    """A nowcaster's name for people: `lstm.full.on_drift` -> `lstm · full · on drift`."""
    return name.replace(".", " · ").replace("_", " ")


def save(made: Figure, path: Path) -> Path:
    """Write a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.savefig(path, dpi=130)
    return path
