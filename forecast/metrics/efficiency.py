"""Error against compute: dC, dE, ENC and the Pareto front.

ENC, the error normalised to compute, is our own definition: (E / E_ref) * (C / C_ref). E and C are reported apart as
well, so that any other normalisation can be computed. The reference is the same model, retrained every tick on its full
history.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.errors import SchemaError


@dataclass(frozen=True)
class Efficiency:
    """One configuration beside its reference.

    Args:
        error, error_ref: E, in one unit, on identical pairs. cost, cost_ref: C, CPU seconds over the same ticks.

    Raises:
        SchemaError: a negative error or cost.

    A reference of zero makes the ratio NaN.

    >>> e = Efficiency(error=0.9, error_ref=1.0, cost=4.0, cost_ref=40.0)
    >>> round(e.d_error, 6), round(e.d_cost, 6), round(e.enc, 6), round(e.improvement, 6)
    (-10.0, -90.0, 0.09, 91.0)
    """

    error: float
    error_ref: float
    cost: float
    cost_ref: float

    def __post_init__(self) -> None:
        for name in ("error", "error_ref", "cost", "cost_ref"):
            if getattr(self, name) < 0:
                raise SchemaError(f"{name} is {getattr(self, name)}: errors and costs are at least 0")

    @property
    def d_error(self) -> float:
        """dE in per cent: 100 (E / E_ref - 1); below 0 is better."""
        return 100 * (_ratio(self.error, self.error_ref) - 1)

    @property
    def d_cost(self) -> float:
        """dC in per cent: 100 (C / C_ref - 1); below 0 is cheaper."""
        return 100 * (_ratio(self.cost, self.cost_ref) - 1)

    @property
    def enc(self) -> float:
        """Error normalised to compute; 1 for the reference itself, lower is better."""
        return _ratio(self.error, self.error_ref) * _ratio(self.cost, self.cost_ref)

    @property
    def improvement(self) -> float:
        """In per cent: 100 (1 - ENC)."""
        return 100 * (1 - self.enc)


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else float("nan")


def pareto(cost: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Which configurations no other one beats: none is as cheap and as good, and better in one of the two.

    Args:
        cost, error: (M,) and (M,), lower is better; one with a NaN is never on the front.

    Returns:
        (M,) bool; equal twins are both on it.

    Raises:
        SchemaError: shapes that differ, or not one axis.

    >>> pareto(np.array([1.0, 2.0, 3.0]), np.array([5.0, 6.0, 4.0])).tolist()
    [True, False, True]
    """
    if cost.shape != error.shape or cost.ndim != 1:
        raise SchemaError(f"cost has shape {cost.shape} and error {error.shape}: both must be (M,)")
    known = ~(np.isnan(cost) | np.isnan(error))  # (M,)
    prices, which = np.unique(cost[known], return_inverse=True)  # (U,), (K,)
    best = np.full(prices.size + 1, np.inf)  # (U + 1,): least error at each price, after a sentinel
    np.minimum.at(best, which + 1, error[known])
    cheaper = np.minimum.accumulate(best)[:-1]  # (U,): least error at any lower price
    front = np.zeros(cost.shape, bool)  # (M,)
    front[known] = (error[known] == best[1:][which]) & (error[known] < cheaper[which])
    return front
