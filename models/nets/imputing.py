"""Inputs that are silent, told from those that speak: a net fed by all series must not fall with one of them.

A series without a value in the window is given the mean that the living inputs let expect, so that a forecast that
leaned on it leans on its neighbours instead. A linear forecast from expected inputs is the best linear one there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COLUMNS = 400  # with more, the mean must do: their covariance would cost more than the fit
SHRINK = 1e-2  # of the living inputs' mean variance, added to each


@dataclass(frozen=True, eq=False)
class Imputer:
    """Conditional means of jointly normal inputs.

    Args:
        means: (D,) of the scaled inputs over training. covariance: (D, D), or (0, 0) to know the means alone.

    Source: Little and Rubin, "Statistical Analysis with Missing Data" (3rd ed. 2019), section 11.2.

    >>> x = np.array([[-1.0, -2.0], [1.0, 2.0], [-3.0, -6.0], [3.0, 6.0]])
    >>> Imputer.of(x).filled(np.array([[[2.0, np.nan]]])).round(1).tolist()
    [[[2.0, 4.0]]]
    """

    means: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Imputer:
        """From rows (T, D) with gaps. Each covariance is that of the rows that know both."""
        known = ~np.isnan(rows)  # (T, D)
        count = np.maximum(known.sum(0), 1)  # (D,)
        means = np.where(known, rows, 0.0).sum(0) / count  # (D,)
        if rows.shape[1] > COLUMNS:
            return cls(means, np.empty((0, 0)))
        moved = np.where(known, rows - means, 0.0)  # (T, D)
        both = np.maximum(known.T.astype(float) @ known, 1)  # (D, D)
        strengths, axes = np.linalg.eigh(moved.T @ moved / both)  # gaps may make it indefinite
        return cls(means, (axes * np.maximum(strengths, 0)) @ axes.T)

    def filled(self, x: np.ndarray) -> np.ndarray:
        """Inputs (B, L, D) without NaN; those of one window are known in all rows or in none."""
        silent = np.isnan(x[:, 0])  # (B, D)
        if not silent.any():
            return x
        out = x.copy()
        patterns, which = np.unique(silent, axis=0, return_inverse=True)  # (P, D), (B,)
        for p, gone in enumerate(patterns):
            if gone.any():
                windows = np.flatnonzero(which.reshape(-1) == p)
                expected = self._expected(x[windows][..., ~gone], gone)  # (b, L, gone)
                out[np.ix_(windows, np.arange(x.shape[1]), np.flatnonzero(gone))] = expected
        return out

    def _expected(self, living: np.ndarray, gone: np.ndarray) -> np.ndarray:
        """(b, L, gone) means of the inputs `gone` (D,) given the `living` ones (b, L, D - gone)."""
        means = self.means[gone]
        if not len(self.covariance) or gone.all():
            return np.broadcast_to(means, (*living.shape[:2], len(means)))
        inner = self.covariance[np.ix_(~gone, ~gone)]
        inner = inner + (SHRINK * np.trace(inner) / len(inner) + 1e-12) * np.eye(len(inner))
        weights = np.linalg.solve(inner, self.covariance[np.ix_(~gone, gone)])  # (living, gone)
        return means + (living - self.means[~gone]) @ weights
