"""FLAIR: level by one ridge equation, shape by the newest periods. A forecast of one series that needs no fit."""

from __future__ import annotations

import importlib
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from forecast.errors import SchemaError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows

FREQUENCIES = {
    timedelta(seconds=1): "S",
    timedelta(seconds=10): "10S",
    timedelta(minutes=1): "T",
    timedelta(minutes=5): "5T",
    timedelta(minutes=10): "10T",
    timedelta(minutes=15): "15T",
    timedelta(minutes=30): "30T",
    timedelta(hours=1): "H",
    timedelta(days=1): "D",
    timedelta(weeks=1): "W",
}


class FLAIR(Forecaster):
    """`flaircast` on each window: a period is chosen by description length, the window folded into periods, their
    levels forecast by ridge, the shape within them kept; quantiles of sampled paths.

    Learns nothing at a fit: all it knows is the context, which should hold ten periods or more; with fewer than three
    it is a ridge on the values as they are. Takes about 10 ms per window and series, so it suits single forecasts.

    Args:
        samples: paths per forecast. seed: of the paths, the same for each window.

    Raises:
        SchemaError: without the extra `flair`; or for a step it has no periods for.

    Source: Honda 2026, "Don't Learn the Shape: Forecasting Periodic Time Series by Rank-1 Decomposition",
    arXiv 2605.07222.
    """

    traits = Traits(learns=False, seeded=True)

    def __init__(self, samples: int = 200, seed: int = 0) -> None:
        self.samples = samples
        self.seed = seed

    @classmethod
    def _prepare(cls) -> None:
        _library()

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        _library()
        if task.step not in FREQUENCIES:
            known = ", ".join(str(step) for step in FREQUENCIES)
            raise SchemaError(f"FLAIR knows no periods for a step of {task.step}: resample to one of {known}")

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        values = windows.values[..., : len(task.targets)].swapaxes(2, 3)  # (B, N, C, L)
        told = {"horizon": task.horizon, "freq": FREQUENCIES[task.step], "n_samples": self.samples, "seed": self.seed}
        forecast, found = _library().forecast, np.empty((*values.shape[:3], task.horizon, len(task.levels)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scipy, about Box-Cox exponents that are cut
            for place in np.ndindex(values.shape[:3]):
                found[place] = np.quantile(forecast(values[place], **told), task.levels, axis=0).T  # (H, Q)
        return found.swapaxes(2, 3)  # (B, N, H, C, Q)

    def _save(self, folder: Path) -> None:
        """Nothing is learnt."""

    def _load(self, folder: Path) -> None:
        _library()


def _library() -> Any:
    try:
        return importlib.import_module("flaircast")
    except ModuleNotFoundError as missing:
        raise SchemaError(
            f"FLAIR needs flaircast ('{missing.name}' is not installed): pip install 'nowcastle[flair]'"
        ) from missing
