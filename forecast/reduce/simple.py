"""The reducers that need no search: everything, the newest rows, a random thinning."""

from __future__ import annotations

import numpy as np

from forecast.panel import Panel
from forecast.reduce.counted import count
from forecast.reduce.ranks import lowest, random_ranks
from forecast.reduce.reducer import Reducer, newest
from forecast.reduce.reduction import Reduction
from forecast.schema import Task


class Full(Reducer):
    """Every row."""

    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        return Reduction(np.ones(len(panel.times), bool), "the whole history", {})


class Last(Reducer):
    """The newest rows. The cheapest cut; on seasonal series the dearest in error.

    Args:
        rows: how many, or the reducer that keeps as many.
    """

    def __init__(self, rows: int | Reducer) -> None:
        self.rows = rows

    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        asked = count(self.rows, panel, task)
        return Reduction(newest(panel, asked.rows), f"the newest {asked.rows} rows{asked.words}", asked.evidence)


class Thin(Reducer):
    """Training origins drawn at random, without replacement; contexts stay whole.

    Each row has a rank that depends on its time and the seed alone, and the lowest ranks are drawn: while the window
    slides, a row once drawn stays drawn until it leaves or a newer row of lower rank takes its place.

    Args:
        rows: how many, or the reducer that keeps as many.
        seed: of the draw.
    """

    def __init__(self, rows: int | Reducer, seed: int = 0) -> None:
        self.rows = rows
        self.seed = seed

    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        asked = count(self.rows, panel, task)
        keep = lowest(random_ranks(panel, self.seed), asked.rows)
        return Reduction(keep, f"{asked.rows} rows at random, seed {self.seed}{asked.words}", asked.evidence)
