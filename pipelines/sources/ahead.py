"""Ahead: predictions that stand in the columns of the row they were issued with become rows of their own.

Wide archives of numerical weather predictions hold, in the row of time t, one column per lead. Each such cell becomes
what a live source would have delivered: a row whose `time` lies `lead` steps after its `seen`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import polars as pl

from forecast.frame import KEYS
from forecast.schema import duration
from pipelines.sources.mapping import Columns, Reading

LEAD = "{lead}"


@dataclass(frozen=True)
class Ahead:
    """Which columns hold predictions.

    Args:
        readings: as for observations; `{lead}` in the name of a column stands for the steps ahead.
        leads: steps ahead that there are columns for, 1 ... leads.
        step: length of one step, a timedelta or text such as "1h".

    >>> from forecast.schema import Variable
    >>> observed = Columns("literal:A", "at", [Reading(Variable("t"), "t")], zone="UTC")
    >>> ahead = Ahead([Reading(Variable("nwp"), "t{lead}")], leads=2)
    >>> table = pl.DataFrame({"at": ["2024-01-01"], "t": [1.0], "t1": [2.0], "t2": [3.0]})
    >>> ahead.apply(table, observed)[0].select(pl.col("time").dt.hour(), pl.col("seen").dt.hour(), "nwp").rows()
    [(1, 0, 2.0), (2, 0, 3.0)]
    """

    readings: Sequence[Reading]
    leads: int
    step: timedelta | str = "1h"

    def __post_init__(self) -> None:
        object.__setattr__(self, "readings", tuple(self.readings))
        object.__setattr__(self, "step", duration(self.step))

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows and rejections, as of `Columns.apply`; series, time and `seen` are read as `columns` says."""
        parts = [self._of(table, columns, lead) for lead in range(1, self.leads + 1)]
        frame, rejected = (pl.concat(part) for part in zip(*parts, strict=True))
        return frame.sort(KEYS), rejected

    def _of(self, table: pl.DataFrame, columns: Columns, lead: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        step: Any = self.step
        readings = [replace(r, column=r.column.replace(LEAD, str(lead))) for r in self.readings]
        at_lead = [
            rows.with_columns(pl.col("time") + lead * step) for rows in replace(columns, readings=readings).apply(table)
        ]
        return at_lead[0], at_lead[1]
