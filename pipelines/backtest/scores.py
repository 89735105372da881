"""Scores by variable and lead, skill against the reference, paired tests and bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from forecast.evaluation import diebold_mariano, skill_interval
from pipelines.backtest.cell import Cell
from pipelines.backtest.cells import of_seeds
from pipelines.backtest.losses import Common, common, pairs, statistics

MEAN, ALL = 0, "all"  # lead of the mean over all leads, variable of the mean over all variables
TESTED = ("mae", "mse", "crps")
SPREAD = ("mae", "mse", "rmse")  # of which the deviation between seeds is told
Losses = dict[str, np.ndarray]  # per origin, the mean over series: (B, H, C)


def scores(
    of: Mapping[str, Sequence[Cell]],
    reference: str,
    *,
    leads: Sequence[int],
    season: int,
    block: int,
    pool: bool,
    mase: str = "lead",
    every: int = 1,
) -> pl.DataFrame:
    """One row per contestant, variable and lead, for cells of one horizon.

    Args:
        of: label -> its cells, as `of_each` gives them. reference: one of the labels.
        leads: those to test; scores are given for all, and for lead 0, the mean over all.
        season, mase: of MASE, see `common`. block: origins per block of tests and bootstrap.
        pool: also a variable `all`, the mean over the variables, which only has a meaning where they share a unit.
        every: rows between origins: truths of origins further apart than a lead do not overlap.

    Returns:
        horizon, label, variable, lead, n, mae, mse, rmse, bias, mase; with several levels crps, and of the widest
        central interval coverage, width; for mae, mse, crps `skill_*`, and where tested `p_*` (Diebold-Mariano with
        the correction of Harvey, Leybourne and Newbold, on block means), `low_*`, `high_*` (95 % moving-block
        bootstrap interval of the skill). Of several seeds all are means over the seeds: of errors, not of forecasts,
        and tests are on the mean loss, of which rmse is the root; `seeds` is their number, `sd_mae`, ... the
        deviation between them.
    """
    shared = common(list(of.values()), season, mase)
    order = [reference, *(label for label in of if label != reference)]
    yardstick: Losses = {}
    frames = []
    for label in order:
        table, losses = _score(of[label], shared, pool)
        yardstick = yardstick or losses
        table |= _against(losses, yardstick, leads, block, every, same=label == reference)
        frames.append(_frame(label, table, shared, pool))
    return pl.concat(frames, how="diagonal")


def _score(cells: Sequence[Cell], shared: Common, pool: bool) -> tuple[dict[str, np.ndarray], Losses]:
    """Means (H+1, C') by lead and variable, and the losses per origin, both the means over the seeds."""
    each = [_score_one(one, shared, pool) for one in of_seeds(cells)]
    losses = {name: np.mean([one[1][name] for one in each], axis=0) for name in each[0][1]}
    table = {name: np.mean([one[0][name] for one in each], axis=0) for name in each[0][0]}
    table["rmse"] = np.sqrt(table["mse"])
    table["seeds"] = np.full(table["mae"].shape, len(each))
    if len(each) > 1:
        table |= {f"sd_{name}": np.std([one[0][name] for one in each], axis=0, ddof=1) for name in SPREAD}
    return table, losses


def _score_one(cells: Sequence[Cell], shared: Common, pool: bool) -> tuple[dict[str, np.ndarray], Losses]:
    """The same of one seed."""
    table: dict[str, np.ndarray] = {}
    losses: Losses = {}
    for name, values in statistics(pairs(cells, shared), shared.task.levels):
        known = ~np.isnan(values)  # (B, N', H, C)
        total, count = np.where(known, values, 0.0).sum((0, 1)), known.sum((0, 1)).astype(float)  # (H, C)
        table[name] = _divided(_with_means(total, pool), _with_means(count, pool))
        if name == "mae":
            table["n"] = _with_means(count, pool)
        if name in TESTED:
            per_origin = _divided(np.where(known, values, 0.0).sum(1), known.sum(1).astype(float))  # (B, H, C)
            losses[name] = _pooled_losses(per_origin, pool)
    table["rmse"] = np.sqrt(table["mse"])
    return table, losses


def _with_means(sums: np.ndarray, pool: bool) -> np.ndarray:
    """(H, C) with the sum over leads before the first, and over variables after the last: (H+1, C')."""
    full = np.concatenate([sums.sum(0, keepdims=True), sums])  # (H+1, C)
    return np.concatenate([full, full.sum(1, keepdims=True)], axis=1) if pool else full


def _pooled_losses(losses: np.ndarray, pool: bool) -> np.ndarray:
    """(B, H, C) with the means over leads and variables likewise: (B, H+1, C')."""
    full = np.concatenate([_mean(losses, 1), losses], axis=1)
    return np.concatenate([full, _mean(full, 2)], axis=2) if pool else full


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean along an axis that stays, NaN left out; NaN where there is none."""
    known = ~np.isnan(values)
    return _divided(np.where(known, values, 0.0).sum(axis, keepdims=True), known.sum(axis, keepdims=True).astype(float))


def _divided(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _against(
    mine: Losses, theirs: Losses, leads: Sequence[int], block: int, every: int, *, same: bool
) -> dict[str, np.ndarray]:
    """`p_*`, `low_*`, `high_*` (H+1, C'), NaN where not tested."""
    found: dict[str, np.ndarray] = {}
    for name in mine:
        shape = mine[name].shape[1:]  # (H+1, C')
        p, low, high = (np.full(shape, np.nan) for _ in range(3))
        for row in () if same else (MEAN, *leads):
            a, b = mine[name][:, row], theirs[name][:, row]  # (B, C')
            overlap = -(-(row or shape[0] - 1) // every)  # origins whose truths share rows
            p[row] = diebold_mariano(a, b, overlap, block)
            low[row], high[row] = skill_interval(a, b, max(block, overlap))
        found |= {f"p_{name}": p, f"low_{name}": low, f"high_{name}": high}
    return found


def _frame(label: str, table: dict[str, np.ndarray], shared: Common, pool: bool) -> pl.DataFrame:
    variables = [*shared.task.target_names, *([ALL] if pool else [])]
    height, width = table["mae"].shape  # H+1, C'
    columns: dict[str, Any] = {
        "horizon": np.full(height * width, shared.task.horizon),
        "label": [label] * (height * width),
        "variable": variables * height,
        "lead": np.repeat(np.arange(height), width),
        **{name: values.reshape(-1) for name, values in table.items()},
    }
    made = pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))
    return made.with_columns(pl.col("n", "seeds").cast(pl.Int64))


def with_skill(table: pl.DataFrame, reference: str) -> pl.DataFrame:
    """`skill_mae`, `skill_mse`, `skill_crps`: 1 - E / E_ref; null where the reference makes no error."""
    keys = ["horizon", "variable", "lead"]
    names = [name for name in TESTED if name in table.columns]
    other = table.filter(pl.col("label") == reference).select(*keys, *(pl.col(n).alias(f"{n}_ref") for n in names))
    joined = table.join(other, on=keys, how="left", maintain_order="left")
    ratios = [
        pl.when(pl.col(f"{n}_ref") > 0).then(1 - pl.col(n) / pl.col(f"{n}_ref")).alias(f"skill_{n}") for n in names
    ]
    return joined.with_columns(ratios).drop(f"{n}_ref" for n in names)
