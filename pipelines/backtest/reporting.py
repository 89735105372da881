"""The report of a backtest: its cells as one question with many answers, see `forecast.evaluation`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from forecast.evaluation.asked import Asked, Trade, Views
from forecast.evaluation.question import Answer, Question
from forecast.evaluation.report import Report, report
from pipelines.backtest.cell import Cell
from pipelines.backtest.cells import of_seeds
from pipelines.backtest.losses import points, scored, truths

PERSISTENCE = "persistence"
Of = Mapping[str, Sequence[Cell]]  # label -> cells of one horizon, as `of_each` gives them


def reported(of: Of, costs: pl.DataFrame, about: Mapping[str, Mapping[str, str]], asked: Asked, every: int) -> Report:
    """The report on cells of one horizon.

    Args:
        of: the contestants. costs: CPU seconds of all cells. about: words on each contestant, by heading.
        asked: what it shall contain. every: rows between origins.
    """
    horizon = next(iter(of.values()))[0].task.horizon
    return report(question(of, every), answers(of, costs.filter(pl.col("horizon") == horizon), about), asked)


def question(of: Of, every: int) -> Question:
    """What all contestants of one horizon were asked, and what came."""
    cells = of_seeds(next(iter(of.values())))[0]
    first, panel = cells[0], scored(cells[0])
    origins = np.concatenate([cell.stretch.origins for cell in cells])  # (B,)
    history = panel.rows(slice(0, first.stretch.stop))
    last = newest(panel.values)[:, origins].swapaxes(0, 1)  # (B, N', C)
    task = first.task
    return Question(truths(cells), last, panel.times[origins], history, task.targets, every, task.patience)


def answers(of: Of, costs: pl.DataFrame, about: Mapping[str, Mapping[str, str]]) -> list[Answer]:
    """The forecasts of every contestant, one for each seed, with what they cost."""
    found = []
    for label, cells in of.items():
        made = np.stack([points(one) for one in of_seeds(cells)])  # (S, B, N', H, C), float32 as they were kept
        mine = costs.filter(pl.col("label") == label)
        spent = {
            name.removesuffix("_cpu_s"): float(mine[name].sum()) for name in mine.columns if name.endswith("_cpu_s")
        }
        found.append(Answer(label, made, about.get(label, {}), spent))
    return found


def newest(values: np.ndarray) -> np.ndarray:
    """(N, T, C) with each gap filled by the value before it; NaN where there is none."""
    rows = np.arange(values.shape[1])[None, :, None]  # (1, T, 1)
    place = np.maximum.accumulate(np.where(np.isnan(values), 0, rows), axis=1)  # (N, T, C)
    return np.take_along_axis(values, place, axis=1)


def asked_of(
    asked: Mapping[str, Any], horizon: int, leads: Sequence[int], labels: Sequence[str], facts: Mapping[str, str]
) -> Asked:
    """The settings of a report from those of the backtest; references that failed are left out.

    Persistence is always one of them where it takes part: who does not beat it shall be told.
    """
    own = asked["report"]
    shown = [k for k in leads if k <= horizon] if asked["leads"] is not None else None
    views = Views(shown, own["weekdays"], own["regimes"] or {}, own["filled"])
    trade = Trade(own["trade"] or "", tuple(own["costs_bp"]) or (0.0,))
    references = [label for label in dict.fromkeys([PERSISTENCE, *own["references"]]) if label in labels]
    pool = asked["standardise"] if asked["pool"] is None else asked["pool"]
    return Asked(asked["reference"], references, asked["block"], pool, views, trade, facts)


def metrics(found: Report) -> dict[str, dict[str, float]]:
    """Label -> name -> value of the figures over all pairs, for the tracker."""
    whole = found.numbers.filter(pl.col("group") == "all", pl.col("value").is_finite())
    named: dict[str, dict[str, float]] = {}
    for label, variable, measure, value in whole.select("label", "variable", "measure", "value").iter_rows():
        named.setdefault(label, {})[f"report/{measure}/{variable}"] = value
    return named
