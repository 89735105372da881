"""The canonical frame, the edge of everything: `series, time, seen`, then one Float64 column per variable.

`time` is when a value holds, `seen` when we learnt it. Late and revised rows keep every vintage; what was
known at a moment is a filter on `seen`, so leakage is a query, not a hope.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import polars as pl

from forecast.errors import SchemaError, UnknownNameError
from forecast.schema import Variable

STAMP = pl.Datetime("us", "UTC")
KEYS = ("series", "time", "seen")


def empty(variables: Iterable[str]) -> pl.DataFrame:
    """A frame without rows."""
    return pl.DataFrame(
        schema={"series": pl.String, "time": STAMP, "seen": STAMP, **dict.fromkeys(variables, pl.Float64)}
    )


def canonical(frame: pl.DataFrame, variables: Sequence[Variable]) -> pl.DataFrame:
    """`frame` checked and brought to canonical order and types; the values are untouched.

    Args:
        frame: has `series`, `time` (with a zone) and every variable's column; `seen` defaults to `time`.
        variables: what the columns mean; other columns are refused.

    Returns:
        Frame sorted by series, time, seen, with exactly the canonical columns.

    Raises:
        SchemaError: naive datetimes, NaN or infinite values, values out of bounds, duplicate keys; the
            message names column, series, time and remedy. Null means missing and is allowed.
        UnknownNameError: a missing or unexpected column, with the nearest known name.
    """
    names = [v.name for v in variables]
    if "seen" not in frame.columns and "time" in frame.columns:
        frame = frame.with_columns(seen=pl.col("time"))
    _check_columns(frame, names)
    _check_numbers(frame, names)
    frame = frame.select(
        pl.col("series").cast(pl.String), _utc(frame, "time"), _utc(frame, "seen"), pl.col(names).cast(pl.Float64)
    ).sort(KEYS)
    _check_keys(frame)
    for variable in variables:
        _check_values(frame, variable)
    return frame


def latest(frame: pl.DataFrame, as_of: datetime | None = None) -> pl.DataFrame:
    """The newest vintage of each (series, time) among the rows seen by `as_of`, sorted by series, time.

    A later vintage that leaves a value null keeps the earlier one: a revision revises only what it says.
    """
    if as_of is not None:
        frame = frame.filter(pl.col("seen") <= as_of)
    values = [c for c in frame.columns if c not in KEYS]
    newest = [pl.col(c).drop_nulls().last() for c in values]
    ordered = frame.lazy().sort(KEYS)
    return (
        ordered.group_by("series", "time", maintain_order=True)
        .agg(pl.col("seen").last(), *newest)
        .collect(engine="in-memory")
    )


def faults(frame: pl.DataFrame, variables: Sequence[Variable]) -> pl.DataFrame:
    """Cells that are NaN, infinite or out of bounds, as `series, time, seen, variable, value, reason`."""
    parts = []
    for v in variables:
        bad = frame.filter(_is_fault(v)).select(*KEYS, variable=pl.lit(v.name), value=pl.col(v.name))
        reason = pl.when(pl.col("value").is_finite()).then(
            pl.lit(f"outside [{v.lower:g}, {v.upper:g}] {v.unit}".rstrip())
        )
        parts.append(bad.with_columns(reason=reason.otherwise(pl.lit("not finite"))))
    return pl.concat(parts)


def without_faults(frame: pl.DataFrame, variables: Sequence[Variable]) -> pl.DataFrame:
    """`frame` with every faulty cell set to null (`faults` tells which, so nothing is lost)."""
    return frame.with_columns(pl.when(~_is_fault(v)).then(pl.col(v.name)).alias(v.name) for v in variables)


def _is_fault(v: Variable) -> pl.Expr:
    column = pl.col(v.name)
    return column.is_not_null() & ~(column.is_finite() & column.is_between(v.lower, v.upper))


def _check_columns(frame: pl.DataFrame, names: Sequence[str]) -> None:
    for needed in (*KEYS, *names):
        if needed not in frame.columns:
            raise UnknownNameError(f"column (the frame lacks '{needed}')", needed, frame.columns)
    extra = [c for c in frame.columns if c not in (*KEYS, *names)]
    if extra:
        raise UnknownNameError("column in the frame", extra[0], [*KEYS, *names])
    if frame.is_empty():
        raise SchemaError("the frame has no rows: check the source, the filter or the time range that made it")


def _check_numbers(frame: pl.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        kind = frame.schema[name]
        if not (kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
            raise SchemaError(f"column '{name}' is {kind}: values must be numbers; parse it first")


def _utc(frame: pl.DataFrame, name: str) -> pl.Expr:
    kind = frame.schema[name]
    if not isinstance(kind, pl.Datetime):
        raise SchemaError(f"column '{name}' is {kind}: it must be a datetime with a time zone; parse it first")
    if kind.time_zone is None:
        raise SchemaError(
            f"column '{name}' holds naive datetimes: say the zone, e.g. .dt.replace_time_zone('UTC'); "
            "it is never guessed"
        )
    if frame[name].null_count():
        raise SchemaError(
            f"column '{name}' has {frame[name].null_count()} nulls: every row needs a time; drop those rows"
        )
    return pl.col(name).dt.convert_time_zone("UTC").cast(STAMP)


def _check_keys(frame: pl.DataFrame) -> None:
    if frame["series"].null_count():
        raise SchemaError(f"column 'series' has {frame['series'].null_count()} nulls: every row needs a series name")
    twice = frame.filter(frame.select(KEYS).is_duplicated())
    if twice.height:
        first = twice.row(0, named=True)
        raise SchemaError(
            f"{twice.height} rows share (series, time, seen), first at series '{first['series']}' "
            f"{_show(first['time'])}: keep one row of each, or give the later report a later `seen`"
        )


def _check_values(frame: pl.DataFrame, v: Variable) -> None:
    bad = frame.filter(_is_fault(v))
    if bad.is_empty():
        return
    first = bad.row(0, named=True)
    kind = (
        f"outside [{v.lower:g}, {v.upper:g}] {v.unit}".rstrip()
        if bad[v.name].is_finite().all()
        else "NaN, infinite or out of bounds"
    )
    raise SchemaError(
        f"column '{v.name}' has {bad.height} values {kind}, first at series '{first['series']}' "
        f"{_show(first['time'])}: {first[v.name]}. "
        "Make missing values null, drop the rows, or widen Variable.lower/upper"
    )


def _show(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
