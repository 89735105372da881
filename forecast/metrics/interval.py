"""What a finite sample can say about intervals: the range of a calibrated coverage, the conformal rank."""

from __future__ import annotations

import math
from fractions import Fraction

from forecast.errors import SchemaError, ShortHistoryError


def coverage_range(n: int, nominal: float, confidence: float = 0.95) -> tuple[float, float]:
    """Coverages that a calibrated forecast shows on n independent pairs; outside it, the intervals are wrong.

    Args:
        n: number of pairs, at least 1. Hourly errors lean on their neighbours: give the number of independent ones.
        nominal: coverage promised, inside (0, 1).
        confidence: probability of falling inside the range, at least: exact binomial, both tails equal.

    Raises:
        SchemaError: n below 1, or a share outside (0, 1).

    >>> coverage_range(50, 0.8)
    (0.68, 0.9)
    """
    _check_shares(n, nominal, confidence)
    tail = (1 - confidence) / 2
    mass = [_binomial(k, n, nominal) for k in range(n + 1)]
    return _tail_start(mass, tail) / n, 1 - _tail_start(mass[::-1], tail) / n


def _binomial(k: int, n: int, p: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))


def _tail_start(mass: list[float], tail: float) -> int:
    """Most outcomes that can be cut from the left without cutting more than `tail`."""
    below = 0.0
    for k, share in enumerate(mass):
        below += share
        if below > tail:
            return k
    return len(mass) - 1


def conformal_rank(n: int, nominal: float) -> int:
    """Rank, from 1, of the sorted calibration error that covers `nominal` in a finite sample: ceil((n + 1) * nominal).

    Source: Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 113 (2018), section 2.2.

    Raises:
        SchemaError: n below 1, or nominal outside (0, 1).
        ShortHistoryError: n is too small for that coverage; the message names how many are needed.

    >>> conformal_rank(99, 0.8)
    80
    """
    _check_shares(n, nominal)
    exact = Fraction(str(nominal))  # 0.7 means 7/10, not its binary neighbour
    rank = math.ceil((n + 1) * exact)
    if rank > n:
        needed = math.ceil(exact / (1 - exact))
        raise ShortHistoryError(f"{n} calibration errors cannot cover {nominal:g}: at least {needed} are needed")
    return rank


def _check_shares(n: int, *shares: float) -> None:
    if n < 1 or not all(0 < share < 1 for share in shares):
        raise SchemaError(f"n = {n} must be at least 1, and {list(shares)} must lie inside (0, 1)")
