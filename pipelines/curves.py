"""Curves by lead for the tracker: their step is the lead, so that MLflow draws error against how far ahead."""

from __future__ import annotations

import polars as pl

from forecast.metrics import scores
from pipelines.fleet import Fleet
from pipelines.summary import percent

CURVES = {"mae": "mae", "crps": "crps", "coverage": "coverage{}", "width": "width{}"}  # {}: nominal, in per cent


def log_curves(fleet: Fleet) -> None:
    """Log `lead/<score>/<target>` of everything settled so far, one value per lead."""
    settled = fleet.edges.store.records("settled")
    if settled.is_empty():
        return
    table = scores(settled, by=["nowcaster", "lead", "variable"])
    nominal = percent(table)
    for (name, lead), rows in table.group_by("nowcaster", "lead", maintain_order=True):
        metrics = {
            f"lead/{label.format(nominal)}/{row['variable']}": row[score]
            for row in rows.filter(pl.col("mae").is_not_null()).iter_rows(named=True)
            for score, label in CURVES.items()
            if row.get(score) is not None
        }
        fleet.edges.tracker.log(str(name), metrics, int(lead))
