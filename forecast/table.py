"""TableForecaster: any model of the zoo behind the table habits of the field.

pandas in, pandas out; polars in, polars out. `h`, `freq`, `level` or `quantiles`, `cross_validation` with
`cutoff`. Observing new rows (`update`), refitting (`fit`) and predicting are different words. Wrong input is an
error that names series, time and remedy; nothing is guessed, dropped or filled in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, Self

import polars as pl

from forecast.errors import NotFittedError, SchemaError, ShortHistoryError
from forecast.forecaster import Forecaster
from forecast.long import Look, Names, as_variables, band_columns, read_long, show, whole
from forecast.panel import Panel
from forecast.result import Forecast
from forecast.schema import Task, duration
from forecast.spec import parameters

PATIENCE = 2
LARGEST = 1e30  # models compute in 32 bits, which end at 3.4e38, and sum


class TableForecaster:
    """A model, the names of the columns and the question.

    Args:
        model: any `Forecaster`. alias: name of the result columns, default the model's class.
        h: steps ahead. freq: step, as pandas alias ("h", "15min"), polars duration ("1h") or timedelta. Steps are
            of fixed length: give daily and longer data in tz="UTC", where every day has 24 hours.
        level: central intervals in percent, 80 or [80] gives `Model-lo-80` and `Model-hi-80`. quantiles: or levels
            in (0, 1), [0.1] gives `Model-q-0.1`.
        id_col, time_col, target_col, past_cols: columns; targets and past inputs as names or `Variable`s with bounds.
            With several targets results are longer, with a column `variable`. `cutoff`, `lead` and `variable` are
            names of the results: no id, time, target or alias may have them.
        context: rows before the origin that the model sees.
        tz: zone of naive times; results carry it. Times with a zone keep theirs.
        gaps: "error" refuses missing rows and values; "null" takes them as missing: a series without fresh
            values is then forecast as null, `forecast_.status` says why.

    Rows may come in any order. `forecast_` is the last `Forecast`, `frame_` all rows seen.

    Raises (any method):
        SchemaError, ShortHistoryError, UnknownNameError, NotFittedError; the state before the call is kept.

    >>> from models.persistence import Persistence
    >>> from datetime import datetime
    >>> hours = pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 1, 3), "1h", time_zone="UTC", eager=True)
    >>> table = pl.DataFrame({"unique_id": "A", "ds": hours, "y": [float(i) for i in range(49)]})
    >>> TableForecaster(Persistence(), h=2, context=3).fit(table).predict()["Persistence"].to_list()
    [48.0, 48.0]
    """

    def __init__(
        self,
        model: Forecaster,
        h: int = 6,
        freq: str | timedelta = "1h",
        level: float | Sequence[float] | None = None,
        quantiles: float | Sequence[float] | None = None,
        *,
        id_col: str = "unique_id",
        time_col: str = "ds",
        target_col: Names = "y",
        past_cols: Names = (),
        context: int = 24,
        alias: str | None = None,
        tz: str | None = None,
        gaps: str = "error",
    ) -> None:
        self.model, self.h, self.freq, self.level, self.quantiles = model, h, freq, level, quantiles
        self.id_col, self.time_col, self.target_col, self.past_cols = id_col, time_col, target_col, past_cols
        self.context, self.alias, self.tz, self.gaps = context, alias, tz, gaps
        self.frame_: pl.DataFrame | None = None
        self.forecast_: Forecast | None = None
        self.look_: Look

    @property
    def task(self) -> Task:
        """The question as a `Task`."""
        levels = sorted({0.5, *(q for q, _ in band_columns(self.level, self.quantiles))})
        targets, past = as_variables(self.target_col), as_variables(self.past_cols)
        h, context = whole("h", self.h), whole("context", self.context)
        return Task(targets, duration(self.freq), h, context, past, levels=levels, patience=PATIENCE)

    def fit(self, df: Any) -> Self:
        """Learn from `df` (pandas or polars), which replaces all rows seen before."""
        frame, look = self._read(df)
        check_series(frame, self.task, self.context + 1, self.gaps)
        self.model.fit(self._panel(frame), self.task)
        self.frame_, self.look_, self.forecast_ = frame, look, None
        return self

    def update(self, df: Any) -> Self:
        """Observe new rows without refitting; a row of a known series and time replaces the earlier one."""
        new, _ = self._read(df)
        rows = pl.concat([self._seen(), new]).unique(["series", "time"], keep="last").sort("series", "time")
        check_series(rows, self.task, 1, self.gaps)
        self.frame_ = rows
        return self

    def predict(self, h: int | None = None) -> Any:
        """Forecast every series from the newest time, `h` steps (default and most: those fitted).

        Returns:
            `id, time, Model, ...`, sorted by id and time, one row per series and lead.
        """
        frame, steps = self._seen(), whole("h", self.h if h is None else h)
        if steps > self.h:
            raise SchemaError(f"h is {steps}, the model was fitted for 1 to {self.h} steps: fit again with h={steps}")
        start: datetime = frame["time"].max() - (self.context - 1) * self.task.step  # type: ignore[assignment, operator]
        self.forecast_ = self.model.predict(self._panel(frame, start))
        table = self._table(self.forecast_).filter(pl.col("lead") <= steps)
        return self.look_.dress(table.drop("cutoff", "lead"), self.id_col, [self.time_col])

    def cross_validation(
        self, df: Any, h: int | None = None, n_windows: int = 1, step_size: int | None = None, refit: bool = False
    ) -> Any:
        """Forecasts from `n_windows` past cutoffs beside what came; this object's own fit is left alone.

        Args:
            h: steps ahead, default the constructor's. step_size: steps between cutoffs, default `h`.
            refit: fit anew at each cutoff; else once, on the rows up to the first.

        Returns:
            `id, time, cutoff, y, Model, ...` sorted by id, cutoff, time; with several targets `variable`
            and `actual`.
        """
        ahead, windows = whole("h", self.h if h is None else h), whole("n_windows", n_windows)
        stride = ahead if step_size is None else whole("step_size", step_size)
        frame, look = self._read(df)
        task = replace(self.task, horizon=ahead)
        check_series(frame, task, self.context + 1, self.gaps)
        panel = self._panel(frame)
        cutoffs = [panel.end - task.step * (ahead + stride * i) for i in reversed(range(windows))]
        groups = [[c] for c in cutoffs] if refit else [cutoffs]
        forecasts = [
            f for group in groups for f in self._fresh().fit(panel.until(group[0]), task).predict_at(panel, group)
        ]
        return look.dress(self._beside(forecasts, frame, task), self.id_col, ["cutoff", self.time_col])

    def plot(self, history: int = 72, series: Sequence[str] | None = None, columns: int = 2) -> Any:
        """Newest rows, median and widest band, one panel per series: a matplotlib `Figure`."""
        from forecast.plots import plot_forecast

        frame = self._seen()
        if self.forecast_ is None:
            self.predict()
        assert self.forecast_ is not None
        rows, columns = whole("history", history), whole("columns", columns)
        return plot_forecast(self.forecast_, frame, self.task.targets, rows, series, columns)

    @property
    def _name(self) -> str:
        return type(self.model).__name__ if self.alias is None else self.alias

    def _read(self, df: Any) -> tuple[pl.DataFrame, Look]:
        if self.gaps not in ("error", "null"):
            raise SchemaError(f"gaps is '{self.gaps}': say 'error' or 'null'")
        task = self.task
        self._check_names(task)
        return read_long(df, task.targets, task.past, self.id_col, self.time_col, self.tz)

    def _check_names(self, task: Task) -> None:
        """No column is read for two purposes, and none would be twice in the results."""
        for argument, given in (("id_col", self.id_col), ("time_col", self.time_col), ("alias", self._name)):
            if not isinstance(given, str) or not given:
                raise SchemaError(f"{argument} is {given!r}: it must be a column's name, as text")
        keys, actual = [self.id_col, self.time_col], "actual" if len(task.targets) > 1 else task.names[0]
        shown = [self._name, *(self._name + suffix for _, suffix in band_columns(self.level, self.quantiles))]
        results = [*keys, "variable", "cutoff", "lead", actual, *shown]
        for use, names in (("table's columns", [*keys, *task.names]), ("results' columns", results)):
            twice = [n for n in names if names.count(n) > 1]
            if twice:
                raise SchemaError(
                    f"'{twice[0]}' would be two of the {use} {', '.join(names)}, which must differ: "
                    "rename it, or choose another id_col, time_col, target_col, past_cols or alias"
                )

    def _panel(self, frame: pl.DataFrame, start: datetime | None = None) -> Panel:
        """All series of `frame` from `start` on, whether or not a row is there."""
        labels = frame["series"].unique().to_list()
        return Panel.from_frame(frame, duration(self.freq), self.task.names, start=start, series=labels)

    def _seen(self) -> pl.DataFrame:
        if self.frame_ is None:
            raise NotFittedError("the table forecaster is not fitted: call fit(df) first")
        return self.frame_

    def _fresh(self) -> Forecaster:
        kind = type(self.model)
        return kind(**{name: getattr(self.model, name) for name in parameters(kind)})

    def _table(self, forecast: Forecast) -> pl.DataFrame:
        """`id, time, [variable,] cutoff, Model, ..., lead`, ids as text and times in UTC."""
        shown = [pl.col("point").alias(self._name)]
        bands = band_columns(self.level, self.quantiles)
        shown += [pl.col(f"q{q:g}").alias(self._name + suffix) for q, suffix in bands]
        several = ["variable"] if len(forecast.variables) > 1 else []
        keys = [pl.col("series").alias(self.id_col), pl.col("time").alias(self.time_col)]
        return forecast.frame().select(*keys, *several, pl.col("origin").alias("cutoff"), *shown, "lead")

    def _beside(self, forecasts: list[Forecast], frame: pl.DataFrame, task: Task) -> pl.DataFrame:
        """The table of `forecasts` with the truth of `frame` after the keys."""
        several = len(task.targets) > 1
        names = list(task.target_names)
        actual = "actual" if several else names[0]
        truth = frame.unpivot(names, index=["series", "time"], variable_name="variable", value_name="point")
        truth = truth.rename({"series": self.id_col, "time": self.time_col, "point": actual})
        on = [self.id_col, self.time_col, *(["variable"] if several else [])]
        table = pl.concat([self._table(f) for f in forecasts]).drop("lead")
        joined = table.join(truth.select(*on, actual), on=on, how="left", maintain_order="left")
        rest: list[str] = [c for c in table.columns if c not in (*on, "cutoff")]
        return joined.select([*on, "cutoff", actual, *rest])


def check_series(frame: pl.DataFrame, task: Task, rows: int, gaps: str) -> None:
    """Every series lies on the grid, is long enough and has values; without gaps, unless `gaps` is "null"."""
    _check_grid(frame, task)
    _check_alive(frame, task)
    _check_size(frame, task)
    if gaps == "error":
        _check_whole(frame, task)
    short = frame.group_by("series", maintain_order=True).len().filter(pl.col("len") < rows)
    if short.height:
        name, found = short.row(0)
        raise ShortHistoryError(
            f"{short.height} series are shorter than context {task.context} + 1, first '{name}' with {found} rows: "
            f"at least {rows} are needed; drop it, or give a longer history or a shorter context"
        )


def _check_grid(frame: pl.DataFrame, task: Task) -> None:
    past_first = (pl.col("time") - pl.col("time").min()).dt.total_microseconds()
    off = frame.filter(past_first % (task.step // timedelta(microseconds=1)) != 0)
    if off.height:
        raise SchemaError(
            f"freq is {task.step}, but {off.height} rows lie between its steps, first at series '{off['series'][0]}' "
            f"{show(off['time'][0])}{_usual_step(frame)}: correct freq, or resample the data"
        )


def _check_alive(frame: pl.DataFrame, task: Task) -> None:
    for name in task.target_names:
        dead = frame.group_by("series", maintain_order=True).agg(pl.col(name).count(), pl.col("time").min())
        dead = dead.filter(pl.col(name) == 0)
        if dead.height:
            raise SchemaError(
                f"series '{dead['series'][0]}' has no value of '{name}' from {show(dead['time'][0])} on "
                f"({dead.height} such series): drop it, or find out what its source lost"
            )


def _check_size(frame: pl.DataFrame, task: Task) -> None:
    for name in task.names:
        huge = frame.filter(pl.col(name).abs() > LARGEST)
        if huge.height:
            raise SchemaError(
                f"column '{name}' has {huge.height} values beyond {LARGEST:g} in size, first at series "
                f"'{huge['series'][0]}' {show(huge['time'][0])}: {huge[name][0]:g}. Models compute in 32 bits: give it "
                "in a larger unit, or make wrong readings null and say gaps='null'"
            )


def _check_whole(frame: pl.DataFrame, task: Task) -> None:
    """No missing value, no missing row, no series that ends before the others."""
    remedy = "fill them, or say gaps='null' to take them as missing"
    null = frame.filter(reduce(lambda a, b: a | b, [pl.col(n).is_null() for n in task.names]))
    if null.height:
        name = next(n for n in task.names if null[n][0] is None)
        raise SchemaError(
            f"column '{name}' has {frame[name].null_count()} missing values (NaN or null), first at series "
            f"'{null['series'][0]}' {show(null['time'][0])}: {remedy}"
        )
    after = frame.with_columns(before=pl.col("time").shift(1).over("series"))
    gap = after.filter(pl.col("time") - pl.col("before") > task.step)
    if gap.height:
        raise SchemaError(
            f"rows are missing at {gap.height} places, first at series '{gap['series'][0]}' "
            f"{show(gap['before'][0] + task.step)}{_usual_step(frame)}: {remedy}"
        )
    ends = frame.group_by("series", maintain_order=True).agg(pl.col("time").max())
    early = ends.filter(pl.col("time") < pl.col("time").max())
    if early.height:
        raise SchemaError(
            f"{early.height} series end before the newest time {show(ends.sort('time')['time'][-1])}, first "
            f"'{early['series'][0]}' at {show(early['time'][0])}: drop it, or say gaps='null' to forecast it as stale"
        )


def _usual_step(frame: pl.DataFrame) -> str:
    steps = frame.select(pl.col("time").diff().over("series").drop_nulls().mode().min()).to_series()
    return f" (the usual step of the data is {steps[0]})" if steps[0] is not None else ""
