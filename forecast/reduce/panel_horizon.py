"""Variance Horizon over a panel: one table of all series' variables, searched once per data version."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from forecast.panel import Panel
from forecast.reduce.horizon_search import HorizonSearch
from forecast.reduce.reducer import Reducer
from forecast.reduce.reduction import Reduction
from forecast.schema import Task, duration
from forecast.windows import forward_fill

GAP = 24  # rows: a gap up to this long repeats its last value, a longer one counts as average


class VarianceHorizon(Reducer):
    """Keep the newest rows up to where the spread of distances settles, and `test_size` more.

    Columns are the unlagged variables of all series, each divided by its standard deviation over the rows
    before the last whole multiple of `rescale` (midnight UTC by default). So the scale, and with it the answer,
    depends on the data and the hour alone, while within a day one new row costs only its own distances.

    Args:
        test_size: rows kept on top of the horizon found.
        threshold, change_window, step: stop rule, see `forecast.reduce.variance_horizon`.
        rescale: period of the scale.

    Source: arXiv 2309.15207 (2023); definition of datasieve 0.1.9. Scaling and anchor are ours.
    """

    def __init__(
        self,
        test_size: int = 256,
        threshold: float = 2.5e-4,
        change_window: int = 100,
        step: int = 1,
        rescale: timedelta | str = "24h",
    ) -> None:
        self.test_size = test_size
        self.threshold = threshold
        self.change_window = change_window
        self.step = step
        self.rescale = duration(rescale)
        self._table = np.empty((0, 0))  # (T, D) rows of the search in hand
        self._search: HorizonSearch | None = None

    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        table = self._scaled(panel)  # (T', D)
        if len(table) <= task.horizon:
            why = f"all {len(panel.times)} rows: too few to look for a horizon"
            return Reduction(np.ones(len(panel.times), bool), why, {"converged": False})
        found = self._continued(table, task) or self._afresh(table, task)
        keep = np.zeros(len(panel.times), bool)
        keep[len(panel.times) - found.rows :] = True
        if found.rows == len(table):
            keep[:] = True
        return Reduction(keep, found.why, found.evidence)

    def _scaled(self, panel: Panel) -> np.ndarray:
        """(T - GAP, D) scaled, gap-free table; the first GAP rows only serve to fill gaps."""
        n, t, c = panel.shape
        wide = panel.values.transpose(1, 0, 2).reshape(t, n * c)  # (T, D)
        skip = min(GAP, max(0, t - 2))
        back = self._rows_since_anchor(panel)
        base = wide[skip + max(0, self._period(panel) - back) : t - back]  # (T'', D) the same rows all day
        if len(base) < 2:
            base = wide
        known = ~np.isnan(base)
        count = np.maximum(known.sum(0), 1)
        mean = np.where(known, base, 0).sum(0) / count  # (D,)
        spread = np.sqrt(np.where(known, (base - mean) ** 2, 0).sum(0) / count)  # (D,)
        scaled = (wide - mean) / np.where(spread > 0, spread, 1.0)  # (T, D)
        return _bounded_fill(scaled, GAP)[skip:]

    def _period(self, panel: Panel) -> int:
        return max(1, int(self.rescale / panel.step))

    def _rows_since_anchor(self, panel: Panel) -> int:
        seconds = int(panel.times[-1].astype("datetime64[s]").astype(np.int64))
        back = int(seconds % int(self.rescale.total_seconds()) / panel.step.total_seconds())
        return min(back, len(panel.times) - 1)

    def _continued(self, table: np.ndarray, task: Task) -> Reduction | None:
        """Update the search in hand if `table` is its table moved on by a few rows; None if it is another."""
        held = self._table
        if self._search is None or held.shape != table.shape or self._search.target_horizon != task.horizon:
            return None
        for new in range(1, min(self._MOST_NEW, len(table)) + 1):
            if np.array_equal(held[new:], table[:-new]):
                self._table = table
                return self._search.update(table[-new:])
        return None

    def _afresh(self, table: np.ndarray, task: Task) -> Reduction:
        self._table = table
        self._search = HorizonSearch(
            task.horizon, self.test_size, self.threshold, self.change_window, self.step, max_rows=len(table)
        )
        return self._search.search(table)

    _MOST_NEW = 6


def _bounded_fill(values: np.ndarray, limit: int) -> np.ndarray:
    """Gaps (T, D) of up to `limit` rows repeat the last value; what remains is 0, the mean."""
    full = forward_fill(values, axis=0)  # (T, D)
    rows = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(values), -limit - 1, rows), axis=0)  # (T, D)
    return np.where((rows - last > limit) | np.isnan(full), 0.0, full)
