"""Long tables, as people have them: `unique_id, ds, y` in pandas or polars, to the canonical frame and back.

Inside, times are UTC and a missing value is null; outside, everything looks as it came: the library, the type
of the id, the time zone and the unit of the times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from numbers import Integral, Real
from typing import Any

import polars as pl

from forecast.errors import SchemaError, UnknownNameError
from forecast.frame import canonical, latest
from forecast.schema import Variable

Names = str | Variable | Sequence[str | Variable]


@dataclass(frozen=True)
class Look:
    """How a table came in, so that results go out alike.

    Args:
        pandas: pandas or polars. id_type: polars type of the id column.
        zone: time zone of the results. unit: "s", "ms", "us" or "ns".
    """

    pandas: bool
    id_type: pl.DataType
    zone: str | tzinfo
    unit: Any

    def dress(self, frame: pl.DataFrame, id_col: str, times: Sequence[str]) -> Any:
        """`frame` (ids as text, times in UTC) in the library, types and zone the user's table had."""
        if self.id_type.is_numeric():
            frame = frame.with_columns(pl.col(id_col).cast(self.id_type))
            frame = frame.sort(id_col, *times, maintain_order=True)
        else:
            frame = frame.sort(id_col, *times, maintain_order=True).with_columns(pl.col(id_col).cast(self.id_type))
        if not self.pandas:
            zoned = [pl.col(t).dt.convert_time_zone(str(self.zone)).dt.cast_time_unit(self.unit) for t in times]
            return frame.with_columns(zoned)
        table = frame.to_pandas()
        for t in times:
            table[t] = table[t].dt.tz_convert(self.zone).dt.as_unit(self.unit)
        return table


def as_variables(names: Names) -> tuple[Variable, ...]:
    """Names and `Variable`s, one or several, as variables."""
    listed = [names] if isinstance(names, str | Variable) or not isinstance(names, Iterable) else list(names)
    if not all(isinstance(n, str | Variable) for n in listed):
        raise SchemaError(
            f"columns {listed} were named: give text or `Variable`s, one or several, e.g. ['temp', 'wind']"
        )
    return tuple(n if isinstance(n, Variable) else Variable(n) for n in listed)


def from_long(
    df: Any,
    target_col: Names = "y",
    past_cols: Names = (),
    *,
    id_col: str = "unique_id",
    time_col: str = "ds",
    tz: str | None = None,
) -> pl.DataFrame:
    """The canonical frame of a long table; `seen` is `time`.

    Args:
        df: pandas or polars, one row per series and time, in any order. NaN and null mean missing.
        target_col, past_cols: columns to take, as names or `Variable`s with bounds.
        tz: zone of naive times, e.g. "America/New_York"; needed only for those.

    Raises:
        SchemaError: no rows, naive times, local times that a clock change skips or repeats, infinite values,
            values out of bounds, a (series, time) twice, a column twice or of mixed types, ids that are neither
            text nor numbers; the message names column, series, time and remedy.
        UnknownNameError: a column the table does not have, with the nearest one it has.

    >>> table = pl.DataFrame({"unique_id": ["A"], "ds": [datetime(2024, 3, 10, 3)], "y": [1.0]})
    >>> from_long(table, tz="America/New_York")["time"][0].hour
    7
    """
    return read_long(df, as_variables(target_col), as_variables(past_cols), id_col, time_col, tz)[0]


def read_long(
    df: Any, targets: Sequence[Variable], past: Sequence[Variable], id_col: str, time_col: str, tz: str | None
) -> tuple[pl.DataFrame, Look]:
    """The canonical frame, and how the table looked; see `from_long`."""
    variables = (*targets, *past)
    table, zone = _to_polars(df, [id_col, time_col, *(v.name for v in variables)])
    _check_ids(table[id_col])
    id_type, kind = table.schema[id_col], table.schema[time_col]
    ids, time = pl.col(id_col).cast(pl.String), _in_utc(table, id_col, time_col, tz)
    numbers = [pl.col(v.name).fill_nan(None) for v in variables if table.schema[v.name].is_float()]
    frame = table.with_columns(numbers).select(ids.alias("series"), time.alias("time"), *(v.name for v in variables))
    _check_once(frame, id_col, time_col)
    unit = getattr(kind, "time_unit", None) or "us"
    look = Look(not isinstance(df, pl.DataFrame), id_type, zone or tz or "UTC", _pandas_unit(df, time_col) or unit)
    return canonical(frame, variables), look


