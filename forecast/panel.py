"""Panel: series on one regular grid, the only thing a model sees. Gaps are NaN, never filled here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from forecast.errors import SchemaError, UnknownNameError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Panel:
    """Values of N series at T times for C variables.

    Args:
        values: (N, T, C) float64; NaN is a gap. Made read-only.
        times: (T,) datetime64[us] in UTC, evenly spaced by `step`, oldest first.
        series: N names, sorted and unique, so that the order of the input can never matter.
        variables: C names.
        step: grid step.
        outlook: (N, T, K, F) what was known at each time about the next K steps, or None.
        outlook_variables: F names.
        keep: (T,) which times may serve as training origins (a reducer's choice); all by default.

    Raises:
        SchemaError: shapes, order or spacing do not fit; infinite values.
    """

    values: np.ndarray
    times: np.ndarray
    series: tuple[str, ...]
    variables: tuple[str, ...]
    step: timedelta
    outlook: np.ndarray | None = None
    outlook_variables: tuple[str, ...] = ()
    keep: np.ndarray = None  # type: ignore[assignment]  # filled in below

    def __post_init__(self) -> None:
        object.__setattr__(self, "series", tuple(self.series))
        object.__setattr__(self, "variables", tuple(self.variables))
        object.__setattr__(self, "outlook_variables", tuple(self.outlook_variables))
        object.__setattr__(self, "values", np.asarray(self.values, float))
        object.__setattr__(self, "times", np.asarray(self.times, "datetime64[us]"))
        if self.keep is None:
            object.__setattr__(self, "keep", np.ones(len(self.times), bool))
        self._check()
        for name in ("values", "times", "outlook", "keep"):
            array = getattr(self, name)
            if array is not None:
                view = array.view()
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    def _check(self) -> None:
        shape = (len(self.series), len(self.times), len(self.variables))
        if self.values.shape != shape:
            raise SchemaError(f"panel values have shape {self.values.shape}, but series, times, variables say {shape}")
        if list(self.series) != sorted(set(self.series)):
            raise SchemaError("panel series must be sorted and unique: build it with Panel.from_frame, which sorts")
        if len(self.times) > 1 and np.unique(np.diff(self.times)).tolist() != [self.step]:
            raise SchemaError(f"panel times are not evenly spaced by {self.step}: build it with Panel.from_frame")
        if np.isinf(self.values).any():
            raise SchemaError("panel holds infinite values: make them null in the frame (null means missing)")
        if np.shape(self.keep) != shape[1:2]:
            raise SchemaError(f"keep has shape {np.shape(self.keep)}, expected one bool per time: {shape[1:2]}")
        self._check_outlook(shape)

    def _check_outlook(self, shape: tuple[int, int, int]) -> None:
        if self.outlook is None:
            return
        if self.outlook.ndim != 4 or self.outlook.shape[:2] != shape[:2]:
            raise SchemaError(f"outlook has shape {self.outlook.shape}, its first axes must be {shape[:2]} of four")
        if self.outlook.shape[3] != len(self.outlook_variables):
            raise SchemaError(f"outlook has {self.outlook.shape[3]} variables, but names {self.outlook_variables}")
        if np.isinf(self.outlook).any():
            raise SchemaError("outlook holds infinite values: make them NaN (NaN means missing)")

    @classmethod
    def from_frame(
        cls,
        frame: pl.DataFrame,
        step: timedelta,
        variables: Sequence[str] | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        series: Sequence[str] | None = None,
    ) -> Panel:
        """Place a canonical frame on the grid; later vintages of the same (series, time) win.

        Args:
            frame: `series, time, seen` and Float64 columns. Only rows with start <= time <= end are placed.
            step: grid step; every `time` must be a whole number of steps after the first.
            variables: columns to take, default all. series: names to have, default those found.

        Raises:
            SchemaError: no rows, or times off the grid (the message names the first).
            UnknownNameError: a variable the frame does not have.
        """
        from forecast.frame import KEYS, latest

        names = list(variables) if variables is not None else [c for c in frame.columns if c not in KEYS]
        for name in names:
            if name not in frame.columns:
                raise UnknownNameError("variable", name, [c for c in frame.columns if c not in KEYS])
        inside = pl.lit(value=True)
        if start is not None:
            inside &= pl.col("time") >= start
        if end is not None:
            inside &= pl.col("time") <= end
        if series is not None:
            inside &= pl.col("series").is_in(list(series))
        rows = latest(frame.filter(inside).select(*KEYS, *names))
        if rows.is_empty():
            raise SchemaError("no rows to place on the grid: check the series names and the time range")
        return cls._place(rows, step, names, start, end, series)

    @classmethod
    def _place(
        cls,
        rows: pl.DataFrame,
        step: timedelta,
        names: list[str],
        start: datetime | None,
        end: datetime | None,
        series: Sequence[str] | None,
    ) -> Panel:
        stamps = rows["time"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")  # (R,)
        first = stamp(start) if start is not None else stamps.min()
        last = stamp(end) if end is not None else stamps.max()
        width = np.timedelta64(step)
        slots, rest = np.divmod(stamps - first, width)  # (R,), (R,)
        if (rest != np.timedelta64(0)).any():
            row = rows.row(int(np.flatnonzero(rest != np.timedelta64(0))[0]), named=True)
            raise SchemaError(
                f"{int((rest != np.timedelta64(0)).sum())} rows lie off the {step} grid, first at series "
                f"'{row['series']}' {row['time']:%Y-%m-%d %H:%M:%S}: set the task's step, or round the times first"
            )
        times = first + width * np.arange((last - first) // width + 1)  # (T,)
        labels = tuple(sorted(set(series))) if series is not None else tuple(sorted(set(rows["series"])))
        index = rows["series"].replace_strict(list(labels), list(range(len(labels))), return_dtype=pl.Int64).to_numpy()
        values = np.full((len(labels), len(times), len(names)), np.nan)  # (N, T, C)
        values[index, slots] = rows.select(names).fill_null(float("nan")).to_numpy()
        return cls(values, times, labels, tuple(names), step)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, T, C)."""
        return self.values.shape

    @property
    def end(self) -> datetime:
        """Time of the newest row, in UTC."""
        if not len(self.times):
            raise SchemaError("the panel has no rows: check the time range that made it")
        return moment(self.times[-1])

    def tail(self, rows: int) -> Panel:
        """The newest `rows` rows."""
        return self.rows(slice(max(0, len(self.times) - rows), None))

    def until(self, end: datetime) -> Panel:
        """Rows up to and including `end`."""
        return self.rows(slice(0, int(np.searchsorted(self.times, stamp(end), side="right"))))

    def rows(self, where: slice) -> Panel:
        outlook = None if self.outlook is None else self.outlook[:, where]
        return replace(
            self, values=self.values[:, where], times=self.times[where], outlook=outlook, keep=self.keep[where]
        )

    def with_keep(self, keep: np.ndarray) -> Panel:
        """The same panel with other training origins; `keep` is (T,) bool."""
        return replace(self, keep=np.asarray(keep, bool))

    def select(self, variables: Sequence[str]) -> Panel:
        """The same panel with the named variables, in that order."""
        for name in variables:
            if name not in self.variables:
                raise UnknownNameError("variable", name, self.variables)
        columns = [self.variables.index(v) for v in variables]
        if tuple(variables) == self.variables:
            return self
        return replace(self, values=self.values[:, :, columns], variables=tuple(variables))

    def with_outlook(self, variables: Sequence[str]) -> Panel:
        """The same panel with the named outlook variables, in that order; none named, no outlook."""
        if tuple(variables) == self.outlook_variables:
            return self
        for name in variables:
            if name not in self.outlook_variables:
                raise UnknownNameError("outlook variable", name, self.outlook_variables)
        columns = [self.outlook_variables.index(v) for v in variables]
        outlook = self.outlook[..., columns] if self.outlook is not None and columns else None
        return replace(self, outlook=outlook, outlook_variables=tuple(variables) if columns else ())

    def align(self, series: Sequence[str]) -> Panel:
        """The same panel with exactly `series`; absent ones are all NaN."""
        labels = tuple(sorted(series))
        if labels == self.series:
            return self
        here = {name: i for i, name in enumerate(self.series)}
        values = np.full((len(labels), *self.values.shape[1:]), np.nan)  # (N, T, C)
        outlook = None if self.outlook is None else np.full((len(labels), *self.outlook.shape[1:]), np.nan)
        for i, name in enumerate(labels):
            if name in here:
                values[i] = self.values[here[name]]
                if outlook is not None and self.outlook is not None:
                    outlook[i] = self.outlook[here[name]]
        return replace(self, values=values, outlook=outlook, series=labels)


def moment(time: np.datetime64) -> datetime:
    """A datetime64 as an aware datetime in UTC."""
    return EPOCH + timedelta(microseconds=int(time.astype("datetime64[us]").astype(np.int64)))


def stamp(time: datetime) -> np.datetime64:
    """An aware datetime as a datetime64[us] in UTC."""
    if time.tzinfo is None:
        raise SchemaError(f"{time} is a naive datetime: say the zone, e.g. .replace(tzinfo=UTC); it is never guessed")
    return np.datetime64((time - EPOCH) // timedelta(microseconds=1), "us")
