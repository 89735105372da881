"""Losses of one horizon: every contestant on the pairs that all of them have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecast.errors import NoFreshDataError
from forecast.metrics import Pairs, naive_scale, statistic
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import truth_at
from pipelines.backtest.cell import Cell
from pipelines.backtest.cells import of_seeds


@dataclass(frozen=True, eq=False)
class Common:
    """What the contestants of one horizon share.

    Args:
        truth: (B, N', H, C), NaN wherever any contestant has no forecast or the truth is not known.
        scale: (N', H, C) of MASE. task: with this horizon. variables: C names.
    """

    truth: np.ndarray
    scale: np.ndarray
    task: Task


def common(of: Sequence[Sequence[Cell]], season: int, mase: str = "lead") -> Common:
    """Truths on identical pairs.

    Args:
        of: the cells of each contestant, all of one horizon, as `of_each` gives them. season: rows, for MASE.
        mase: its denominators: of `lead`, the naive error at each lead's distance; of `season`, one for all leads.

    Raises:
        NoFreshDataError: there is no such pair.
    """
    first = of_seeds(of[0])[0]
    task, panel = first[0].task, scored(first[0])
    truth = truths(first)  # (B, N', H, C)
    both = ~np.isnan(truth)
    for cells in of:
        for one in of_seeds(cells):
            both &= ~np.isnan(points(one))
    if not both.any():
        raise NoFreshDataError(
            f"no truth of {', '.join(task.target_names)} is known where every model has a forecast, horizon "
            f"{task.horizon}: look at the gaps of the series, or at `series`"
        )
    history = panel.values[:, : first[0].stretch.stop, : len(task.targets)]
    distances = task.leads if mase == "lead" else [1] * task.horizon
    return Common(np.where(both, truth, np.nan), naive_scale(history, distances, season=season), task)


def truths(cells: Sequence[Cell]) -> np.ndarray:
    """(B, N', H, C) what came after the origins of one seed's cells, NaN where it is not known."""
    return np.concatenate([truth_at(scored(c), c.task, c.stretch.origins) for c in cells])


def points(cells: Sequence[Cell]) -> np.ndarray:
    """(B, N', H, C) the point forecasts of one seed's cells, NaN where there is none."""
    return np.concatenate([c.quantiles()[..., c.task.median] for c in cells])


def pairs(cells: Sequence[Cell], shared: Common) -> Pairs:
    """The common truths beside one seed's forecasts."""
    quantiles = np.concatenate([c.quantiles() for c in cells]).astype(float)  # (B, N', H, C, Q)
    point = quantiles[..., shared.task.median]  # (B, N', H, C)
    return Pairs(shared.truth, point, quantiles, tuple(shared.task.levels), shared.scale)


def statistics(found: Pairs, levels: Sequence[float]) -> Iterator[tuple[str, np.ndarray]]:
    """Name and (B, N', H, C) value per pair of each score, NaN off the common pairs."""
    yield "mae", statistic.absolute_error(found)
    yield "mse", statistic.squared_error(found)
    yield "bias", statistic.error(found)
    yield "mase", statistic.absolute_scaled_error(found)
    if len(levels) > 1:
        yield "crps", statistic.quantile_crps(found)
        if nominal(levels):
            yield "coverage", statistic.inside(found, nominal(levels))
            width = statistic.interval_width(found, nominal(levels))
            yield "width", np.where(np.isnan(found.truth), np.nan, width)


def nominal(levels: Sequence[float]) -> float:
    """Coverage of the widest central interval; 0 without one."""
    low, high = levels[0], levels[-1]
    return round(high - low, 9) if low < high and abs(low + high - 1) < 1e-9 else 0.0


def scored(cell: Cell) -> Panel:
    """The targets of the series that are scored."""
    panel = cell.panel
    place = [panel.series.index(s) for s in cell.scored]
    targets = panel.values[place][:, :, : len(cell.task.targets)]  # (N', T, C)
    return replace(
        panel, values=targets, series=cell.scored, variables=cell.task.target_names, outlook=None, outlook_variables=()
    )
