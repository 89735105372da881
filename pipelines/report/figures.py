"""All figures of a report, by name."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from forecast.schema import Task
from pipelines.protocols import Store
from pipelines.report.costs import error_against_cost
from pipelines.report.decisions import decision_lines
from pipelines.report.fan import fans
from pipelines.report.leads import error_by_lead
from pipelines.report.style import save, titled

__all__ = ["error_against_cost", "figures", "save"]


def figures(store: Store, table: pl.DataFrame, task: Task) -> dict[str, tuple[str, Figure]]:
    """Name -> (what it shows, figure)."""
    settled, units = store.records("settled"), {v.name: v.unit for v in task.targets}
    made = {"error_by_lead": ("Error by lead, with 90 % intervals", error_by_lead(settled, table, units))}
    if any(c.startswith("skill/") for c in table.columns):
        made["error_against_cost"] = ("Error against cost", error_against_cost(table))
    made["decisions"] = ("Decisions and the losses behind them", decision_lines(store.records("decisions")))
    best, series = _best(table), str(settled["series"].min())
    made["forecasts"] = (f"Forecasts of {titled(best)} at {series}", fans(settled, best, series, units))
    return made


def _best(table: pl.DataFrame) -> str:
    skills = [c for c in table.columns if c.startswith("skill/")]
    ranked = (
        table.with_columns(pl.mean_horizontal(skills).alias("rank")) if skills else table.with_columns(rank=pl.lit(0))
    )
    return ranked.sort("rank", descending=True, nulls_last=True)["nowcaster"][0]
