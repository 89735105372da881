"""Rows of the record tables: forecasts, decisions, costs. One place that says which columns they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from forecast.frame import STAMP
from forecast.panel import stamp
from forecast.result import Forecast
from pipelines.slot import Slot
from pipelines.state import FleetState

WORDS = ("nowcaster", "version", "series", "variable", "status")
DECISIONS: dict[str, Any] = {
    "slot": STAMP,
    "nowcaster": pl.String,
    "action": pl.String,
    "why": pl.String,
    "loss": pl.Float64,  # L_now, scaled
    "reference": pl.Float64,  # L_ref, scaled
    "promoted": pl.Boolean,  # null where nothing was trained
    "outcome": pl.String,
    "challenger_loss": pl.Float64,
    "champion_loss": pl.Float64,
    "version": pl.String,
    "trained_at": STAMP,
    "data_end": STAMP,
    "rows": pl.Int64,
    "of": pl.Int64,
}


@dataclass(frozen=True)
class Issued:
    """A forecast, who made it and with which model."""

    nowcaster: str
    version: str
    forecast: Forecast


def forecast_rows(issued: Sequence[Issued], slot: datetime) -> pl.DataFrame:
    """The long frames of all forecasts of a slot, with who made each, with which model; made in one go.

    One frame per nowcaster would cost a millisecond each, which is most of a slot where there are hundreds.
    """
    if not issued:
        return pl.DataFrame()
    frames = [(one, *_parts(one.forecast)) for one in issued]
    sizes = [len(quantiles) for _, _, quantiles in frames]  # rows of each
    levels = issued[0].forecast.levels
    quantiles = np.concatenate([q for _, _, q in frames])  # (R, Q)
    columns: dict[str, Any] = {
        "nowcaster": _spread([one.nowcaster for one in issued], sizes),
        "version": _spread([one.version for one in issued], sizes),
        **{name: np.concatenate([part[name] for _, part, _ in frames]) for name in frames[0][1]},
        "point": quantiles[:, levels.index(0.5)],
        **{f"q{level:g}": quantiles[:, k] for k, level in enumerate(levels)},
    }
    numbers = [name for name in columns if name == "point" or name.startswith("q")]
    frame = pl.DataFrame(columns, schema_overrides=dict.fromkeys(WORDS, pl.String))
    return frame.select(
        pl.lit(slot).cast(STAMP).alias("slot"),
        "nowcaster",
        "version",
        "series",
        pl.col("origin", "time").dt.replace_time_zone("UTC").cast(STAMP),
        "lead",
        "variable",
        "status",
        pl.col(numbers).fill_nan(None),
    )


def _parts(forecast: Forecast) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns (R,) and quantiles (R, Q) of one forecast, R = N * H * C, in the order of `Forecast.frame`."""
    n, h, c, q = forecast.quantiles.shape
    leads, origin = np.arange(1, h + 1), stamp(forecast.origin)
    times = origin + leads * np.timedelta64(forecast.step)  # (H,)
    return {
        "series": np.repeat(np.array(forecast.series, object), h * c),
        "origin": np.full(n * h * c, origin),
        "time": np.tile(np.repeat(times, c), n),
        "lead": np.tile(np.repeat(leads, c), n),
        "variable": np.tile(np.array(forecast.variables, object), n * h),
        "status": np.repeat(np.array([str(s) for s in forecast.status], object), h * c),
    }, forecast.quantiles.reshape(-1, q)


def _spread(words: Sequence[str], sizes: Sequence[int]) -> np.ndarray:
    return np.repeat(np.array(words, object), sizes)


def decision_rows(this: Slot, state: FleetState) -> pl.DataFrame:
    """One row per nowcaster: what was decided, why, how the training ended if there was one, and what went wrong."""
    rows = []
    for name, decision in this.decisions.items():
        outcome, memory = this.outcomes.get(name), state.of(name)
        rows.append(
            {
                "slot": this.slot,
                "nowcaster": name,
                "action": str(decision.action),
                "why": decision.why,
                "loss": decision.loss,
                "reference": decision.reference,
                "promoted": outcome.promoted if outcome else None,
                "outcome": this.outcome(name),
                "challenger_loss": outcome.challenger_loss if outcome else None,
                "champion_loss": outcome.champion_loss if outcome else None,
                "version": memory.version,
                "trained_at": memory.trained_at,
                "data_end": memory.data_end,
                "rows": memory.rows,
                "of": memory.of,
            }
        )
    return pl.DataFrame(rows, schema=DECISIONS).with_columns(pl.col(pl.Float64).fill_nan(None))


def cost_rows(table: pl.DataFrame, before: pl.DataFrame, slot: datetime) -> pl.DataFrame:
    """What the meter's `table` has beyond the table `before`: `slot, nowcaster, phase, cpu_s, wall_s, calls`."""
    keys = ["owner", "phase"]
    old = before.select(*keys, cpu_0="cpu_s", wall_0="wall_s", calls_0="calls")
    both = table.join(old, on=keys, how="left", maintain_order="left").fill_null(0)
    return both.select(
        pl.lit(slot).cast(STAMP).alias("slot"),
        pl.col("owner").alias("nowcaster"),
        "phase",
        cpu_s=pl.col("cpu_s") - pl.col("cpu_0"),
        wall_s=pl.col("wall_s") - pl.col("wall_0"),
        calls=pl.col("calls") - pl.col("calls_0"),
    ).filter(pl.col("calls") > 0)
