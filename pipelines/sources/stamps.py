"""Stamps: how a table's own notion of time becomes UTC, with no hour of a clock change guessed."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal
from zoneinfo import available_timezones

import polars as pl

from forecast.errors import SchemaError, UnknownNameError
from forecast.frame import STAMP
from pipelines.sources.times import read_times

AMBIGUOUS = ("raise", "null", "earliest", "latest", "order")
NONEXISTENT = ("raise", "null")


@dataclass(frozen=True)
class Zone:
    """The zone of naive stamps; stamps with a zone of their own are left as they are.

    Args:
        name: e.g. "America/New_York"; "" refuses naive stamps.
        ambiguous: the hour that a clock change repeats: "raise", "null" (rejects the row), "earliest", "latest", or
            "order" (a series' first row of a stamp is the earlier one, any further row the later one).
        nonexistent: the hour that a clock change leaves out: "raise" or "null".

    Raises:
        UnknownNameError: a zone or a rule that nobody knows.
    """

    name: str = ""
    ambiguous: Literal["raise", "null", "earliest", "latest", "order"] = "raise"
    nonexistent: Literal["raise", "null"] = "raise"

    def __post_init__(self) -> None:
        if self.ambiguous not in AMBIGUOUS:
            raise UnknownNameError("rule for ambiguous hours", self.ambiguous, AMBIGUOUS)
        if self.nonexistent not in NONEXISTENT:
            raise UnknownNameError("rule for nonexistent hours", self.nonexistent, NONEXISTENT)
        if self.name:
            _check_zone(self.name)

    def utc(self, table: pl.DataFrame, column: str, series: str, form: str = "") -> pl.Series:
        """The column in UTC, microseconds; null where it cannot be read or a rule says null.

        Args:
            table, column, series: where the times are, and whose they are.
            form: of times that are text or numbers, see `read_times`; "" = ISO 8601.

        Raises:
            SchemaError: naive stamps without a zone, hours of a clock change without a rule, a column that is no time.
        """
        naive, aware = read_times(table[column], form)
        if naive.is_null().all():
            return aware.cast(STAMP).alias(column)
        if not self.name:
            raise SchemaError(
                f"column '{column}' holds naive datetimes: say their zone, e.g. zone: UTC or zone: America/New_York; "
                "it is never guessed"
            )
        placed = self._placed(table.select(series=pl.col(series), stamp=naive), column)
        return aware.cast(STAMP).zip_with(aware.is_not_null(), placed).alias(column)

    def _placed(self, rows: pl.DataFrame, column: str) -> pl.Series:
        rule: str | pl.Expr = self.ambiguous
        if self.ambiguous == "order":
            first = pl.col("stamp").is_first_distinct().over("series")
            rule = pl.when(first).then(pl.lit("earliest")).otherwise(pl.lit("latest"))
        try:
            return self._local(rows, rule, self.nonexistent)
        except pl.exceptions.ComputeError as error:
            doubtful = rows.filter(self._local(rows, "null", "null").is_null() & pl.col("stamp").is_not_null())
            raise SchemaError(
                f"column '{column}' has hours that a clock change of {self.name} repeats or leaves out, such as "
                f"{doubtful['stamp'][0]}: say the rule, ambiguous: one of {', '.join(AMBIGUOUS)}; "
                f"nonexistent: one of {', '.join(NONEXISTENT)}"
            ) from error

    def _local(self, rows: pl.DataFrame, ambiguous: str | pl.Expr, nonexistent: Literal["raise", "null"]) -> pl.Series:
        local = pl.col("stamp").dt.replace_time_zone(
            self.name,
            ambiguous=ambiguous,  # type: ignore[arg-type]
            non_existent=nonexistent,
        )
        return rows.select(local.dt.convert_time_zone("UTC").cast(STAMP)).to_series()


def _check_zone(name: str) -> None:
    zones = available_timezones()
    if name not in zones:
        raise UnknownNameError("time zone", name, difflib.get_close_matches(name, zones, n=5, cutoff=0.3))
