"""What a check says when a model breaks its promise."""

from __future__ import annotations

import numpy as np

from forecast.errors import ForecastError
from forecast.result import Forecast


class ContractError(ForecastError, AssertionError):
    """A model breaks the contract; the message says which promise, and what was found."""


def expect(kept: bool, message: str) -> None:
    """Raise `ContractError(message)` unless the promise was kept."""
    if not kept:
        raise ContractError(message)


def expect_same(found: Forecast, wanted: Forecast, promise: str, tolerance: float = 1e-6) -> None:
    """Both forecasts have the same statuses and, within `tolerance` (relative above 1, absolute below), numbers."""
    expect(found.series == wanted.series, f"{promise}: series {found.series} instead of {wanted.series}")
    expect(found.status == wanted.status, f"{promise}: statuses {found.status} instead of {wanted.status}")
    shapes = found.quantiles.shape, wanted.quantiles.shape
    expect(shapes[0] == shapes[1], f"{promise}: shapes {shapes[0]} and {shapes[1]}")
    gap = np.abs(found.quantiles - wanted.quantiles) / np.maximum(1, np.abs(wanted.quantiles))  # (N, H, C, Q)
    worst = float(np.nanmax(gap, initial=0.0))
    expect(worst <= tolerance, f"{promise}: forecasts differ by up to {worst:.3g} (relative)")


def expect_fine(forecast: Forecast, promise: str) -> None:
    """Every series is ok (so the numbers are finite: `Forecast` sees to that)."""
    expect(bool(forecast.ok.all()), f"{promise}: statuses {dict(zip(forecast.series, forecast.status, strict=True))}")
    expect(bool(np.isfinite(forecast.quantiles).all()), f"{promise}: numbers are not finite")