def to_long(
    frame: pl.DataFrame, *, id_col: str = "unique_id", time_col: str = "ds", zone: str = "UTC", pandas: bool = False
) -> Any:
    """A canonical frame as a long table `unique_id, ds, ...`: the newest vintage, sorted by id and time.

    >>> frame = from_long(pl.DataFrame({"unique_id": ["A"], "ds": [datetime(2024, 3, 10, 3)], "y": [1.5]}), tz="UTC")
    >>> to_long(frame)["y"].sum()
    1.5
    """
    table = latest(frame).drop("seen").rename({"series": id_col, "time": time_col})
    return Look(pandas, pl.String(), zone, "us").dress(table, id_col, [time_col])


def _to_polars(df: Any, columns: list[str]) -> tuple[pl.DataFrame, Any]:
    """The named columns as polars, and the zone of a pandas time column, which polars would lose for fixed offsets."""
    pandas = type(df).__module__.split(".")[0] == "pandas" and hasattr(df, "columns")
    if not pandas and not isinstance(df, pl.DataFrame):
        raise SchemaError(f"a {type(df).__name__} was given: pass a pandas or a polars DataFrame")
    check_columns(df, columns)
    if not len(df):
        raise SchemaError("the table has no rows: check the source, the filter or the time range that made it")
    time = columns[1]
    if isinstance(df, pl.DataFrame):
        return df.select(columns), getattr(df.schema[time], "time_zone", None)
    table, zone = df[columns], getattr(df[time].dtype, "tz", None)
    if zone is not None:
        table = table.assign(**{time: table[time].dt.tz_convert("UTC")})
    return from_pandas(table), zone


def check_columns(df: Any, columns: Iterable[str]) -> None:
    """Each of `columns` is in the pandas or polars table, once."""
    there = list(df.columns)
    for name in columns:
        if name not in there:
            raise UnknownNameError("column", name, map(str, there))
        if there.count(name) > 1:
            raise SchemaError(
                f"column '{name}' is in the table {there.count(name)} times: keep one, "
                "e.g. df.loc[:, ~df.columns.duplicated()]"
            )


def from_pandas(table: Any) -> pl.DataFrame:
    """A pandas table as polars, column by column, so that the one that cannot be read is named."""
    return pl.DataFrame([_from_pandas(table[name]) for name in table.columns])


def _from_pandas(column: Any) -> pl.Series:
    try:
        return pl.from_pandas(column)
    except (ArithmeticError, NotImplementedError, TypeError, ValueError) as error:  # pyarrow's own are among these
        kinds = ", ".join(sorted({type(v).__name__ for v in column})[:5])
        raise SchemaError(
            f"column '{column.name}' holds {kinds}: its values must be of one type, numbers, text or datetimes; "
            "convert it first, e.g. with pandas.to_numeric, astype(str) or pandas.to_datetime"
        ) from error


def _check_ids(ids: pl.Series) -> None:
    missing = (ids.fill_nan(None) if ids.dtype.is_float() else ids).null_count()
    if missing:
        raise SchemaError(f"column '{ids.name}' has {missing} missing names: name or drop those rows")
    if not (ids.dtype.is_numeric() or ids.dtype in (pl.String, pl.Categorical, pl.Enum)):
        raise SchemaError(
            f"column '{ids.name}' is {ids.dtype}: names of series must be text, categories or numbers; "
            "convert it first, e.g. with pandas' astype(str) or polars' cast(pl.String)"
        )


def _pandas_unit(df: Any, time_col: str) -> str | None:
    return None if isinstance(df, pl.DataFrame) else getattr(df[time_col].dtype, "unit", None) or "us"


