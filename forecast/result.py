"""Forecast: what a model says at one origin. A bad one cannot be built."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
import polars as pl

from forecast.errors import SchemaError
from forecast.frame import STAMP


class Status(StrEnum):
    """Whether a series could be forecast."""

    OK = "ok"
    STALE = "stale"  # the newest target value is older than the task's patience
    MISSING = "missing"  # too few target values in the context, or a series the model does not know


@dataclass(frozen=True, eq=False)
class Forecast:
    """Quantiles of N series at one origin, H steps ahead.

    Args:
        origin: time of the newest row the model could see, UTC.
        step: lead k holds at origin + k * step.
        series: N names. variables: C names. levels: Q increasing quantile levels with 0.5 among them.
        status: N statuses.
        quantiles: (N, H, C, Q); NaN exactly where the status is not ok.

    Raises:
        SchemaError: wrong shape, NaN or infinite in an ok series, a number in another, crossing quantiles.
    """

    origin: datetime
    step: timedelta
    series: tuple[str, ...]
    variables: tuple[str, ...]
    levels: tuple[float, ...]
    status: tuple[Status, ...]
    quantiles: np.ndarray

    def __post_init__(self) -> None:
        n, c, q = len(self.series), len(self.variables), len(self.levels)
        if self.origin.tzinfo is None:
            raise SchemaError(f"origin {self.origin} is a naive datetime: say the zone, e.g. .replace(tzinfo=UTC)")
        if 0.5 not in self.levels or list(self.levels) != sorted(set(self.levels)):
            raise SchemaError(f"levels {list(self.levels)} must increase and contain 0.5 (the point is the median)")
        shape = self.quantiles.shape
        if len(shape) != 4 or (shape[0], shape[2], shape[3]) != (n, c, q) or len(self.status) != n:
            raise SchemaError(f"quantiles have shape {shape}, expected ({n}, H, {c}, {q}); {len(self.status)} statuses")
        ok = self.ok  # (N,)
        good = self.quantiles if ok.all() else self.quantiles[ok]  # (N', H, C, Q)
        if not np.isfinite(good).all():
            where = self._where(~np.isfinite(self.quantiles) & ok[:, None, None, None])
            raise SchemaError(f"{where} is NaN or infinite in an ok series")
        if not np.isnan(self.quantiles[~ok]).all():
            raise SchemaError("a series that is stale or missing has numbers: it must hold NaN only")
        if (good[..., 1:] < good[..., :-1]).any():
            raise SchemaError("quantiles cross: sort them along the last axis")

    def _where(self, bad: np.ndarray) -> str:
        n, h, c, _ = (int(i[0]) for i in np.nonzero(bad))
        return f"forecast of '{self.variables[c]}' for series '{self.series[n]}' at lead {h + 1}"

    @property
    def ok(self) -> np.ndarray:
        """(N,) bool: the series that have a forecast."""
        return np.fromiter((s is Status.OK for s in self.status), bool, len(self.status))

    @property
    def horizon(self) -> int:
        return self.quantiles.shape[1]

    @property
    def point(self) -> np.ndarray:
        """(N, H, C): the median."""
        return self.quantiles[..., self.levels.index(0.5)]

    def frame(self) -> pl.DataFrame:
        """Long frame `series, origin, time, lead, variable, status, point, q0.1, ...`; null without a forecast."""
        n, h, c, q = self.quantiles.shape
        lead = np.tile(np.repeat(np.arange(1, h + 1), c), n)  # (N*H*C,)
        flat = self.quantiles.reshape(-1, q)  # (N*H*C, Q)
        columns = {f"q{level:g}": flat[:, i] for i, level in enumerate(self.levels)}
        frame = pl.DataFrame(
            {
                "series": np.repeat(np.array(self.series, object), h * c),
                "lead": lead.astype(np.int64),
                "variable": np.tile(np.array(self.variables, object), n * h),
                "status": np.repeat(np.array([str(s) for s in self.status], object), h * c),
                "point": self.point.reshape(-1),
                **columns,
            },
            schema_overrides={"series": pl.String, "variable": pl.String, "status": pl.String},
        ).with_columns(pl.lit(self.origin).cast(STAMP).alias("origin"), pl.col("point", *columns).fill_nan(None))
        time = pl.col("origin") + pl.col("lead").cast(pl.Int64) * pl.lit(self.step)
        return frame.with_columns(time=time.cast(STAMP)).select(
            "series", "origin", "time", "lead", "variable", "status", "point", *columns
        )
