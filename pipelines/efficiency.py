"""dC, dE and ENC of runs that were made apart, one combination each: every one beside its reference.

Within one fleet `summary` knows better, on identical pairs; what a run carries already is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from forecast.metrics import Efficiency

REFERENCE = {"params.reducer": "full", "params.policy": "always"}
PERIOD = ("metrics.first_slot", "metrics.slots")
FIGURES = ("dC", "dE", "ENC")


def with_efficiency(runs: pl.DataFrame) -> pl.DataFrame:
    """`runs` with `metrics.dC, metrics.dE, metrics.ENC` filled in where they can be.

    The reference of a run is the newest one of the same experiment, over the same slots, with the same parameters
    but the full history, retrained in every slot. E is the mean over targets of MAE against that reference.

    Args:
        runs: as from `MlflowTracker.runs`.
    """
    if not {*REFERENCE, *PERIOD, "metrics.cpu_s"} <= set(runs.columns):
        return runs
    same = ["experiment", *PERIOD, *(c for c in runs.columns if c.startswith("params.") and c not in REFERENCE)]
    references = runs.filter(*(pl.col(k) == v for k, v in REFERENCE.items()), pl.col("metrics.cpu_s").is_not_null())
    newest: dict[tuple, dict[str, Any]] = {}
    for row in references.sort("started").iter_rows(named=True):
        newest[tuple(row[c] for c in same)] = row
    rows = runs.iter_rows(named=True)
    found = [_filled(row, newest.get(tuple(row[c] for c in same))) for row in rows]
    return runs.with_columns(pl.Series(f"metrics.{name}", [row[name] for row in found], pl.Float64) for name in FIGURES)


def _filled(row: Mapping[str, Any], reference: Mapping[str, Any] | None) -> dict[str, float | None]:
    known = {name: row.get(f"metrics.{name}") for name in FIGURES}
    if reference is None or row["metrics.cpu_s"] is None or None not in known.values():
        return known
    errors = [c for c in row if c.startswith("metrics.mae/") and row[c] is not None and reference[c]]
    if not errors:
        return known
    error = sum(row[c] / reference[c] for c in errors) / len(errors)
    e = Efficiency(error, 1.0, row["metrics.cpu_s"], reference["metrics.cpu_s"])
    return {"dC": e.d_cost, "dE": e.d_error, "ENC": e.enc}
