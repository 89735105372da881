"""Stamps: how a table's own notion of time becomes UTC, with no hour of a clock change guessed."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal
from zoneinfo import available_timezones

import polars as pl

from forecast.errors import SchemaError, UnknownNameError
from forecast.frame import STAMP

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

    def utc(self, table: pl.DataFrame, column: str, series: str) -> pl.Series:
        """The column in UTC, microseconds; null where it cannot be read or a rule says null.

        Raises:
            SchemaError: naive stamps without a zone, hours of a clock change without a rule, a column that is no time.
        """
        stamps = _parsed(table[column])
        assert isinstance(stamps.dtype, pl.Datetime)
        if stamps.dtype.time_zone is not None:
            return stamps.dt.convert_time_zone("UTC").cast(STAMP)
        if not self.name:
            raise SchemaError(
                f"column '{column}' holds naive datetimes: say their zone, e.g. zone: UTC or zone: America/New_York; "
                "it is never guessed"
            )
        return self._placed(table.select(series=pl.col(series), stamp=stamps), column)

    def _placed(self, rows: pl.DataFrame, column: str) -> pl.Series:
        rule: str | pl.Expr = self.ambiguous
        if self.ambiguous == "order":
            first = pl.col("stamp").is_first_distinct().over("series")
            rule = pl.when(first).then(pl.lit("earliest")).otherwise(pl.lit("latest"))
        local = pl.col("stamp").dt.replace_time_zone(
            self.name,
            ambiguous=rule,  # type: ignore[arg-type]
            non_existent=self.nonexistent,
        )
        try:
            return rows.select(local.dt.convert_time_zone("UTC").cast(STAMP)).to_series()
        except pl.exceptions.ComputeError as error:
            raise SchemaError(
                f"column '{column}' has an hour that the clock change of {self.name} repeats or leaves out ({error}): "
                f"say the rule, ambiguous: one of {', '.join(AMBIGUOUS)}; nonexistent: one of {', '.join(NONEXISTENT)}"
            ) from error


def _check_zone(name: str) -> None:
    zones = available_timezones()
    if name not in zones:
        raise UnknownNameError("time zone", name, difflib.get_close_matches(name, zones, n=5, cutoff=0.3))


def _parsed(stamps: pl.Series) -> pl.Series:
    """Datetimes from datetimes, dates or ISO text; text that is no time becomes null."""
    if stamps.dtype == pl.String:
        zoned = stamps.str.contains(r"(Z|[+-]\d{2}:?\d{2})$").any()
        kind = pl.Datetime("us", "UTC") if zoned else pl.Datetime("us")
        return stamps.str.replace(r"^(\d{4}-\d{2}-\d{2})$", "$1 00:00").str.to_datetime(
            time_unit="us", time_zone=kind.time_zone, strict=False
        )
    if stamps.dtype == pl.Date:
        return stamps.cast(pl.Datetime("us"))
    if not isinstance(stamps.dtype, pl.Datetime):
        raise SchemaError(f"column '{stamps.name}' is {stamps.dtype}: times are datetimes, dates or ISO text")
    return stamps.cast(pl.Datetime("us", stamps.dtype.time_zone))
