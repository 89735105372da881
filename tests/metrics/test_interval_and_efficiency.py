"""Finite-sample ranges, ranks, dC, dE, ENC and the Pareto front, each with a second witness."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.errors import SchemaError, ShortHistoryError
from forecast.metrics import Efficiency, conformal_rank, coverage_range, pareto

NUMBER = st.one_of(st.integers(0, 5).map(float), st.just(float("nan")))


@pytest.mark.parametrize(("n", "nominal"), [(1, 0.5), (20, 0.8), (50, 0.9), (200, 0.5)])
def test_range_agrees_with_scipy(n: int, nominal: float) -> None:
    binom = pytest.importorskip("scipy.stats").binom
    low, high = (int(k) for k in binom.ppf([0.025, 0.975], n, nominal))
    assert coverage_range(n, nominal) == pytest.approx((low / n, high / n))


def test_range_holds_calibrated_coverages() -> None:
    low, high = coverage_range(40, 0.8, confidence=0.9)
    shares = np.random.default_rng(0).binomial(40, 0.8, 20_000) / 40  # (20000,)
    assert 0.89 < ((shares >= low - 1e-9) & (shares <= high + 1e-9)).mean() < 1


def test_rank_of_exchangeable_errors_covers() -> None:
    """The rank-th of n sorted errors is at least the next one with probability rank / (n + 1) >= nominal."""
    rng, n, nominal = np.random.default_rng(0), 19, 0.8
    errors = np.sort(rng.random((20_000, n)), axis=1)  # (20000, n)
    covered = (rng.random(20_000) <= errors[:, conformal_rank(n, nominal) - 1]).mean()
    assert covered == pytest.approx(16 / 20, abs=0.01)


@pytest.mark.parametrize(("n", "nominal", "rank"), [(9, 0.7, 7), (9, 0.9, 9), (99, 0.95, 95), (10, 0.8, 9)])
def test_rank_has_no_rounding_error(n: int, nominal: float, rank: int) -> None:
    assert conformal_rank(n, nominal) == rank


def test_too_few_errors_say_how_many() -> None:
    with pytest.raises(ShortHistoryError, match="at least 9 are needed"):
        conformal_rank(8, 0.9)
    with pytest.raises(SchemaError, match="inside"):
        coverage_range(10, 1.0)


def test_the_abstracts_claim_in_our_terms() -> None:
    """Error down 10 %, compute down 99.67 %: 99.7 % better on error normalised to compute."""
    best = Efficiency(error=0.9, error_ref=1.0, cost=0.0033, cost_ref=1.0)
    assert best.improvement == pytest.approx(99.7, abs=0.01)
    assert (best.d_error, best.d_cost) == (pytest.approx(-10), pytest.approx(-99.67))
    assert best.enc == pytest.approx((1 + best.d_error / 100) * (1 + best.d_cost / 100))


def test_the_reference_is_one_and_zero_is_undefined() -> None:
    same = Efficiency(2.0, 2.0, 3.0, 3.0)
    assert (same.d_error, same.d_cost, same.enc, same.improvement) == (0, 0, 1, 0)
    assert math.isnan(Efficiency(1.0, 0.0, 1.0, 1.0).enc)
    with pytest.raises(SchemaError, match="cost is -1"):
        Efficiency(1.0, 1.0, -1.0, 1.0)


@settings(max_examples=200, deadline=None)
@given(points=st.lists(st.tuples(NUMBER, NUMBER), max_size=12))
def test_front_equals_all_against_all(points: list[tuple[float, float]]) -> None:
    cost, error = np.array(points).reshape(-1, 2).T  # (M,), (M,)
    expected = [
        not (math.isnan(c) or math.isnan(e)) and not any(a <= c and b <= e and (a < c or b < e) for a, b in points)
        for c, e in points
    ]
    assert pareto(cost, error).tolist() == expected


def test_front_falls() -> None:
    cost, error = np.random.default_rng(0).random((2, 500))  # (M,), (M,)
    front = pareto(cost, error)  # (M,)
    ordered = error[front][np.argsort(cost[front])]  # (K,)
    assert front.any()
    assert all(a > b for a, b in pairwise(ordered))
    with pytest.raises(SchemaError):
        pareto(cost, error[:-1])
