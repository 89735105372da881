"""Reducer: how much history is worth training on. Chosen by evidence, so all stand behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import numpy as np

from forecast.errors import SchemaError
from forecast.panel import Panel
from forecast.reduce.reduction import Reduction
from forecast.schema import Task


class Reducer(ABC):
    """Chooses which times of a panel may serve as training origins."""

    @final
    def reduce(self, panel: Panel, task: Task) -> Reduction:
        """The rows worth keeping, of the T rows of `panel`.

        Raises:
            SchemaError: the reducer kept nothing (a defect of the reducer or of its settings).
        """
        reduction = self._reduce(panel, task)
        if len(reduction.keep) != len(panel.times):
            raise SchemaError(
                f"{type(self).__name__} answered {len(reduction.keep)} rows for a panel of {len(panel.times)}"
            )
        if not reduction.keep.any():
            raise SchemaError(f"{type(self).__name__} kept no row of {len(panel.times)}: raise its number of rows")
        return reduction

    @abstractmethod
    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        """Return a `Reduction` whose `keep` is (T,)."""


def reduced(panel: Panel, reduction: Reduction, task: Task) -> Panel:
    """The panel cut to the kept rows and the context of the oldest of them; `keep` marks the origins."""
    first = int(np.flatnonzero(reduction.keep)[0])
    start = max(0, first - task.context + 1)
    return panel.with_keep(reduction.keep).rows(slice(start, None))


def newest(panel: Panel, rows: int) -> np.ndarray:
    """(T,) mask of the newest `rows` rows."""
    total = len(panel.times)
    return np.arange(total) >= total - rows
