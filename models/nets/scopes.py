"""Scopes: how windows of U series become the members and rows of a network, and its outputs theirs again.

A network is a stack of M members, each with R rows: inputs (M, R, ...), outputs (M, R, O).

| scope | M | R | inputs of a row | outputs of a row |
|---|---|---|---|---|
| regional | 1 | B | the windows of all series | all series |
| local | U | B | its series' window | its series |
| global | 1 | B * U, a time's series side by side | one series' window | that series |
"""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Scope(Protocol):
    """Every array is (B, U, ...) outside and (M, R, ...) inside."""

    def members(self, units: int) -> int:
        """M."""

    def windows(self, values: np.ndarray) -> np.ndarray:
        """(B, U, L, W) as (M, R, L, D)."""

    def flat(self, values: np.ndarray) -> np.ndarray:
        """(B, U, ...) as (M, R, F): what a row knows, or what it is to forecast, side by side."""

    def shared(self, values: np.ndarray, units: int) -> np.ndarray:
        """(B, F), the same for all series, as (M, R, F)."""

    def restored(self, values: np.ndarray, units: int) -> np.ndarray:
        """Outputs (M, R, O, Q) as (B, U, O / series of a row, Q)."""


class Regional:
    def members(self, units: int) -> int:
        return 1

    def windows(self, values: np.ndarray) -> np.ndarray:
        batch, _, rows, _ = values.shape
        return values.swapaxes(1, 2).reshape(1, batch, rows, -1)

    def flat(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(1, len(values), -1)

    def shared(self, values: np.ndarray, units: int) -> np.ndarray:
        return values[None]

    def restored(self, values: np.ndarray, units: int) -> np.ndarray:
        return values[0].reshape(values.shape[1], units, -1, values.shape[3])


class Local:
    def members(self, units: int) -> int:
        return units

    def windows(self, values: np.ndarray) -> np.ndarray:
        return values.swapaxes(0, 1)

    def flat(self, values: np.ndarray) -> np.ndarray:
        return values.swapaxes(0, 1).reshape(values.shape[1], len(values), -1)

    def shared(self, values: np.ndarray, units: int) -> np.ndarray:
        return np.broadcast_to(values, (units, *values.shape))

    def restored(self, values: np.ndarray, units: int) -> np.ndarray:
        return values.swapaxes(0, 1)


class Global:
    def members(self, units: int) -> int:
        return 1

    def windows(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(1, -1, *values.shape[2:])

    def flat(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(1, values.shape[0] * values.shape[1], -1)

    def shared(self, values: np.ndarray, units: int) -> np.ndarray:
        return np.repeat(values, units, axis=0)[None]

    def restored(self, values: np.ndarray, units: int) -> np.ndarray:
        return values[0].reshape(-1, units, *values.shape[2:])


SCOPES: dict[str, Scope] = {"regional": Regional(), "local": Local(), "global": Global()}
