"""Replay: a file of the past as a stream, each row arriving when it was seen."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from forecast.errors import ForecastError, SchemaError, UnknownNameError
from forecast.panel import stamp
from pipelines.protocols import Batch
from pipelines.sources.ahead import Ahead
from pipelines.sources.mapping import Columns
from pipelines.sources.shared import VARIABLE, shared_folder

PACKAGE, SHARED = "package:", "data:"


class MissingTableError(ForecastError, FileNotFoundError):
    """There is no such file, or no such package."""


class Replay:
    """A finished Parquet or CSV file as a source.

    Its position is the newest `seen` delivered, in microseconds since 1970. For tables of the past only: a file that
    still grows may gain a row with an older `seen` than one delivered already, as it does where `seen` is time +
    latency and a row comes late; the position is past that row, and it is never delivered. A growing table needs a
    column that says when each row was really learnt (`Columns.seen`), or a source whose position counts rows added.

    Args:
        table: path of a .parquet or .csv file, "package:NAME/path/inside" for a file of an installed package
            (found without importing it), or "data:path/inside" for one in the folder that FORECAST_DATA names.
        columns: what the file's columns mean.
        name: key of the position, and the stream's name in messages.
        only: the series to deliver, none named: all.
        ahead: columns with predictions for later times, which become rows of their own.
        origin: where the table can be had, for whoever lacks it.

    Raises:
        MissingTableError, SchemaError, UnknownNameError: at the first poll, if the file does not fit.

    >>> from datetime import UTC
    >>> from pipelines.sources.nyc import nyc_airports
    >>> batch = nyc_airports().poll({}, datetime(2013, 1, 1, 12, tzinfo=UTC))
    >>> batch.frame.height, batch.frame["time"].max().isoformat()
    (18, '2013-01-01T11:00:00+00:00')
    >>> nyc_airports().poll(batch.positions, datetime(2013, 1, 1, 12, tzinfo=UTC)).frame.height
    0
    """

    def __init__(
        self,
        table: str | Path,
        columns: Columns,
        name: str = "replay",
        only: Sequence[str] = (),
        ahead: Sequence[Ahead] = (),
        origin: str = "",
    ) -> None:
        self.table = table
        self.columns = columns
        self.name = name
        self.only = tuple(only)
        self.ahead = tuple(ahead)
        self.origin = origin

    def poll(self, positions: Mapping[str, int], until: datetime) -> Batch:
        """Rows seen after the position and by `until`; a position that nothing moved comes back as it was."""
        if until.tzinfo is None:
            raise SchemaError(f"until is {until}, without a zone: give an aware datetime, e.g. tzinfo=UTC")
        last = int(stamp(until).astype(np.int64))
        frame, rejected = (
            _between(rows, stamps, positions.get(self.name), last)
            for rows, stamps in zip(self._mapped, self._stamps, strict=True)
        )
        before = {self.name: positions[self.name]} if self.name in positions else {}
        seen = pl.concat([frame["seen"], rejected["seen"]]).drop_nulls().cast(pl.Int64)
        moved = {self.name: int(seen.max())} if len(seen) else {}  # type: ignore[arg-type]
        return Batch(frame.sort("series", "time", "seen"), {**before, **moved}, rejected)

    @cached_property
    def _mapped(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """All rows and all rejections, each in the order of being seen."""
        table = read_table(locate(self.table, self.origin))
        parts = [self.columns.apply(table), *(ahead.apply(table, self.columns) for ahead in self.ahead)]
        frame, rejected = (pl.concat(part, how="diagonal") for part in zip(*parts, strict=True))
        if self.only:
            self._check_names(frame["series"].unique().to_list())
            frame, rejected = (rows.filter(pl.col("series").is_in(self.only)) for rows in (frame, rejected))
        return frame.sort("seen", "series", "time"), rejected

    def _check_names(self, known: list[str]) -> None:
        for name in self.only:
            if name not in known:
                raise UnknownNameError("series", name, known)

    @cached_property
    def _stamps(self) -> tuple[np.ndarray, np.ndarray]:
        """When each of those was seen, in microseconds; rejections without a time come first."""
        frame, rejected = (rows["seen"].cast(pl.Int64) for rows in self._mapped)
        return frame.to_numpy(), rejected.fill_null(np.iinfo(np.int64).min).to_numpy()


def _between(rows: pl.DataFrame, stamps: np.ndarray, after: int | None, until: int) -> pl.DataFrame:
    start = 0 if after is None else int(np.searchsorted(stamps, after, side="right"))
    return rows[start : max(start, int(np.searchsorted(stamps, until, side="right")))]


def locate(table: str | Path, origin: str = "") -> Path:
    """The file of a path, of "package:NAME/path/inside" or of "data:path/inside".

    Raises:
        MissingTableError: no such file or package; says where the file can be had, if `origin` tells.
    """
    path = Path(table)
    if str(table).startswith(SHARED):
        path = shared_folder() / str(table).removeprefix(SHARED)
        if not path.is_file():
            told = f" It comes from {origin}" if origin else ""
            raise MissingTableError(
                f"there is no file '{path}': set {VARIABLE} to the folder that holds "
                f"'{str(table).removeprefix(SHARED)}'.{told}"
            )
    if str(table).startswith(PACKAGE):
        package, _, inside = str(table).removeprefix(PACKAGE).partition("/")
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise MissingTableError(f"package '{package}' is not installed: pip install {package}, or give a path")
        path = Path(found.origin).parent / inside
    if not path.is_file():
        raise MissingTableError(f"there is no file '{path}' (from '{table}'): give a .parquet or .csv file")
    return path


def read_table(path: Path) -> pl.DataFrame:
    """The file as published; CSV cells stay text, so that a cell that is no number can be told.

    Raises:
        SchemaError: neither Parquet nor CSV, or unreadable.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise SchemaError(f"'{path}' ends in '{path.suffix}': give a .parquet or .csv file")
    try:
        return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise SchemaError(f"'{path}' cannot be read as {path.suffix[1:]}: {error}") from error
