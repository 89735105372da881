"""Forecasts of a stretch, several origins in one call: as long as nothing is learnt, what a model says is known ahead.

No forecast sees a row after its origin (`Forecaster.predict_at`), so that it does not matter when it is made. Those
made by a model that is then replaced are made again by its successor.
"""

from __future__ import annotations

import numpy as np

from forecast.errors import SchemaError
from forecast.forecaster import Forecaster
from forecast.meter import Meter, Phase
from forecast.panel import moment
from pipelines.backtest.cell import Cell

MOST = 64  # origins in one call of a walk, reached by doubling: at most half of the forecasts are in vain


class Ahead:
    """The forecasts of one cell, filled in as its walk goes on.

    Args:
        cell: whose. meter: charged with updates and forecasts. whole: no other model will come, so take all at once.
    """

    def __init__(self, cell: Cell, meter: Meter, *, whole: bool = False) -> None:
        self.cell, self.meter, self.whole = cell, meter, whole
        task, panel, count = cell.task, cell.panel, len(cell.stretch.origins)
        shape = (count, len(cell.scored), task.horizon, len(task.targets), len(task.levels))
        kept = 0 if whole else count  # only who watches errors asks for points of all series
        self.points = np.full((kept, len(panel.series), *shape[2:4]), np.nan)  # (B, N, H, C)
        self.quantiles = np.full(shape, np.nan, np.float32)  # (B, N', H, C, Q)
        self.place = [panel.series.index(s) for s in cell.scored]
        self.model: Forecaster | None = None
        self._until = 0  # origins before this one have their forecasts
        self._reach = 1

    def takes(self, model: Forecaster, b: int) -> None:
        """From origin `b` on this model forecasts."""
        self.model, self._until, self._reach = model, b, len(self.quantiles) if self.whole else 1

    def forecast(self, b: int) -> None:
        """See that the forecast of origin `b` is there; origins are asked for one after another."""
        model, origins = self.model, self.cell.stretch.origins
        assert model is not None
        if b < self._until:
            return
        stop = min(b + self._reach, len(origins))
        if self.cell.update and model.traits.updates:
            stop = self._updated(model, b, stop)
        first, last = int(origins[b]) - self.cell.task.context + 1, int(origins[stop - 1])
        seen = self.cell.panel.rows(slice(max(0, first), last + 1))
        with self.meter.charge(self.cell.key, Phase.PREDICT):
            made = model.predict_at(seen, [moment(t) for t in self.cell.panel.times[origins[b:stop]]])
            for k, one in enumerate(made, b):
                self.quantiles[k] = one.quantiles[self.place]
                if not self.whole:
                    self.points[k] = one.point
        self._until, self._reach = stop, self._reach if self.whole else min(2 * self._reach, MOST)

    def made(self) -> np.ndarray:
        """(B, N', H, C, Q) all forecasts.

        Raises:
            SchemaError: some are too large for the float32 that they are kept in.
        """
        wrong = np.asarray(np.isinf(self.quantiles).any(axis=(1, 2, 3, 4)))  # (B,)
        if wrong.any():
            at = moment(self.cell.panel.times[self.cell.stretch.origins[wrong.argmax()]])
            raise SchemaError(
                f"forecasts from {int(wrong.sum())} of {len(wrong)} origins are beyond 3.4e38, first from {at}: the "
                "training has come apart; try a lower rate, other scaling or another seed"
            )
        return self.quantiles

    def _updated(self, model: Forecaster, b: int, stop: int) -> int:
        """Let the model take in the rows up to `b` where that is due; the first origin at which it is due again."""
        origins, first = self.cell.stretch.origins, self.cell.stretch.first
        number = (origins - origins[0]) // self.cell.update  # (B,)
        if b == 0 or number[b] > number[b - 1]:
            with self.meter.charge(self.cell.key, Phase.UPDATE):
                model.update(self.cell.panel.rows(slice(first, int(origins[b]) + 1)))
        return min(stop, int(np.searchsorted(number, number[b], side="right")))
