"""Reducers: how much of the history is worth training on."""

from forecast.reduce.panel_horizon import VarianceHorizon
from forecast.reduce.reducer import Reducer, reduced
from forecast.reduce.reduction import Reduction
from forecast.reduce.simple import Full, Last, Thin
from forecast.reduce.taper import Taper
from forecast.reduce.variance_horizon import HorizonSearch, variance_horizon

__all__ = [
    "Full",
    "HorizonSearch",
    "Last",
    "Reducer",
    "Reduction",
    "Taper",
    "Thin",
    "VarianceHorizon",
    "reduced",
    "variance_horizon",
]
