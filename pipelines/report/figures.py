"""All figures of a report, by name."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from forecast.schema import Task
from pipelines.configurations import by_configuration, of_one_place, per_configuration
from pipelines.protocols import Store
from pipelines.report.costs import error_against_cost
from pipelines.report.decisions import decision_lines
from pipelines.report.fan import fans
from pipelines.report.intervals import intervals_by_lead
from pipelines.report.leads import error_by_lead
from pipelines.report.style import save, titled

__all__ = ["error_against_cost", "figures", "save"]


def figures(store: Store, table: pl.DataFrame, task: Task) -> dict[str, tuple[str, Figure]]:
    """Name -> (what it shows, figure). Of nowcasters for single series and targets, those of one configuration are one.

    Args:
        table: as from `summarise`.
    """
    units, decisions = {v.name: v.unit for v in task.targets}, store.records("decisions")
    settled, (decisions, place) = by_configuration(store.records("settled"), table), of_one_place(decisions, table)
    table = per_configuration(table)
    made = {"error_by_lead": ("Error by lead, with 90 % intervals", error_by_lead(settled, table, units))}
    if (intervals := intervals_by_lead(settled, table, units)) is not None:
        made["intervals_by_lead"] = ("Coverage and width of the intervals by lead", intervals)
    if any(c.startswith("skill/") for c in table.columns):
        made["error_against_cost"] = ("Error against cost", error_against_cost(table))
    made["decisions"] = (f"Decisions and the losses behind them{place and ', ' + place}", decision_lines(decisions))
    best, series = _best(table), str(settled["series"].min())
    made["forecasts"] = (f"Forecasts of {titled(best)} at {series}", fans(settled, best, series, units))
    return made


def _best(table: pl.DataFrame) -> str:
    skills = [c for c in table.columns if c.startswith("skill/")]
    ranked = (
        table.with_columns(pl.mean_horizontal(skills).alias("rank")) if skills else table.with_columns(rank=pl.lit(0))
    )
    return ranked.sort("rank", descending=True, nulls_last=True)["nowcaster"][0]
