"""AutoETS: exponential smoothing with additive trend and season, chosen by AICc but for the season."""

from __future__ import annotations

import numpy as np

from models.classical.base import Classical
from models.classical.library import FIT_ERRORS, fitted


class AutoETS(Classical):
    """ETS(A, N|A|Ad, N|A). AICc chooses the trend; the season is in where it is plain, whatever AICc says.

    AICc drops a plain season of 24 rows for its 23 states: on hourly data that gave twice the error. Multiplicative
    errors have the same points, and multiplicative seasons are left out: take logarithms.
    The states at the end of training are where a window starts, but for the level, which is the mean of the window's
    first season; the season's states stand at their hours of the day and go on learning inside the window.

    Args:
        season, history: see `Classical`.

    Raises:
        SchemaError: at fit, without the extra `classical`.

    Source: Hyndman, Koehler, Ord and Snyder 2008, "Forecasting with Exponential Smoothing", table 2.2.
    """

    def _learn(self, line: np.ndarray, phases: np.ndarray, season: np.ndarray) -> dict[str, np.ndarray]:
        periodic = bool(season.any())
        settings = {"season_length": self.season if periodic else 1, "model": "AZA" if periodic else "AZN"}
        try:
            found = fitted("AutoETS", line, **settings)
        except FIT_ERRORS:
            return self._usual()
        alpha, beta, gamma, phi = (np.array(p) for p in np.nan_to_num(found["par"][:4]))
        kind, states = found["components"], found["states"][-1]
        trend, none = kind[1] != "N", np.array(0.0)
        season = np.zeros(self.season)  # (S,)
        if kind[2] != "N":
            season[phases[-1] - np.arange(self.season)] = states[1 + trend :]  # of the newest row, then of those before
        return {
            "alpha": alpha,
            "beta": beta if trend else none,
            "gamma": gamma if kind[2] != "N" else none,
            "phi": (phi if kind[3] == "D" else np.array(1.0)) if trend else none,
            "slope": np.array(states[1]) if trend else none,
            "season": season,
        }

    def _usual(self) -> dict[str, np.ndarray]:
        zeros = {name: np.array(0.0) for name in ("beta", "gamma", "phi", "slope")}
        return {"alpha": np.array(1.0), **zeros, "season": np.zeros(self.season)}

    def _ahead(self, values: np.ndarray, seasonal: np.ndarray, later: np.ndarray) -> np.ndarray:
        a, rows = self.arrays_, values.shape[-1]
        period = min(self.season, rows)
        season = [seasonal[..., t] for t in range(period)]  # of each place in the season: (B, N, C)
        level = (values - seasonal)[..., :period].mean(-1)  # (B, N, C)
        slope = np.broadcast_to(a["slope"], level.shape)  # (B, N, C)
        for t in range(rows):
            place, along = t % self.season, a["phi"] * slope
            error = values[..., t] - level - along - season[place]
            level, slope = level + along + a["alpha"] * error, along + a["beta"] * error
            season[place] = season[place] + a["gamma"] * error
        points = []
        for h in range(later.shape[-1]):
            place, slope = (rows + h) % self.season, a["phi"] * slope
            level = level + slope
            points.append(level + (season[place] if place < period else later[..., h]))
        return np.stack(points, -1)  # (B, N, C, H)
