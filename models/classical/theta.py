"""Theta: smoothing with half the trend. The winner of the M3 competition, and a hard yardstick since."""

from __future__ import annotations

import numpy as np

from forecast.errors import UnknownNameError
from models.classical.base import Classical
from models.classical.library import FIT_ERRORS, fitted

VARIANTS = ("STM", "OTM")


class Theta(Classical):
    """Exponential smoothing of the seasonally adjusted line plus a part of its straight-line trend.

    Of the line through all training rows with slope B the forecast follows (1 - 1/theta) B per row:
    point(h) = level + (1 - 1/theta) B (h - 1 + 1/alpha), the limit of the model's equation for long lines.

    Args:
        season, history: see `Classical`.
        variant: `STM`, the standard with theta 2, or `OTM`, where theta is fitted too.

    Raises:
        UnknownNameError: another variant. SchemaError: at fit, without the extra `classical`.

    Source: Assimakopoulos and Nikolopoulos 2000, Int. J. of Forecasting 16; Fiorucci et al. 2016, Int. J. of
    Forecasting 32, equations 12 to 15.
    """

    def __init__(self, season: int = 24, history: int = 1000, variant: str = "STM") -> None:
        if variant not in VARIANTS:
            raise UnknownNameError("variant of Theta", variant, VARIANTS)
        super().__init__(season, history)
        self.variant = variant

    def _learn(self, line: np.ndarray, phases: np.ndarray, season: np.ndarray) -> dict[str, np.ndarray]:
        adjusted = line - season[phases]  # (T,)
        try:
            found = fitted("AutoTheta", adjusted, season_length=1, model=self.variant)["par"]
        except FIT_ERRORS:
            return self._usual()
        hours = np.arange(len(line)) - (len(line) - 1) / 2  # (T,)
        slope = hours @ adjusted / (hours @ hours)
        return {"alpha": np.array(found["alpha"]), "drift": np.array((1 - 1 / found["theta"]) * slope)}

    def _usual(self) -> dict[str, np.ndarray]:
        return {"alpha": np.array(1.0), "drift": np.array(0.0)}

    def _ahead(self, values: np.ndarray, seasonal: np.ndarray, later: np.ndarray) -> np.ndarray:
        alpha, drift = self.arrays_["alpha"], self.arrays_["drift"]  # (N, C)
        adjusted = values - seasonal  # (B, N, C, L)
        level = adjusted[..., 0]  # (B, N, C)
        for t in range(1, adjusted.shape[-1]):
            level = level + alpha * (adjusted[..., t] - level)
        steps = np.arange(later.shape[-1])  # (H,)
        return level[..., None] + drift[..., None] * (steps + 1 / alpha[..., None]) + later
