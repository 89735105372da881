"""Partial pooling of linear equations: one set for all series, and what each series has of its own.

Letters: R rows, F columns of the inputs, K labels (leads).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FIRM = 1e-4  # penalty of the pooled equations, by the mean variance of a column: they have rows enough


@dataclass
class Pool:
    """Sums over series from which the pooled equations are solved; each series counts the same, however long."""

    columns: int
    labels: int

    def __post_init__(self) -> None:
        self.gram = np.zeros((self.columns, self.columns))  # (F, F)
        self.cross = np.zeros((self.columns, self.labels))  # (F, K)

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """One series: inputs (R, F) and labels (R, K), both centred and scaled window by window."""
        if len(x):
            self.gram += x.T @ x / len(x)
            self.cross += x.T @ y / len(x)

    def solve(self) -> np.ndarray:
        """(F, K) the pooled equations; zero where nothing was added."""
        size = np.trace(self.gram) / self.columns
        if size <= 0:
            return np.zeros_like(self.cross)
        return np.linalg.solve(self.gram + FIRM * size * np.eye(self.columns), self.cross)


@dataclass(frozen=True, eq=False)
class Own:
    """What one series adds to the pooled equations.

    Args:
        weights: (F, K). bias: (K,). errors: (R, K) of each row by the equations that its fold was left out of.
    """

    weights: np.ndarray
    bias: np.ndarray
    errors: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, rest: np.ndarray, penalties: Sequence[float], folds: int, gap: int) -> Own:
        """Ridge on what the pooled equations leave over, pulled to zero: to the pool.

        The penalty, relative to the mean variance of a column, is the one with the least mean absolute error over
        contiguous folds; `gap` rows on both sides of a fold are left out too, since their labels overlap with its own.

        Args:
            x: (R, F) rows in order of time. rest: (R, K) label minus what the pool says.
        """
        mean, bias = x.mean(0), rest.mean(0)  # (F,), (K,)
        x, rest = x - mean, rest - bias
        gram, cross = x.T @ x, x.T @ rest  # (F, F), (F, K)
        size = np.trace(gram) / len(mean)
        if size <= 0:
            return cls(np.zeros_like(cross), bias, rest)
        errors = left_out(x, rest, gram, cross, np.array(penalties) * size, folds, gap)  # (P, R, K)
        best = int(np.abs(errors).mean((1, 2)).argmin())
        weights = np.linalg.solve(gram + penalties[best] * size * np.eye(len(mean)), cross)  # (F, K)
        return cls(weights, bias - mean @ weights, errors[best])


def left_out(
    x: np.ndarray, y: np.ndarray, gram: np.ndarray, cross: np.ndarray, penalties: np.ndarray, folds: int, gap: int
) -> np.ndarray:
    """(P, R, K) errors of each row by each penalty's equations, fitted without its fold and `gap` rows around it.

    One eigendecomposition per fold serves all penalties; the fold's sums are taken off the whole ones.
    """
    out = np.empty((len(penalties), *y.shape))  # (P, R, K)
    for fold in np.array_split(np.arange(len(x)), min(folds, len(x))):
        off = slice(max(0, fold[0] - gap), fold[-1] + 1 + gap)
        values, vectors = np.linalg.eigh(gram - x[off].T @ x[off])  # (F,), (F, F)
        turned = vectors.T @ (cross - x[off].T @ y[off])  # (F, K)
        seen = x[fold] @ vectors  # (r, F)
        for i, penalty in enumerate(penalties):
            out[i, fold] = y[fold] - seen @ (turned / (np.maximum(values, 0) + penalty)[:, None])
    return out
