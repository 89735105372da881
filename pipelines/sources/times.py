"""Times: how a cell becomes a datetime. ISO 8601, or a format that is named; nothing is guessed."""

from __future__ import annotations

import polars as pl

from forecast.errors import SchemaError

ISO = (
    r"^\s*(?<date>\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](?<clock>\d{2}:\d{2})(?<second>:\d{2}(?:\.\d{1,9})?)?"
    r" ?(?:(?<utc>[Zz])|(?<sign>[+-])(?<hours>\d{2}):?(?<minutes>\d{2})?)?)?\s*$"
)
EPOCHS = {"epoch_s": 1e6, "epoch_ms": 1e3}  # microseconds
FIRST, LAST = -62_135_596_800 * 10**6, 253_402_300_800 * 10**6  # years 1 and 10000
NAIVE, AWARE = pl.Datetime("us"), pl.Datetime("us", "UTC")


def read_times(cells: pl.Series, form: str = "") -> tuple[pl.Series, pl.Series]:
    """Naive and aware (UTC) datetimes of a column, one of them null in each row, both where a cell cannot be read.

    Args:
        cells: datetimes, dates, text; numbers where `form` is an epoch.
        form: of text and numbers: "" = ISO 8601, "epoch_s", "epoch_ms", or directives such as "%d/%m/%Y %H:%M".

    Raises:
        SchemaError: a column that is no time, a format that nobody knows, or no cell that can be read.
    """
    if isinstance(cells.dtype, pl.Datetime):
        times = cells.cast(pl.Datetime("us", cells.dtype.time_zone))
        found = _split(times.dt.convert_time_zone("UTC") if cells.dtype.time_zone else times)
    elif cells.dtype in (pl.Date, pl.Null):
        found = _split(cells.cast(NAIVE))
    elif form in EPOCHS and (cells.dtype == pl.String or cells.dtype.is_numeric()):
        found = _split(_epoch(cells, EPOCHS[form]))
    elif cells.dtype == pl.String:
        found = _split(_formatted(cells, form)) if form else _iso(cells)
    else:
        raise SchemaError(f"column '{cells.name}' is {cells.dtype}: {_remedy(numbers=cells.dtype.is_numeric())}")
    _check_any(cells, found, form)
    return found


def _split(times: pl.Series) -> tuple[pl.Series, pl.Series]:
    """One kind of times, as naive and aware ones."""
    empty = pl.Series(times.name, [None] * len(times))
    return (times, empty.cast(AWARE)) if times.dtype == NAIVE else (empty.cast(NAIVE), times)


def _epoch(cells: pl.Series, width: float) -> pl.Series:
    micros = cells.cast(pl.Float64, strict=False) * width
    inside = micros.is_between(FIRST, LAST, closed="left")
    return micros.zip_with(inside, pl.Series([None], dtype=pl.Float64)).round().cast(pl.Int64).cast(AWARE)


def _formatted(cells: pl.Series, form: str) -> pl.Series:
    try:
        return cells.str.strip_chars().str.to_datetime(form, time_unit="us", strict=False)
    except pl.exceptions.PolarsError as error:
        raise SchemaError(
            f"time_format '{form}' of column '{cells.name}' is no format: write directives such as '%d/%m/%Y %H:%M', "
            f"or one of {', '.join(EPOCHS)}; '' is ISO 8601"
        ) from error


def _iso(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    parts = cells.str.extract_groups(ISO).struct.unnest()
    text = pl.format("{}T{}{}", "date", pl.col("clock").fill_null("00:00"), pl.col("second").fill_null(":00"))
    time = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    hours, minutes = pl.col("hours").cast(pl.Int64), pl.col("minutes").cast(pl.Int64).fill_null(0)
    ahead = pl.duration(minutes=hours * 60 + minutes) * pl.when(pl.col("sign") == "-").then(-1).otherwise(1)
    offset = pl.when(pl.col("utc").is_not_null()).then(pl.duration(minutes=0)).otherwise(ahead)
    told = offset.is_not_null()
    found = parts.select(
        naive=pl.when(~told).then(time), aware=pl.when(told).then(time - offset).dt.replace_time_zone("UTC")
    )
    return found["naive"].cast(NAIVE), found["aware"].cast(AWARE)


def _check_any(cells: pl.Series, found: tuple[pl.Series, pl.Series], form: str) -> None:
    """A cell that cannot be read is a faulty row; a column of them is a wrong format."""
    naive, aware = found
    told = cells.drop_nulls()
    if told.is_empty() or naive.is_not_null().any() or aware.is_not_null().any():
        return
    first = str(told[0])
    asked = f"as '{form}'" if form else "as ISO 8601"
    digits = not form and first.strip().isdigit()
    raise SchemaError(
        f"column '{cells.name}' has no time that can be read {asked}, first cell '{first}': {_remedy(numbers=digits)}"
    )


def _remedy(*, numbers: bool) -> str:
    """What to do about a column of numbers, or of other cells."""
    if numbers:
        return "for numbers say time_format: epoch_s (seconds since 1970) or epoch_ms; it is never guessed"
    return (
        "times are datetimes, dates or ISO 8601 text such as 2013-01-31T05:00Z; for other text say time_format, "
        "e.g. '%d/%m/%Y %H:%M'; it is never guessed"
    )
