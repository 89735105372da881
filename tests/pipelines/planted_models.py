"""Models that fail, each in its own way."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from forecast.forecaster import Traits
from forecast.panel import Panel
from forecast.portrait import Matrix
from forecast.schema import Task
from forecast.together import Fit
from forecast.windows import Windows
from models.persistence import Persistence
from tests.loop.planted import Sociable


class Raises(Persistence):
    """Cannot be fitted."""

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        raise ValueError("planted")


class Dies(Persistence):
    """Takes its process with it, as the out-of-memory killer does."""

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Patchy(Persistence):
    """Forecasts the first series alone, so that the others' pairs are not common to all."""

    def __init__(self) -> None:
        super().__init__()
        self.traits = Traits(learns=False, regional=True)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        super()._fit(panel, task, warm)
        self.series_, self.means_ = panel.series[:1], self.means_[:1]

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return super()._predict(windows, task) + 0.1


class Chancy(Sociable):
    """The mean of the newest day, off by a draw of its seed; fitted in one pass with its like."""

    traits = Traits(seeded=True)

    def __init__(self, seed: int = 0, spread: float = 1.0, breaks: str = "") -> None:
        super().__init__(breaks)
        self.seed, self.spread = seed, spread

    @classmethod
    def _fit_together(cls, fits: Sequence[Fit]) -> None:
        super()._fit_together(fits)
        for fit in fits:
            cls._shift(fit.model)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        super()._fit(panel, task, warm)
        self._shift(self)

    @staticmethod
    def _shift(model: Chancy) -> None:
        model.level_ = model.level_ + model.spread * np.random.default_rng(model.seed).normal()


class Shown(Persistence):
    """Shows the correlation of its targets in the rows it was fitted on, and how many rows those were."""

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        super()._fit(panel, task, warm)
        rows = panel.values[0, :, : len(task.targets)]  # (T, C)
        self.shown_ = np.corrcoef(rows[~np.isnan(rows).any(1)].T), len(panel.times), task.target_names

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        graph, rows, names = self.shown_
        (folder / "shown.json").write_text(json.dumps([graph.tolist(), rows, names]))

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        self.shown_ = json.loads((folder / "shown.json").read_text())

    def _portrait(self) -> dict[str, Matrix]:
        graph, rows, names = self.shown_
        return {"graph": Matrix(graph, names, names), "rows": Matrix([[rows]], ["all"], ["rows"])}


class Astray(Persistence):
    """Comes apart: forecasts everywhere what no forecast is."""

    def __init__(self, value: float = float("nan")) -> None:
        super().__init__()
        self.value = value

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return np.full_like(super()._predict(windows, task), self.value)


class Failing(Shown):
    """Cannot show itself."""

    def _portrait(self) -> dict[str, Matrix]:
        raise ValueError("planted: no picture")
