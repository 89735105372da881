"""River is the second witness: the same alarms at the same steps, stream by stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from river import drift
from scipy import stats

from forecast.detect import ADWIN, KSWIN, Detector, PageHinkley
from forecast.detect.harness import weather_like
from forecast.detect.kswin import gap, p_value

STEPS = 3_000


def streams() -> np.ndarray:
    """Twelve kinds of errors, (T, 12)."""
    rng = np.random.default_rng(2024)
    step = np.arange(STEPS)
    block = step // 600
    noise = rng.normal(size=(STEPS, 4))
    walk = np.cumsum(rng.normal(size=STEPS)) * 0.05
    return np.stack(
        [
            (rng.random(STEPS) < 0.2).astype(float),  # Bernoulli
            (rng.random(STEPS) < np.array([0.1, 0.6, 0.3, 0.9, 0.1])[block]).astype(float),  # Bernoulli, shifting
            noise[:, 0],  # Gaussian
            noise[:, 1] + 2 * block,  # Gaussian, rising
            noise[:, 2] * 0.2 + np.array([1, 3, 0, 1, -4])[block],  # Gaussian, up and down
            noise[:, 3] * (1 + block),  # Gaussian, widening
            stats.t.rvs(1.5, size=STEPS, random_state=rng),  # heavy tails
            rng.pareto(1.2, STEPS),  # heavy tail upwards
            step / 500 + rng.normal(size=STEPS) * 0.5,  # drifting
            walk,  # wandering
            rng.integers(0, 4, STEPS) + 3.0 * (step > 1_700),  # many ties
            weather_like(1, STEPS, 1)[:, 0] * np.where(step > 2_000, 2.0, 1.0),
        ],
        axis=1,
    )


def both(ours: Detector, theirs: Callable[[], Any], error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each alarms, (T, S) twice."""
    mine = np.array([ours.update(values) == 2 for values in error])
    peers = [theirs() for _ in range(error.shape[1])]
    other = np.zeros_like(mine)
    for t, values in enumerate(error.tolist()):
        for s, (peer, value) in enumerate(zip(peers, values, strict=True)):
            peer.update(value)
            other[t, s] = peer.drift_detected
    return mine, other


PAGE_HINKLEY: list[dict[str, Any]] = [
    {},
    {"mode": "up", "threshold": 10.0},
    {"mode": "down", "threshold": 10.0, "delta": 0.05},
    {"mode": "both", "threshold": 5.0, "alpha": 0.99, "min_instances": 5},
    {"threshold": 0.5, "delta": 0.3, "min_instances": 1},
]


@pytest.mark.parametrize("parameters", PAGE_HINKLEY, ids=str)
def test_page_hinkley_alarms_as_river(parameters: dict[str, Any]) -> None:
    mine, other = both(PageHinkley(**parameters), lambda: drift.PageHinkley(**parameters), streams())
    np.testing.assert_array_equal(mine, other)
    assert other.sum() > 10


ADWINS: list[dict[str, Any]] = [
    {},
    {"delta": 0.3, "clock": 1},
    {"delta": 0.05, "clock": 10, "max_buckets": 2, "min_window_length": 1, "grace_period": 1},
    {"delta": 1e-6, "clock": 7, "max_buckets": 9, "min_window_length": 20, "grace_period": 100},
]


@pytest.mark.parametrize("parameters", ADWINS, ids=str)
def test_adwin_alarms_as_river(parameters: dict[str, Any]) -> None:
    mine, other = both(ADWIN(**parameters), lambda: drift.ADWIN(**parameters), streams())
    np.testing.assert_array_equal(mine, other)
    assert other.sum() > 10


def test_kswin_alarms_as_river() -> None:
    error = streams()[:, 2:]
    mine, other = both(KSWIN(seed=0), lambda: drift.KSWIN(seed=0), error)
    np.testing.assert_array_equal(mine, other)
    assert other.sum() > 10


def test_kswin_parameters_are_rivers() -> None:
    parameters: dict[str, Any] = {"alpha": 0.01, "window_size": 40, "stat_size": 12, "seed": 7}
    mine, other = both(KSWIN(**parameters), lambda: drift.KSWIN(**parameters), streams()[400:800])
    np.testing.assert_array_equal(mine, other)
    assert other.sum() > 10


def test_levels_are_the_means_river_keeps() -> None:
    error = streams()[:1_000, 4]
    ours, theirs = (ADWIN(), PageHinkley(threshold=20.0)), (drift.ADWIN(), drift.PageHinkley(threshold=20.0))
    peer: Any
    for value in error:
        for mine, peer in zip(ours, theirs, strict=True):
            signal = mine.update([value])
            peer.update(value)
            kept = peer.estimation if isinstance(peer, drift.ADWIN) else peer._x_mean.get()
            if signal[0] == 0:  # at an alarm ADWIN already gives the mean of the newer part alone
                assert mine.level[0] == kept


def test_adwin_level_after_an_alarm_is_that_of_the_newer_part() -> None:
    detector = ADWIN()
    for value in [0.1] * 200 + [0.9] * 24:
        signal = detector.update([value])
    assert signal[0] == 2
    assert detector.level[0] == pytest.approx(0.9)


@pytest.mark.filterwarnings("ignore:ks_2samp")  # where rounding lifts scipy's exact value above 1, it takes another
@pytest.mark.parametrize("size", [1, 5, 12, 30, 100])
def test_p_value_is_scipys(size: int) -> None:
    low = np.arange(size, dtype=float)
    for g in range(size + 1):
        shifted = low + g - 0.5 * (g > 0)
        assert gap(low[None], shifted[None])[0] == g
        assert p_value(g, size) == pytest.approx(stats.ks_2samp(low, shifted, method="exact").pvalue, rel=1e-12)


def test_gap_with_ties_is_scipys() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 6, (200, 20)).astype(float), rng.integers(1, 7, (200, 20)).astype(float)
    expected = [round(20 * stats.ks_2samp(a, b).statistic) for a, b in zip(left, right, strict=True)]
    np.testing.assert_array_equal(gap(left, right), expected)
