"""Classical: a model fitted to each series alone, applied to windows without a refit."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

import numpy as np

from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, filled, training_rows, training_span, truth_at, windows_at
from models.arrays import read_arrays, write_arrays
from models.classical.library import library
from models.classical.season import phases_of, plain, profile
from models.lines import bridged, newest_run
from models.residuals import Residuals

NOTED = 256  # newest origins whose errors give the intervals
SHORTEST = 16  # rows below which nothing is fitted
FLAT = 1e-9  # a deviation below this part of the level is arithmetic, not data


class Classical(Forecaster):
    """Base of the classical models. Each (series, target) is fitted alone; other variables are not used.

    Fit: the newest unbroken run of rows that training may see, at most `history`, inner gaps bridged by straight
    lines, scaled to mean 0 and deviation 1. A season is forced upon the model where it is plain (`season.plain`), else
    left out. A line that is too short, or never changes, is forecast by its newest value.
    Forecast: what was fitted, started at the beginning of the context and run through it. The base fills gaps there.
    Intervals: quantiles of the errors at the newest training origins, by lead, times each series' own width; the few
    parameters were fitted on the same rows.

    Args:
        season: rows in a season; 1: none. history: newest rows that a fit uses.

    Raises:
        SchemaError: at fit, without the extra `classical`.
    """

    traits = Traits(regional=True)
    min_origins = 2

    def __init__(self, season: int = 24, history: int = 1000) -> None:
        self.season = season
        self.history = history

    @classmethod
    def _prepare(cls) -> None:
        library()

    @abstractmethod
    def _learn(self, line: np.ndarray, phases: np.ndarray, season: np.ndarray) -> dict[str, np.ndarray]:
        """What is fitted to a line (T,) of mean 0 and deviation 1, as arrays of the same shapes for every line.

        Args:
            phases: (T,) place of each row in the season. season: (S,) the line's season by decomposition, all zero
            where none is plain; the answer may hold a better `season`.
        """

    @abstractmethod
    def _usual(self) -> dict[str, np.ndarray]:
        """The same arrays of a model that says the newest value."""

    @abstractmethod
    def _ahead(self, values: np.ndarray, seasonal: np.ndarray, later: np.ndarray) -> np.ndarray:
        """(B, N, C, H) forecasts from windows (B, N, C, L), both in scaled units.

        Args:
            seasonal: (B, N, C, L) and later: (B, N, C, H), the fitted season at the rows and at the leads.
        """

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        library()
        rows = training_rows(panel, task)  # (B,)
        run = newest_run(training_span(panel, task, rows))
        run = slice(max(run.start, run.stop - self.history), run.stop)
        count = len(task.targets)
        phases = phases_of(panel.times[run], np.timedelta64(task.step), self.season)  # (t,)
        lines = panel.values[:, run, :count].swapaxes(1, 2).reshape(-1, len(phases))  # (N*C, t)
        parts = [self._line(line, phases) for line in lines]
        shape = (len(panel.series), count)
        self.arrays_ = {name: _stacked([part[name] for part in parts], shape) for name in parts[0]}
        self.residuals_ = Residuals.none(len(panel.series), task)
        rows = rows[-NOTED:]
        windows = windows_at(panel, task, rows)
        whole = Windows(filled(windows.values, self.means_), windows.origins, None, panel.series)
        self.residuals_ = Residuals.of(truth_at(panel, task, rows) - self._point(whole, task), task)

    def _line(self, line: np.ndarray, phases: np.ndarray) -> dict[str, np.ndarray]:
        """All arrays of one line (t,): mean and deviation, season, and what the model has learnt."""
        known = ~np.isnan(line)
        whole = bridged(line)
        whole, phases = whole[~np.isnan(whole)], phases[~np.isnan(whole)]
        mean = float(whole.mean()) if known.any() else 0.0
        deviation = float(whole.std()) if known.any() else 0.0
        plainly = deviation > FLAT * abs(mean) and known.sum() >= SHORTEST
        scaled = (whole - mean) / deviation if plainly else whole
        periodic = plainly and plain(scaled, self.season)
        season = profile(scaled, phases, self.season) if periodic else np.zeros(self.season)  # (S,)
        learnt = self._learn(scaled, phases, season) if plainly else self._usual()
        scales = {"mean": np.array(mean), "deviation": np.array(deviation if plainly else 1.0)}
        return scales | {"season": season} | learnt

    def _point(self, windows: Windows, task: Task) -> np.ndarray:
        """(B, N, H, C) from windows without gaps."""
        a, step = self.arrays_, np.timedelta64(task.step)
        values = windows.values[..., : len(task.targets)].swapaxes(2, 3)  # (B, N, C, L)
        mean, deviation = a["mean"][..., None], a["deviation"][..., None]  # (N, C, 1)
        shifts = np.arange(1 - task.context, task.horizon + 1)  # (L+H,)
        phases = phases_of(windows.origins[:, None] + step * shifts, step, self.season)  # (B, L+H)
        seasonal = np.moveaxis(a["season"][..., phases], 2, 0)  # (B, N, C, L+H)
        found = self._ahead((values - mean) / deviation, seasonal[..., : task.context], seasonal[..., task.context :])
        return (found * deviation + mean).swapaxes(2, 3)  # (B, N, H, C)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return self.residuals_.around(self._point(windows, task), windows.series, self.series_)

    def _save(self, folder: Path) -> None:
        write_arrays(folder, shape=self.residuals_.shape, widths=self.residuals_.widths, **self.arrays_)

    def _load(self, folder: Path) -> None:
        arrays = read_arrays(folder)
        self.residuals_ = Residuals(arrays.pop("shape"), arrays.pop("widths"))
        self.arrays_ = arrays


def _stacked(parts: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """One array per line as one array (N, C, ...)."""
    return np.stack(parts).reshape(*shape, *parts[0].shape)
