"""Rows of ridge equations cut from a panel: inputs and what is learnt, for some of the series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import filled, truth_at, windows_at
from models.ridges.inputs import RidgeInputs, design, factors_of, without_gaps
from models.ridges.steps import outputs_of


@dataclass(frozen=True, eq=False)
class Table:
    """Makes the rows of any series of a panel; how the rows look is settled at the fit.

    Args:
        means: (N, V). neighbours: (N, M). supports: per target its discrete values. outlook_means: (N, F).
    """

    panel: Panel
    task: Task
    inputs: RidgeInputs
    means: np.ndarray
    neighbours: np.ndarray
    supports: tuple[np.ndarray, ...]
    outlook_means: np.ndarray

    def of(self, series: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x (S, R, 1 or H, D) and y (S, R, O = H * E) of `series` (S,) at `rows` (R,); y is NaN where unknown."""
        near = np.union1d(series, self.neighbours[series])  # those read
        panel, means = self._only(near), self.means[near]
        windows = windows_at(panel, self.task, rows)
        if np.isnan(windows.values).any():
            windows = replace(windows, values=filled(windows.values, means))
        windows = replace(windows, outlook=without_gaps(windows.outlook, self.outlook_means[near]))
        own, beside = np.searchsorted(near, series), np.searchsorted(near, self.neighbours[series])
        x = design(windows, self.task, self.inputs, means, beside, own, self.supports)
        truth = truth_at(panel, self.task, rows)[:, own].swapaxes(0, 1)  # (S, R, H, C)
        last = windows.values[:, own, -1, : truth.shape[3]].swapaxes(0, 1)  # (S, R, C)
        return x, outputs_of(truth, last, self.supports)

    @cached_property
    def factors(self) -> np.ndarray:
        """(D,) of the penalty."""
        kinds = 0 if self.panel.outlook is None else self.panel.outlook.shape[3]
        return factors_of(self._sample.shape[-1], kinds, self.task, self.inputs, self.supports)

    @property
    def by_lead(self) -> bool:
        """Leads have columns of their own."""
        return self._sample.shape[2] > 1

    @cached_property
    def _sample(self) -> np.ndarray:
        return self.of(np.array([0]), np.array([self.task.context - 1]))[0]  # (1, 1, 1 or H, D)

    def _only(self, near: np.ndarray) -> Panel:
        if len(near) == self.panel.shape[0]:
            return self.panel
        outlook = None if self.panel.outlook is None else self.panel.outlook[near]
        names = tuple(self.panel.series[i] for i in near)
        return replace(self.panel, values=self.panel.values[near], series=names, outlook=outlook)


def outlook_means(panel: Panel, rows: np.ndarray) -> np.ndarray:
    """(N, F) mean outlook of the training rows; 0 for a variable never seen, F = 0 without an outlook."""
    if panel.outlook is None:
        return np.zeros((panel.shape[0], 0))
    seen = panel.outlook[:, rows]  # (N, B, K, F)
    known = ~np.isnan(seen)
    return np.where(known, seen, 0).sum((1, 2)) / np.maximum(known.sum((1, 2)), 1)
