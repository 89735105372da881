"""Models that fail, each in its own way."""

from __future__ import annotations

import os
import signal

import numpy as np

from forecast.forecaster import Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows
from models.persistence import Persistence


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

    traits = Traits(learns=False, regional=True)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        super()._fit(panel, task, warm)
        self.series_, self.means_ = panel.series[:1], self.means_[:1]

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return super()._predict(windows, task) + 0.1
