"""Mapping: how a raw table becomes canonical rows, and what could not be taken, cell by cell, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from forecast.errors import SchemaError, UnknownNameError
from forecast.frame import KEYS, STAMP, canonical, empty, faults, without_faults
from forecast.schema import Variable, duration
from pipelines.sources.grid import overruled, rounded
from pipelines.sources.stamps import Zone
from pipelines.sources.units import conversion

LITERAL = "literal:"
REJECTED = pl.Schema(
    {
        "series": pl.String(),
        "time": STAMP,
        "seen": STAMP,
        "variable": pl.String(),
        "value": pl.Float64(),
        "reason": pl.String(),
    }
)


@dataclass(frozen=True)
class Reading:
    """Which column holds a variable, and in which unit.

    Args:
        variable: what is stored, in `variable.unit`.
        column: the raw column; text is read as numbers.
        unit: the raw unit, "" if it is the variable's. The table of units is in `pipelines.sources.units`.
        factor, offset: applied before the unit, e.g. factor 0.1 for tenths.
        missing: cells that mean "no value", numbers or text, e.g. -9999 or "M".

    Raises:
        UnknownNameError: a unit without a known way to the variable's.
    """

    variable: Variable
    column: str
    unit: str = ""
    factor: float = 1.0
    offset: float = 0.0
    missing: Sequence[float | str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "missing", tuple(self.missing))
        conversion(self.unit, self.variable.unit)

    def raw(self, table: pl.DataFrame, missing: Sequence[float | str]) -> tuple[pl.Series, pl.Series]:
        """The cells as published, as numbers (null where missing or no number), and which are no number."""
        cells, none = table[self.column], (*missing, *self.missing)
        if cells.dtype == pl.String:
            cells = cells.str.strip_chars()
            blank = cells.is_in(["", *(m for m in none if isinstance(m, str))])
            cells = cells.set(blank.fill_null(value=False), None)
        numbers = cells.cast(pl.Float64, strict=False)
        unreadable = cells.is_not_null() & numbers.is_null()
        absent = numbers.is_in([float(m) for m in none if not isinstance(m, str)])
        return numbers.set(absent.fill_null(value=False), None), unreadable

    def convert(self, numbers: pl.Series) -> pl.Series:
        """Raw numbers in `variable.unit`."""
        factor, offset = conversion(self.unit, self.variable.unit)
        return (numbers * self.factor + self.offset) * factor + offset

    @property
    def converts(self) -> bool:
        return (self.factor, self.offset, *conversion(self.unit, self.variable.unit)) != (1.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Columns:
    """What the columns of a raw table mean.

    Args:
        series: column that names the series, or "literal:NAME" for a table of one series.
        time: column of the time when a value holds: datetimes, dates or ISO 8601 text.
        readings: one per variable.
        zone: zone of naive times and their rule at clock changes; a name such as "UTC" raises at a doubtful hour.
        seen: column of the time when a row was learnt, "" if there is none: then time + latency.
        latency: how long after `time` a row is learnt, a timedelta or text such as "1h".
        missing: cells that mean "no value" in every reading's column.
        time_format: of `time` and `seen` where they are text or numbers: "" = ISO 8601, "epoch_s", "epoch_ms", or
            directives such as "%d/%m/%Y %H:%M".
        round: times go to the nearest multiple of this since 1970 (UTC), text such as "1h"; 0 = they stay. Of several
            reports in one slot the latest wins as soon as it is seen, others seen then or later are rejected.

    Raises:
        SchemaError: no readings, a variable read twice, times that cannot be read, naive ones without a zone, a
            doubtful hour without a rule.
        UnknownNameError: a column that the table does not have, with the nearest one.

    >>> from datetime import datetime
    >>> columns = Columns("port", "at", [Reading(Variable("temperature", "degC", -60, 60), "t", "degF")], zone="UTC")
    >>> table = pl.DataFrame({"port": ["EWR", "EWR"], "at": ["2013-01-01", "2013-01-02"], "t": [50.0, 999.0]})
    >>> frame, rejected = columns.apply(table)
    >>> frame["temperature"].round(6).to_list(), rejected["value"].to_list(), rejected["reason"].to_list()
    ([10.0, None], [999.0], ['outside [-60, 60] degC: 537.222 degC'])
    """

    series: str
    time: str
    readings: Sequence[Reading]
    zone: Zone | str = field(default_factory=Zone)
    seen: str = ""
    latency: timedelta | str = timedelta(0)
    missing: Sequence[float | str] = ()
    time_format: str = ""
    round: timedelta | str = timedelta(0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "readings", tuple(self.readings))
        object.__setattr__(self, "missing", tuple(self.missing))
        object.__setattr__(self, "latency", duration(self.latency))
        object.__setattr__(self, "round", duration(self.round))
        object.__setattr__(self, "zone", Zone(self.zone) if isinstance(self.zone, str) else self.zone)
        names = [v.name for v in self.variables]
        if not names or len(set(names)) < len(names):
            raise SchemaError(f"readings give the variables {names}: name each once, and at least one")

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(reading.variable for reading in self.readings)

    def apply(self, table: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Canonical rows, and what could not be taken: `series, time, seen, variable, value, reason`.

        `value` is the raw number as published. Rows that share series, time and seen are folded: the last value
        stands, others that differ are rejected. A row whose key cannot be read is rejected with all its values.
        """
        self._check(table)
        keys = self._keys(table)  # in file order, like every series below
        why = keys.select(self._why(table)).to_series()
        usable, keys = why.is_null(), keys.select(KEYS)
        frame, rejected = keys, [pl.DataFrame(schema=REJECTED)]
        for reading in self.readings:
            numbers, unreadable = reading.raw(table, self.missing)
            text = pl.format("'{}' is not a number", table[reading.column].cast(pl.String))
            rejected.append(_cells(keys.with_columns(reason=text), reading, numbers, unreadable))
            lost = numbers.is_not_null() & ~usable
            rejected.append(_cells(keys.with_columns(reason=why), reading, numbers, lost))
            values = reading.convert(numbers).alias(reading.variable.name)
            rejected.append(_faulty(keys.with_columns(values).filter(usable), reading, numbers.filter(usable)))
            frame = frame.with_columns(values)
        folded, doubles = _fold(without_faults(frame.filter(usable), self.variables), self.readings)
        order = ["seen", "series", "time", "variable", "value"]
        return self._canonical(folded), pl.concat([*rejected, doubles]).sort(order, maintain_order=True)

    def _canonical(self, frame: pl.DataFrame) -> pl.DataFrame:
        return canonical(frame, self.variables) if frame.height else empty(v.name for v in self.variables)

    def _check(self, table: pl.DataFrame) -> None:
        own = [] if self.series.startswith(LITERAL) else [self.series]
        for column in (*own, self.time, *([self.seen] if self.seen else []), *(r.column for r in self.readings)):
            if column not in table.columns:
                raise UnknownNameError("column of the table", column, table.columns)

    def _keys(self, table: pl.DataFrame) -> pl.DataFrame:
        assert isinstance(self.zone, Zone)
        if self.series.startswith(LITERAL):
            table = table.with_columns(pl.lit(self.series.removeprefix(LITERAL)).alias(self.series))
        at = self.zone.utc(table, self.time, self.series, self.time_format)
        seen = self.zone.utc(table, self.seen, self.series, self.time_format) if self.seen else at + self.latency
        time = rounded(at, self.round) if self.round else at  # type: ignore[arg-type]
        keys = table.select(series=pl.col(self.series).cast(pl.String), time=time, seen=seen, at=at)
        return keys.with_columns(overruled=overruled(keys))

    def _why(self, table: pl.DataFrame) -> pl.Expr:
        """Why a row's key is of no use; null where it is."""
        stamp = table[self.time].cast(pl.String)
        unread = pl.format("time '{}' cannot be read, or its zone has no such hour", stamp.fill_null(""))
        return (
            pl.when(pl.col("series").is_null())
            .then(pl.lit("no series name"))
            .when(pl.col("time").is_null())
            .then(unread)
            .when(pl.col("seen").is_null())
            .then(pl.lit("no time of being seen"))
            .when("overruled")
            .then(pl.format("a later report of the same slot was known by then; this one is of {}", "at"))
        )


