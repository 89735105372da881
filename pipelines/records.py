"""Rows of the record tables: forecasts, decisions, costs. One place that says which columns they have."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from forecast.frame import STAMP
from forecast.result import Forecast
from pipelines.slot import Slot
from pipelines.state import FleetState

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


def forecast_rows(forecast: Forecast, nowcaster: str, version: str, slot: datetime) -> pl.DataFrame:
    """The forecast's long frame, with who made it, with which model, in which slot."""
    return forecast.frame().select(
        pl.lit(slot).cast(STAMP).alias("slot"),
        pl.lit(nowcaster).alias("nowcaster"),
        pl.lit(version).alias("version"),
        pl.all(),
    )


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
