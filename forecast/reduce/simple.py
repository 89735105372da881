"""The reducers that need no search: everything, the newest rows, a random thinning."""

from __future__ import annotations

import numpy as np

from forecast.panel import Panel
from forecast.reduce.reducer import Reducer, newest
from forecast.reduce.reduction import Reduction
from forecast.schema import Task


class Full(Reducer):
    """Every row."""

    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        return Reduction(np.ones(len(panel.times), bool), "the whole history", {})


class Last(Reducer):
    """The newest `rows` rows. The cheapest cut; on seasonal series the dearest in error."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        return Reduction(newest(panel, self.rows), f"the newest {self.rows} rows", {})


class Thin(Reducer):
    """`rows` training origins drawn at random, without replacement; contexts stay whole.

    Each row has a rank that depends on its time and the seed alone, and the lowest `rows` ranks are drawn: while the
    window slides, a row once drawn stays drawn until it leaves or a newer row of lower rank takes its place.
    """

    def __init__(self, rows: int, seed: int = 0) -> None:
        self.rows = rows
        self.seed = seed

    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        hours = panel.times.astype("datetime64[s]").astype(np.uint64)  # (T,)
        salt = np.uint64(self.seed * 0x9E3779B97F4A7C15 % 2**64)
        order = np.argsort(_scramble(hours + salt), kind="stable")  # (T,)
        keep = np.zeros(len(hours), bool)
        keep[order[: self.rows]] = True
        return Reduction(keep, f"{min(self.rows, len(hours))} rows at random, seed {self.seed}", {})


def _scramble(x: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014): well-mixed 64-bit words (T,) of the words (T,)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
