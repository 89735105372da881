"""What every store promises, checked once: rows and positions move together, every vintage stays, answers repeat."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import final

import polars as pl
import polars.selectors as cs

from forecast.errors import ForecastError, SchemaError
from forecast.frame import KEYS, STAMP, canonical, empty, latest
from forecast.schema import Variable


class StoreError(ForecastError, OSError):
    """The store's folder cannot be read or written."""


class BaseStore(ABC):
    """Checks arguments and orders answers; subclasses write the hooks `_append`, `_rows`, `_record`, `_records`.

    Args:
        variables: what the columns mean; every row has exactly these.

    Raises:
        SchemaError: rows, keys or types that do not fit, naive datetimes, rows without a position.
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables = tuple(variables)

    @final
    def append(self, frame: pl.DataFrame, positions: Mapping[str, int]) -> bool:
        """Add rows and move the positions in one commit. False, and nothing is written, if no position would grow.

        Args:
            frame: canonical rows; may be empty when only positions move.
            positions: where the source stands after these rows, per partition key. A key that would fall stays.
        """
        if not positions and frame.height:
            raise SchemaError(
                f"{frame.height} rows came without a position: name one, e.g. {{'bootstrap': 1}}, "
                "so that adding them twice can be told"
            )
        rows = canonical(frame, self.variables) if frame.height else empty(v.name for v in self.variables)
        return self._append(rows, {key: int(at) for key, at in positions.items()})

    @final
    def read(
        self,
        *,
        as_of: datetime | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        series: Sequence[str] | None = None,
        vintages: bool = False,
    ) -> pl.DataFrame:
        """Rows with start <= time <= end seen by `as_of`, sorted by series, time (and seen).

        Args:
            as_of: leave out what was learnt later. vintages: every version of a row, not only the newest.
        """
        where = pl.lit(value=True)
        if as_of is not None:
            where &= pl.col("seen") <= aware("as_of", as_of)
        if start is not None:
            where &= pl.col("time") >= aware("start", start)
        if end is not None:
            where &= pl.col("time") <= aware("end", end)
        if series is not None:
            where &= pl.col("series").is_in(list(series))
        rows = _once(self._rows(where))
        return rows if vintages or not _repeats(rows, ("series", "time")) else latest(rows)

    @final
    def record(self, table: str, rows: pl.DataFrame, key: int) -> bool:
        """Append `rows` to a record table once per key: False, and nothing is written, unless `key` is above the last.

        New columns may come later; columns without any value are left out until they have one.
        """
        return self._record(_named(table), _storable(table, rows), int(key))

    @final
    def records(self, table: str, *, since: datetime | None = None) -> pl.DataFrame:
        """A record table in the order written; `since` bounds its `slot` column.

        Empty without columns if never written.
        """
        where = pl.lit(value=True) if since is None else pl.col("slot") >= aware("since", since)
        try:
            return self._records(_named(table), where)
        except pl.exceptions.ColumnNotFoundError as error:
            raise SchemaError(f"record table '{table}' has no column 'slot': read it without `since`") from error

    @abstractmethod
    def positions(self) -> dict[str, int]:
        """Where each source stands, by key."""

    @abstractmethod
    def version(self) -> int:
        """Grows with each commit of observations; names a data set."""

    @abstractmethod
    def compact(self) -> None:
        """Fold small files into large ones; rows, vintages and positions stay."""

    @abstractmethod
    def _append(self, rows: pl.DataFrame, positions: dict[str, int]) -> bool: ...

    @abstractmethod
    def _rows(self, where: pl.Expr) -> pl.DataFrame: ...

    @abstractmethod
    def _record(self, table: str, rows: pl.DataFrame, key: int) -> bool: ...

    @abstractmethod
    def _records(self, table: str, where: pl.Expr) -> pl.DataFrame: ...


def aware(name: str, moment: datetime) -> datetime:
    """`moment`, which must have a zone."""
    if moment.tzinfo is None:
        raise SchemaError(f"{name} is {moment}, without a zone: give an aware datetime, e.g. tzinfo=UTC")
    return moment


def same_types(table: str, known: Mapping[str, pl.DataType], rows: pl.DataFrame) -> None:
    """A record table's column keeps the type it began with."""
    for name, kind in rows.schema.items():
        if name in known and known[name] != kind:
            raise SchemaError(
                f"record table '{table}' holds column '{name}' as {known[name]}, but these rows have {kind}: "
                "cast it, or write to another table"
            )


def _repeats(rows: pl.DataFrame, by: Sequence[str]) -> bool:
    """Whether neighbours agree in every column of `by`; `rows` are sorted."""
    return bool(rows.select(pl.all_horizontal(pl.col(c) == pl.col(c).shift() for c in by).any()).item())


def _once(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in order; a row that a source delivered twice (same series, time, seen) is one row."""
    rows = rows.sort(KEYS)
    if not _repeats(rows, KEYS):
        return rows
    values = [c for c in rows.columns if c not in KEYS]
    ordered = rows.sort(*KEYS, *values).lazy().group_by(KEYS, maintain_order=True)
    return ordered.agg(pl.col(values).drop_nulls().last()).collect(engine="in-memory")


def _named(table: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]+", table):
        raise SchemaError(f"record table '{table}': a name has only a-z, 0-9 and _")
    return table


def _storable(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the types every store can keep: 64-bit numbers, UTC microseconds, plain strings."""
    odd = rows.select(cs.duration() | cs.time() | cs.object()).columns
    if odd:
        kind = rows.schema[odd[0]]
        raise SchemaError(f"record table '{table}' cannot hold column '{odd[0]}' of {kind}: write a number")
    naive = [n for n, k in rows.schema.items() if isinstance(k, pl.Datetime) and k.time_zone is None]
    if naive:
        raise SchemaError(f"record table '{table}': column '{naive[0]}' holds naive datetimes; say the zone")
    rows = rows.drop([n for n, k in rows.schema.items() if k == pl.Null])
    return rows.with_columns(
        cs.integer().cast(pl.Int64),
        cs.float().cast(pl.Float64),
        (cs.categorical() | cs.enum()).cast(pl.String),
        cs.datetime().dt.convert_time_zone("UTC").cast(STAMP),
    )