def _in_utc(table: pl.DataFrame, id_col: str, time_col: str, tz: str | None) -> pl.Expr:
    """The times in UTC; naive ones are local to `tz`."""
    kind = table.schema[time_col]
    if kind == pl.Date:
        table = table.with_columns(pl.col(time_col).cast(pl.Datetime("us")))
    elif not isinstance(kind, pl.Datetime):
        raise SchemaError(
            f"column '{time_col}' is {kind}: it must hold datetimes; parse it first, e.g. pandas.to_datetime"
        )
    if table[time_col].null_count():
        first = table.filter(pl.col(time_col).is_null())[id_col][0]
        raise SchemaError(
            f"column '{time_col}' has {table[time_col].null_count()} missing times, first at series '{first}': "
            "drop those rows"
        )
    if getattr(kind, "time_zone", None) is not None:
        return pl.col(time_col).dt.convert_time_zone("UTC")
    if tz is None:
        raise SchemaError(
            f"column '{time_col}' holds naive datetimes, first at series '{table[id_col][0]}' {table[time_col][0]}: "
            "say the zone, e.g. tz='UTC' or tz='America/New_York'; it is never guessed"
        )
    _check_zone(tz)
    _check_clock_changes(table, id_col, time_col, tz)
    return pl.col(time_col).cast(pl.Datetime("us")).dt.replace_time_zone(tz).dt.convert_time_zone("UTC")


def _check_zone(tz: str) -> None:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(tz)
    except (LookupError, OSError, ValueError):
        raise UnknownNameError("time zone", tz, available_timezones()) from None


def _check_clock_changes(table: pl.DataFrame, id_col: str, time_col: str, tz: str) -> None:
    """Local times that a clock change skips or repeats cannot be placed: no guess."""
    local = pl.col(time_col)
    marked = table.select(
        id_col,
        time_col,
        skipped=local.dt.replace_time_zone(tz, ambiguous="earliest", non_existent="null").is_null(),
        placed=local.dt.replace_time_zone(tz, ambiguous="null", non_existent="null").is_not_null(),
    )
    for what, bad in (("never was", marked.filter("skipped")), ("was twice", marked.filter(~pl.col("placed")))):
        if bad.height:
            raise SchemaError(
                f"column '{time_col}' has {bad.height} local times that a clock change in {tz} makes unclear, first at "
                f"series '{bad[id_col][0]}' {bad[time_col][0]}, which {what}: give the times in UTC or with their zone"
            )


def _check_once(frame: pl.DataFrame, id_col: str, time_col: str) -> None:
    twice = frame.filter(frame.select("series", "time").is_duplicated()).sort("series", "time")
    if twice.height:
        series, time = twice.row(0)[:2]
        raise SchemaError(
            f"{twice.height} rows share ({id_col}, {time_col}), first at series '{series}' {show(time)}: "
            "keep one row of each"
        )


def band_columns(level: Any, quantiles: Any) -> list[tuple[float, str]]:
    """(quantile level, suffix) of the result columns after the median's."""
    if level is not None and quantiles is not None:
        raise SchemaError("level and quantiles were both given: they are two ways to say the same; choose one")
    if quantiles is not None:
        return [(q, f"-q-{q:g}") for q in _inside("quantiles", quantiles, 1, "quantile levels, e.g. [0.1, 0.9]")]
    levels = sorted(
        _inside("level", () if level is None else level, 100, "central intervals in percent, e.g. [80, 95]")
    )
    low = [(round(0.5 - x / 200, 10), f"-lo-{x:g}") for x in reversed(levels)]
    return low + [(round(0.5 + x / 200, 10), f"-hi-{x:g}") for x in levels]


def _inside(argument: str, given: Any, top: int, what: str) -> list[float]:
    """One number or several, each inside (0, top) and once."""
    listed = list(given) if isinstance(given, Iterable) else [given]
    numbers = [float(x) for x in listed if isinstance(x, Real) and not isinstance(x, bool)]
    if len(numbers) < len(listed) or not all(0 < x < top for x in numbers):
        raise SchemaError(f"{argument} {given!r} must be numbers inside (0, {top}): {what}")
    names = [f"{x:g}" for x in numbers]
    twice = [x for x in names if names.count(x) > 1]
    if twice:
        raise SchemaError(f"{argument} {given!r} has {twice[0]} twice: each makes columns of its own; name it once")
    return numbers


def whole(argument: str, given: Any) -> int:
    """`given` as an int, if it is a whole number of at least 1."""
    if isinstance(given, bool) or not isinstance(given, Integral) or given < 1:
        raise SchemaError(f"{argument} is {given!r}: it must be a whole number, at least 1, e.g. {argument}=6")
    return int(given)


def show(time: datetime) -> str:
    """A UTC time for messages."""
    return f"{time:%Y-%m-%d %H:%M} UTC"
