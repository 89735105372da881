"""Reversal accuracy against a slow loop and scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.errors import SchemaError
from forecast.metrics import ReversalTally, turns

NAN = float("nan")


def paths(seed: int, shape: tuple[int, ...] = (5, 12), gaps: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, shape).astype(float)  # (..., T), with ties
    return np.where(rng.random(shape) < gaps, NAN, values)


def slow_turn(a: float, b: float, c: float) -> int:
    if np.isnan(a + b + c):
        return -1
    return 1 if b > a and b > c else 2 if b < a and b < c else 0


def score(truth: np.ndarray, point: np.ndarray, tolerance: int = 0) -> ReversalTally:
    tally = ReversalTally(tolerance)
    tally.update(truth, point)
    return tally


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_turns_equal_the_slow_loop(seed: int) -> None:
    x = paths(seed)
    assert turns(x).tolist() == [[slow_turn(*row[i : i + 3]) for i in range(10)] for row in x.tolist()]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_balanced_accuracy_equals_sklearn(seed: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    x, y = paths(2 * seed), paths(2 * seed + 1)
    true, said = turns(x).ravel(), turns(y).ravel()  # (N * S,), (N * S,)
    known = (true >= 0) & (said >= 0)  # (N * S,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that only the forecast has
        expected = sklearn.balanced_accuracy_score(true[known], said[known]) if known.any() else NAN
    tally = score(x, y)
    assert tally.value == pytest.approx(expected, nan_ok=True)
    assert tally.left_out == (~known).sum()
    assert tally.of.sum() == known.sum()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 12))
def test_tolerance_equals_the_slow_loop_and_never_hurts(seed: int, k: int) -> None:
    x, y = paths(2 * seed), paths(2 * seed + 1)
    hits, of = np.zeros(3, int), np.zeros(3, int)
    for true, said in zip(turns(x), turns(y), strict=True):
        for i in range(true.size):
            if true[i] < 0 or said[i] < 0:
                continue
            near = slice(max(0, i - k), i + k + 1)
            late = true[i] > 0 and true[i] in said[near]
            belongs = true[i] == 0 and said[i] > 0 and said[i] in true[near]
            of[true[i]] += 1
            hits[true[i]] += true[i] == said[i] or late or belongs
    tally = score(x, y, k)
    assert (tally.hits.tolist(), tally.of.tolist()) == (hits.tolist(), of.tolist())
    assert (tally.hits >= score(x, y).hits).all()


def test_perfect_is_one_and_never_turning_is_chance() -> None:
    x = paths(0, (20, 50), gaps=0.0)
    assert score(x, x).value == 1
    assert score(x, np.zeros_like(x)).value == pytest.approx(1 / 3)


def test_a_forecast_without_knowledge_is_chance() -> None:
    rng = np.random.default_rng(0)
    assert score(rng.normal(size=(200, 100)), rng.normal(size=(200, 100))).value == pytest.approx(1 / 3, abs=0.01)


def test_one_step_late_is_forgiven_by_one_step() -> None:
    x = np.array([0.0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 4])
    late = np.array([9.0, *x[:-1]])
    assert score(x, late).recall[1:].tolist() == [0, 0]
    assert score(x, late, tolerance=1).recall[1:].tolist() == [1, 1]


def test_chunks_of_series_equal_the_whole() -> None:
    x, y = paths(1), paths(2)
    merged = score(x[:2], y[:2], 1).merge(score(x[2:], y[2:], 1))
    whole = score(x, y, 1)
    assert (merged.value, merged.left_out) == (whole.value, whole.left_out)


def test_short_paths_and_wrong_input() -> None:
    assert np.isnan(score(np.zeros((3, 2)), np.zeros((3, 2)), 2).value)
    with pytest.raises(SchemaError, match="at least 0"):
        ReversalTally(-1)
    with pytest.raises(SchemaError, match="the same"):
        score(np.zeros(3), np.zeros(4))
    with pytest.raises(SchemaError, match="cannot merge"):
        ReversalTally(0).merge(ReversalTally(1))
