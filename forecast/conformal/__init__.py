"""Conformal intervals: a point and its past errors become quantiles that cover what they say.

`quantiles` is split conformal with the exact rank of a finite sample; an `Adaptive` rule moves such quantiles with the
errors that come in, where the future is not like the past. All of it is array arithmetic over many streams at once.
"""

from forecast.conformal.aci import ACI
from forecast.conformal.adaptive import Adaptive, Fixed
from forecast.conformal.split import needed, quantiles, ranks, with_all_leads
from forecast.conformal.tracking import Tracking

__all__ = ["ACI", "Adaptive", "Fixed", "Tracking", "needed", "quantiles", "ranks", "with_all_leads"]
