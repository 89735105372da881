"""AutoARIMA: regression on a line's own past and errors after differencing, orders chosen by AICc."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.classical.base import Classical
from models.classical.library import FIT_ERRORS, fitted

DIFFERENCES = 2  # at most; so many does the test of unit roots ask for


class AutoARIMA(Classical):
    """ARIMA(p, d, q) of the seasonally adjusted line.

    The season is taken off by decomposition where it is plain: seasonal orders at 24 rows cost minutes per series.
    A forecast runs the equation through the window (errors before it are zero) and on, each lead from the one before.

    Args:
        season, history: see `Classical`.
        p, q: largest orders tried.
        stepwise: search by steps instead of trying all.

    Raises:
        SchemaError: at fit, without the extra `classical`.

    Source: Hyndman and Khandakar 2008, J. of Statistical Software 27(3); conditional errors: Box and Jenkins, ch. 7.
    """

    def __init__(self, season: int = 24, history: int = 1000, p: int = 3, q: int = 2, stepwise: bool = True) -> None:
        super().__init__(season, history)
        self.p = p
        self.q = q
        self.stepwise = stepwise

    def _learn(self, line: np.ndarray, phases: np.ndarray, season: np.ndarray) -> dict[str, np.ndarray]:
        settings = {"max_p": self.p, "max_q": self.q, "start_p": min(2, self.p), "start_q": min(2, self.q)}
        try:
            found = fitted(
                "AutoARIMA",
                line - season[phases],
                season_length=1,
                approximation=True,
                stepwise=self.stepwise,
                **settings,
            )
        except FIT_ERRORS:
            return self._usual()
        return self._read(found)

    def _read(self, found: dict[str, Any]) -> dict[str, np.ndarray]:
        """The library's coefficients; absent ones are 0. The constant is the mean of the differenced line."""
        named = found["coef"]
        ar, ma = np.zeros(self.p), np.zeros(self.q)  # (p,), (q,)
        for i in range(self.p):
            ar[i] = named.get(f"ar{i + 1}", 0.0)
        for j in range(self.q):
            ma[j] = named.get(f"ma{j + 1}", 0.0)
        constant = named.get("intercept", named.get("drift", 0.0))
        return {"ar": ar, "ma": ma, "d": np.array(float(found["arma"][5])), "constant": np.array(constant)}

    def _usual(self) -> dict[str, np.ndarray]:
        return {"ar": np.zeros(self.p), "ma": np.zeros(self.q), "d": np.array(1.0), "constant": np.array(0.0)}

    def _ahead(self, values: np.ndarray, seasonal: np.ndarray, later: np.ndarray) -> np.ndarray:
        adjusted, out = values - seasonal, np.empty(later.shape)  # (B, N, C, L), (B, N, C, H)
        for d in range(DIFFERENCES + 1):
            n, c = np.nonzero(self.arrays_["d"] == d)
            if len(n):
                out[:, n, c] = self._differenced(adjusted[:, n, c], n, c, d, later.shape[-1])
        return out + later

    def _differenced(self, lines: np.ndarray, n: np.ndarray, c: np.ndarray, d: int, horizon: int) -> np.ndarray:
        """(B, K, H) forecasts of lines (B, K, L): series `n` and targets `c` (K,), all of `d` differences."""
        d = min(d, lines.shape[-1] - 1)
        ends = [np.diff(lines, k)[..., -1] for k in range(d)]  # newest value of each difference: (B, K)
        constant = self.arrays_["constant"][n, c]  # (K,)
        change = np.diff(lines, d) - constant[:, None]  # (B, K, L-d)
        ahead = self._run(change, self.arrays_["ar"][n, c], self.arrays_["ma"][n, c], horizon)
        ahead = ahead + constant[:, None]
        for end in reversed(ends):
            ahead = end[..., None] + ahead.cumsum(-1)
        return ahead

    def _run(self, change: np.ndarray, ar: np.ndarray, ma: np.ndarray, horizon: int) -> np.ndarray:
        """(B, K, H) forecasts of centred changes (B, K, L'), with ar (K, p) and ma (K, q)."""
        rows, p, q = change.shape[-1], ar.shape[-1], ma.shape[-1]
        past = np.zeros((*change.shape[:2], p + rows + horizon))  # (B, K, p+L'+H), zero before the window
        past[..., p : p + rows] = change
        errors = np.zeros((*change.shape[:2], q + rows + horizon))  # (B, K, q+L'+H), zero before and after it
        for t in range(rows + horizon):
            said = (past[..., t : t + p][..., ::-1] * ar).sum(-1) + (errors[..., t : t + q][..., ::-1] * ma).sum(-1)
            if t >= rows:
                past[..., p + t] = said
            elif t >= p:  # the first rows have no past to judge them by
                errors[..., q + t] = past[..., p + t] - said
        return past[..., p + rows :]
