"""Ratio against a slow loop, and its rule in words."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from forecast.detect import PageHinkley, Ratio
from forecast.errors import SchemaError


def slow(error: np.ndarray, delta: float, window: int, min_checks: int, reference: float | None) -> list[int]:
    last: deque[float] = deque(maxlen=window)
    signal = []
    for t, value in enumerate(error, start=1):
        last.append(value)
        level = sum(last) / len(last)
        if t == min_checks and reference is None:
            reference = level
        if t < min_checks or reference is None:
            signal.append(0)
        else:
            signal.append(2 if level > reference * (1 + delta) else int(level > reference * (1 + delta / 2)))
    return signal


@pytest.mark.parametrize(("delta", "window", "min_checks"), [(0.1, 48, 24), (0.3, 5, 5), (0.0, 1, 1), (0.5, 168, 24)])
@pytest.mark.parametrize("reference", [None, 0.9])
def test_ratio_is_the_rule(delta: float, window: int, min_checks: int, reference: float | None) -> None:
    error = np.random.default_rng(0).gamma(2, 0.5, (1_000, 8)) * np.linspace(1, 2, 1_000)[:, None]
    detector = Ratio(delta, window, min_checks)
    detector.reset(reference=None if reference is None else np.full(8, reference))
    signal = np.array([detector.update(values) for values in error])
    for s in range(8):
        assert signal[:, s].tolist() == slow(error[:, s], delta, window, min_checks, reference)


def test_learned_reference_is_the_mean_of_the_first_checks_and_stays() -> None:
    detector = Ratio(window=4, min_checks=2)
    for value in (1.0, 3.0, 9.0, 9.0):
        detector.update([value])
    assert detector.reference[0] == 2.0
    assert detector.level[0] == 5.5
    detector.reset()
    assert np.isnan(detector.reference[0])


def test_no_signal_before_min_checks_whatever_the_reference() -> None:
    detector = Ratio(window=4, min_checks=3)
    detector.reset(reference=[1.0])
    assert [int(detector.update([9.0])[0]) for _ in range(4)] == [0, 0, 2, 2]
    detector.reset([True], reference=9.0)
    assert [int(detector.update([9.0])[0]) for _ in range(4)] == [0, 0, 0, 0]


def test_a_passing_spike_leaves_no_rounding_behind() -> None:
    detector = Ratio(window=10, min_checks=10)
    for value in [0.1] * 20 + [1e15] + [0.1] * 30:
        detector.update([value])
    assert detector.level[0] == pytest.approx(0.1, rel=1e-15)


def test_negative_losses_are_refused() -> None:
    with pytest.raises(SchemaError, match=r"1 errors are not finite and >= 0 \(stream 1: -0.5\)"):
        Ratio().update([0.1, -0.5])


def test_page_hinkley_with_a_reference_sees_what_is_too_high_from_the_start() -> None:
    high = np.full(40, 1.5)
    known, blind = PageHinkley(mode="up", delta=0.2, threshold=2.0), PageHinkley(mode="up", delta=0.2, threshold=2.0)
    known.reset(reference=np.array([1.0]))
    alarms = [[int(d.update([e])[0]) for e in high].index(2) if d is known else None for d in (known, blind)]
    total, expected = 0.0, 0
    while total <= 2.0:  # a slow witness: the lowest point is the first sum
        total += 0.3 if expected else 0.0
        expected += 1
    assert alarms[0] == expected - 1
    assert all(int(blind.update([e])[0]) == 0 for e in high)
