"""The harness measures what is known by reasoning for its dummies, and prefers what its rule says."""

from __future__ import annotations

import numpy as np
import pytest

from forecast.detect import Never, PageHinkley
from forecast.detect.harness import EveryK, Quality, Simulator, Trial, best, judge, weather_like, white

SMALL = Trial(white, streams=20, calm=500, horizon=100, shifts=(0.5, 1.0))


def test_never_has_no_false_alarm_and_misses_all() -> None:
    quality = judge(Never(), SMALL)
    assert quality == Quality(0.0, {0.5: 100.0, 1.0: 100.0}, {0.5: 1.0, 1.0: 1.0})


def test_every_k_alarms_as_often_as_it_says_and_never_late() -> None:
    quality = judge(EveryK(20), SMALL)
    assert quality.false_alarms == pytest.approx(50.0, rel=0.05)
    assert max(quality.delay.values()) <= 20
    assert set(quality.missed.values()) == {0.0}


def test_a_detector_sees_larger_shifts_sooner() -> None:
    quality = judge(PageHinkley(threshold=3.0, delta=0.1), SMALL)
    assert quality.delay[1.0] < quality.delay[0.5] < 100
    assert quality.false_alarms < 5


def test_best_takes_the_quickest_of_the_calm() -> None:
    calm, quick, nervous = (Quality(f, {1.0: d}, {1.0: 0.0}) for f, d in ((1.0, 50.0), (4.0, 20.0), (9.0, 2.0)))
    tried = [(EveryK(k), q) for k, q in enumerate((calm, quick, nervous), start=1)]
    assert best(tried)[1] is quick
    assert best(tried, most_false_alarms=0.5)[1] is calm


@pytest.mark.parametrize("simulate", [weather_like, white])
def test_simulated_errors_are_losses_of_mean_one(simulate: Simulator) -> None:
    error = simulate(0, 2_000, 200)
    assert error.shape == (2_000, 200)
    assert error.min() >= 0
    assert error.mean() == pytest.approx(1, abs=0.02)


def test_weather_like_errors_remember_the_hour_before() -> None:
    log = np.log(weather_like(3, 3_000, 50))
    log -= log.mean(axis=0)
    assert 0.7 < (log[1:] * log[:-1]).mean() / log.var() < 0.95
