"""Every detector of the package keeps the same promises; two planted bad ones show that the checks bite."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from forecast.detect import ADWIN, KSWIN, Detector, Never, PageHinkley, Ratio, Signal, harness
from forecast.errors import NotFittedError, SchemaError

SENSITIVE = {  # small windows, so that short streams raise many alarms; other classes run at their defaults
    ADWIN: ADWIN(delta=0.1, clock=8, max_buckets=3),
    KSWIN: KSWIN(alpha=0.02, window_size=24, stat_size=10, seed=3),
    PageHinkley: PageHinkley(min_instances=10, threshold=4.0),
    Ratio: Ratio(delta=0.2, window=12, min_checks=6),
    harness.EveryK: harness.EveryK(17),
}


def subclasses(base: Any) -> Iterator[type[Detector]]:
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


FOUND = sorted({c for c in subclasses(Detector) if c.__module__.startswith("forecast.")}, key=lambda c: c.__name__)


def new(kind: type[Detector]) -> Detector:
    return copy.deepcopy(SENSITIVE[kind]) if kind in SENSITIVE else kind()


def streams(steps: int = 400, count: int = 7) -> np.ndarray:
    """Losses (T, S) with a shift in the middle, different in each stream."""
    rng = np.random.default_rng(5)
    error = rng.gamma(4, 0.25, (steps, count))
    error[steps // 2 :] *= np.linspace(0.5, 4, count)
    error[:, 0] = rng.random(steps) < np.where(np.arange(steps) < steps // 2, 0.2, 0.7)
    return error


def watch(detector: Detector, error: np.ndarray) -> np.ndarray:
    return np.array([detector.update(values) for values in error])


def check_signals(kind: type[Detector]) -> None:
    signal = watch(new(kind), streams())
    assert signal.dtype == np.int8
    assert set(np.unique(signal)) <= set(Signal)
    assert (signal == Signal.DRIFT).any() == (kind is not Never)


def check_repeats(kind: type[Detector]) -> None:
    np.testing.assert_array_equal(watch(new(kind), streams()), watch(new(kind), streams()))


def check_round_trip(kind: type[Detector]) -> None:
    error, first, second = streams(), new(kind), new(kind)
    assert new(kind).state() == json.loads(json.dumps(new(kind).state(), allow_nan=False))
    for cut in (1, 37, 205, 230):
        first = new(kind)
        watch(first, error[:cut])
        second.restore(json.loads(json.dumps(first.state(), allow_nan=False)))
        np.testing.assert_array_equal(watch(first, error[cut:]), watch(second, error[cut:]))
        assert first.state() == second.state()
        np.testing.assert_array_equal(first.level, second.level)
        np.testing.assert_array_equal(first.reference, second.reference)


def check_no_news(kind: type[Detector]) -> None:
    """NaN anywhere in between changes nothing: the signals of the news alone are those of a stream without NaN."""
    error = streams()
    steps, count = error.shape
    at = np.sort(np.random.default_rng(0).permuted(np.tile(np.arange(2 * steps), (count, 1)), axis=1)[:, :steps].T, 0)
    sparse = np.full((2 * steps, count), np.nan)  # (2T, S)
    np.put_along_axis(sparse, at, error, axis=0)
    detector = new(kind)
    signal = watch(detector, sparse)
    np.testing.assert_array_equal(np.take_along_axis(signal, at, axis=0), watch(new(kind), error))
    assert not signal[np.isnan(sparse)].any()
    before = detector.state()
    assert not detector.update(np.full(count, np.nan)).any()
    assert detector.state() == before


def check_independent(kind: type[Detector]) -> None:
    error = streams()
    together = watch(new(kind), error)
    order = np.random.default_rng(1).permutation(error.shape[1])
    np.testing.assert_array_equal(watch(new(kind), error[:, order]), together[:, order])
    for s in range(error.shape[1]):
        np.testing.assert_array_equal(watch(new(kind), error[:, [s]])[:, 0], together[:, s])


def check_reset(kind: type[Detector]) -> None:
    """A reset stream goes on as a new one, the others as if nothing had happened."""
    error, detector, untouched = streams(), new(kind), new(kind)
    chosen = np.arange(error.shape[1]) % 2 == 0
    watch(detector, error[:123])
    detector.reset(chosen)
    after = watch(detector, error[123:])
    np.testing.assert_array_equal(after[:, chosen], watch(new(kind), error[123:, chosen]))
    np.testing.assert_array_equal(after[:, ~chosen], watch(untouched, error)[123:, ~chosen])
    detector.reset()
    np.testing.assert_array_equal(watch(detector, error), watch(new(kind), error))
    detector.reset(chosen, reference=2.5)
    assert (detector.reference[chosen] == 2.5).all()


def check_properties(kind: type[Detector]) -> None:
    error, detector = streams(), new(kind)
    for name in ("level", "reference"):
        with pytest.raises(NotFittedError, match="call update first"):
            getattr(detector, name)
    detector.reset()  # nothing to forget yet
    detector.reset(reference=np.ones(7))
    np.testing.assert_array_equal(detector.reference, np.ones(7))
    assert np.isnan(detector.level).all()
    watch(detector, error)
    assert detector.level.shape == detector.reference.shape == (7,)
    detector.reference[:] = 99.0  # a copy
    assert not (detector.reference == 99.0).any()
    assert repr(detector).startswith(kind.__name__ + "(")


def check_errors(kind: type[Detector]) -> None:
    detector = new(kind)
    for wrong in (1.0, np.ones((2, 3))):
        with pytest.raises(SchemaError, match=r"shape \(streams,\)"):
            detector.update(wrong)
    with pytest.raises(SchemaError, match="one reference per stream"):
        detector.reset(reference=1.0)
    detector.update(np.ones(3))
    with pytest.raises(SchemaError, match=r"shape \(3,\), as at the first update, given \(4,\)"):
        detector.update(np.ones(4))
    with pytest.raises(SchemaError, match=r"2 errors are not finite.*stream 1: inf, stream 2: -inf.*Give NaN"):
        detector.update([1.0, np.inf, -np.inf])
    with pytest.raises(SchemaError, match="3 booleans"):
        detector.reset(streams=[0, 1, 2])
    with pytest.raises(SchemaError, match="one number or 3"):
        detector.reset(reference=[1.0, 2.0])
    state = detector.state()
    with pytest.raises(SchemaError, match="use equal ones"):
        new(kind).restore({**state, "parameters": {"other": 1}})
    state["arrays"].popitem()
    with pytest.raises(SchemaError, match="must hold"):
        new(kind).restore(state)


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("kind", FOUND, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[type[Detector]], None], kind: type[Detector]) -> None:
    check(kind)


def test_all_detectors_are_found() -> None:
    assert {c.__name__ for c in FOUND} == {"ADWIN", "EveryK", "KSWIN", "Never", "PageHinkley", "Ratio"}


class Mingling(Ratio):
    """Bad: gives each stream the mean of all."""

    def _step(self, state, error):
        return super()._step(state, np.full_like(error, error.sum() / 7))


class Forgetful(PageHinkley):
    """Bad: keeps a count where the saved state does not see it."""

    _count = 0

    def _step(self, state, error):
        self._count += 1
        return super()._step(state, error * (1 + self._count % 50))


@pytest.mark.parametrize(
    ("check", "kind"),
    [(check_independent, Mingling), (check_no_news, Mingling), (check_round_trip, Forgetful)],
)
def test_checks_catch_bad_detectors(check: Callable[[type[Detector]], None], kind: type[Detector]) -> None:
    with pytest.raises(AssertionError):
        check(kind)


@pytest.mark.parametrize(
    ("detector", "rule"),
    [
        (Ratio(delta=-1), "delta must be >= 0"),
        (Ratio(window=10, min_checks=11), "min_checks must be from 1 to window"),
        (PageHinkley(mode="sideways"), "mode must be"),  # type: ignore[arg-type]
        (PageHinkley(alpha=0), "alpha must be"),
        (ADWIN(delta=2, clock=0), "delta must be .*; clock must be"),
        (ADWIN(max_buckets=1), "max_buckets must be >= 2"),
        (KSWIN(window_size=50), "window_size must be >= 2"),
        (KSWIN(alpha=0), "alpha must be"),
    ],
    ids=str,
)
def test_parameters_are_checked_at_the_first_update(detector: Detector, rule: str) -> None:
    with pytest.raises(SchemaError, match=rule):
        detector.update([1.0])
