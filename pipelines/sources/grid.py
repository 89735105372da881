"""Grid: rows whose time lies off the task's grid are taken out, and the times of a table are rounded onto one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl

from forecast.frame import KEYS, STAMP
from pipelines.protocols import Batch

MICROSECOND = timedelta(microseconds=1)
UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "min": timedelta(minutes=1), "s": timedelta(seconds=1)}


def on_grid(batch: Batch, step: timedelta, slot: datetime) -> Batch:
    """The batch without rows off the grid of `slot`; their values are rejected, the positions stay."""
    off = (pl.col("time") - slot).dt.total_microseconds() % (step // MICROSECOND) != 0
    lost = batch.frame.filter(off)
    if lost.is_empty():
        return batch
    values = [name for name in lost.columns if name not in KEYS]
    cells = lost.unpivot(values, index=KEYS, variable_name="variable", value_name="value").drop_nulls("value")
    cells = cells.with_columns(reason=pl.lit(f"off the {words(step)} grid"))
    return replace(batch, frame=batch.frame.filter(~off), rejected=pl.concat([batch.rejected, cells], how="diagonal"))


def rounded(times: pl.Series, step: timedelta) -> pl.Series:
    """Each time as the nearest multiple of `step` since 1970; one in the middle as the later of its neighbours."""
    width = step // MICROSECOND
    return ((times.cast(pl.Int64) + width // 2) // width * width).cast(STAMP)


def overruled(reports: pl.DataFrame) -> pl.Series:
    """Which reports (`series, time, seen, at`; `time` is `at` rounded) came when a later one of their slot was known.

    A report that was seen before the later one stays, as the earlier vintage of their slot.
    """
    known = reports.with_row_index("row").sort("seen", "at", descending=[False, True])
    later = pl.col("at").cum_max().over("series", "time") > pl.col("at")
    return known.select("row", later=later.fill_null(value=False)).sort("row")["later"]


def words(step: timedelta) -> str:
    """A step as it is written in a configuration.

    >>> words(timedelta(hours=1)), words(timedelta(minutes=90))
    ('1h', '90min')
    """
    for unit, length in UNITS.items():
        if step % length == timedelta(0):
            return f"{step // length}{unit}"
    return f"{step.total_seconds():g}s"
