"""How many rows: a number, or as many as another reducer keeps, so that reducers can be compared at equal rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forecast.panel import Panel
from forecast.reduce.reducer import Reducer
from forecast.schema import Task


@dataclass(frozen=True)
class Count:
    """A number of rows, at most as many as there are, whose number it is ("" for a plain one), and its evidence."""

    rows: int
    source: str
    evidence: dict[str, Any]

    @property
    def words(self) -> str:
        """For the end of a reducer's `why`."""
        return f", as many as {self.source} keeps" if self.source else ""


def count(rows: int | Reducer, panel: Panel, task: Task) -> Count:
    """`rows` itself, or how many rows of `panel` that reducer keeps."""
    if not isinstance(rows, Reducer):
        return Count(min(rows, len(panel.times)), "", {})
    found = rows.reduce(panel, task)
    return Count(found.rows, type(rows).__name__, {"asked": type(rows).__name__, **found.evidence})