def _cells(rows: pl.DataFrame, reading: Reading, numbers: pl.Series, which: pl.Series) -> pl.DataFrame:
    """Rejections of one reading; `rows` has the keys and a reason."""
    cells = rows.with_columns(variable=pl.lit(reading.variable.name), value=numbers)
    return cells.select(*REJECTED).filter(which)


def _faulty(rows: pl.DataFrame, reading: Reading, numbers: pl.Series) -> pl.DataFrame:
    """Rejections of values that are not finite or out of bounds, with the number as published."""
    variable = reading.variable
    found = faults(rows, [variable])
    kept = without_faults(rows, [variable])[variable.name]
    at = rows[variable.name].is_not_null() & kept.is_null()
    if reading.converts:
        stored = pl.format("{}: {} {}", "reason", pl.col("value").round_sig_figs(6), pl.lit(variable.unit))
        found = found.with_columns(reason=stored.str.strip_chars_end())
    return found.with_columns(value=numbers.filter(at)).select(*REJECTED)


def _fold(frame: pl.DataFrame, readings: Sequence[Reading]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One row per key, and the values that another row of the same key overruled."""
    rejected = [pl.DataFrame(schema=REJECTED)]
    if not frame.select(KEYS).is_duplicated().any():
        return frame, rejected[0]
    for reading in readings:
        name = reading.variable.name
        stands = frame.select(pl.col(name).drop_nulls().last().over(KEYS)).to_series()
        reason = pl.format("a later row of the same series, time and seen says {}", stands)
        differs = frame[name].is_not_null() & (frame[name] != stands)
        rejected.append(_cells(frame.with_columns(reason=reason), reading, frame[name], differs))
    values = pl.col([r.variable.name for r in readings]).drop_nulls().last()
    folded = frame.lazy().group_by(KEYS, maintain_order=True).agg(values).collect(engine="in-memory")
    return folded, pl.concat(rejected)
