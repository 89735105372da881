"""What reducers cost and save: each model on fewer rows, beside the same model on all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from forecast.evaluation.sheet import Sheet
from pipelines.backtest.scores import MEAN

FULL = "full"


def reducing(
    table: pl.DataFrame, costs: pl.DataFrame, labels: Mapping[str, Mapping[str, str]], leads: Sequence[int]
) -> list[Sheet]:
    """One sheet for each horizon: error and cost in per cent above the same model on all rows; none without such pairs.

    Errors are the geometric mean over the variables of the ratio of MAE. Costs are CPU seconds of reducing and
    fitting.

    Args:
        table: from `scores`. costs: horizon, label, reduce_cpu_s, fit_cpu_s, rows.
        labels: label -> its `model` and `reducer`. leads: to show; none: the mean over all leads.
    """
    whole = {of["model"]: label for label, of in labels.items() if of["reducer"] == FULL}
    reduced = [label for label, of in labels.items() if of["reducer"] != FULL and of["model"] in whole]
    found = set(table["label"])
    reduced = [label for label in reduced if {label, whole[labels[label]["model"]]} <= found]
    if not reduced:
        return []
    shown = [*leads] or [MEAN]
    sheets = []
    for horizon in table["horizon"].unique().sort().to_list():
        here, spent = table.filter(pl.col("horizon") == horizon), costs.filter(pl.col("horizon") == horizon)
        rows = [_row(here, spent, label, whole[labels[label]["model"]], shown) for label in reduced]
        head = ("model", "rows", *(f"dE % {lead or 'mean'}" for lead in shown), "CPU-s", "dC %")
        sheets.append(Sheet(f"above the same model on all rows, horizon {horizon}", head, tuple(rows)))
    return sheets


def _row(table: pl.DataFrame, costs: pl.DataFrame, label: str, whole: str, leads: Sequence[int]) -> tuple[str, ...]:
    mine, theirs = (table.filter(pl.col("label") == name) for name in (label, whole))
    errors = [_above(mine, theirs, lead) for lead in leads]
    spent, full = (_spent(costs, name) for name in (label, whole))
    rows = costs.filter(pl.col("label") == label)["rows"].to_numpy().mean()
    return (label, f"{rows:.0f}", *(f"{e:+.1f}" for e in errors), f"{spent:.2f}", f"{100 * (spent / full - 1):+.0f}")


def _above(mine: pl.DataFrame, theirs: pl.DataFrame, lead: int) -> float:
    both = mine.filter(pl.col("lead") == lead).join(theirs, on=["variable", "lead"], suffix="_full")
    return 100 * float(np.expm1(np.log((both["mae"] / both["mae_full"]).to_numpy()).mean()))


def _spent(costs: pl.DataFrame, label: str) -> float:
    mine = costs.filter(pl.col("label") == label)
    return float(mine.select("reduce_cpu_s", "fit_cpu_s").to_numpy().sum())
