"""Affine scaling of inputs and truth, each series by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Scale:
    """Affine scaling. What never changed in training has spread 0: it is only centred, and unscaled to its centre.

    >>> scale = Scale.of(np.array([[1.0], [3.0]]), (0,), "minmax")
    >>> scale.apply(np.array([[2.0], [3.0]])).tolist()
    [[0.0], [1.0]]
    """

    centre: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, axes: tuple[int, ...], kind: str) -> Scale:
        """Fitted over `axes`, gaps left out; centre 0 and spread 0 where nothing is known."""
        known = ~np.isnan(values)
        if kind == "standard":
            count = np.maximum(known.sum(axes, keepdims=True), 1)
            centre = np.where(known, values, 0.0).sum(axes, keepdims=True) / count
            spread = np.sqrt((np.where(known, values - centre, 0.0) ** 2).sum(axes, keepdims=True) / count)
        else:
            some = known.any(axes, keepdims=True)
            low = np.where(some, np.where(known, values, np.inf).min(axes, keepdims=True), 0.0)
            high = np.where(some, np.where(known, values, -np.inf).max(axes, keepdims=True), 0.0)
            centre, spread = low / 2 + high / 2, high / 2 - low / 2
        return cls(centre, np.where(spread > 1e-12 * np.abs(centre), spread, 0.0))

    def apply(self, values: np.ndarray) -> np.ndarray:
        return (values - self.centre) / np.where(self.spread > 0, self.spread, 1.0)

    def invert(self, values: np.ndarray) -> np.ndarray:
        """Of values with quantiles behind, (..., Q)."""
        return values * self.spread[..., None] + self.centre[..., None]

    def at(self, place: np.ndarray) -> Scale:
        """The scales of series `place` (U,) along axis 1; -1 stands for a series unknown: the mean over the others."""
        parts = []
        for part in (self.centre, self.spread):
            everyone = np.concatenate([part, part.mean(1, keepdims=True)], axis=1)  # (1, U + 1, ...)
            parts.append(everyone[:, place])
        return Scale(*parts)

    def picked(self, source: np.ndarray) -> Scale:
        """The same with element k taken from element `source[k]`, counted flat."""
        return Scale(*(part.reshape(-1)[source].reshape(part.shape) for part in (self.centre, self.spread)))


def nearest_known(known: np.ndarray) -> np.ndarray:
    """For each of (U, H, C) outputs the flat index of the one to take its scale and interval from: itself if `known`.

    Otherwise the nearest lead that is known of the same series and target, else the first series that knows any;
    nothing known at all, itself.

    >>> nearest_known(np.array([[[True], [True], [False]]])).tolist()
    [0, 1, 1]
    """
    _, horizon, targets = known.shape
    index = np.arange(known.size).reshape(known.shape)  # (U, H, C)
    out = index.copy()
    for c in range(targets):
        told = known[..., c]  # (U, H)
        able = np.flatnonzero(told.any(1))  # (units with any lead known,)
        if told.all() or not len(able):
            continue
        for u in np.flatnonzero(~told.all(1)):
            giver = u if told[u].any() else able[0]
            leads = np.flatnonzero(told[giver])  # (leads known,)
            lead = leads[np.abs(leads - np.arange(horizon)[:, None]).argmin(1)]  # (H,)
            out[u, :, c] = index[giver, lead, c]
    return out.reshape(-1)
