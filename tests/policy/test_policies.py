"""When to retrain: every rule against its own words, and against laws that must hold for any errors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.detect import ADWIN, KSWIN, Detector, PageHinkley, Ratio
from forecast.detect import Never as NoDetector
from forecast.errors import SchemaError
from forecast.policy import Action, Always, Decision, Every, Limits, Never, OnDrift, Policy, Situation

HOUR = timedelta(hours=1)
T0 = datetime(2020, 1, 1, tzinfo=UTC)
NAN = float("nan")
DETECTORS: list[Callable[[], Detector]] = [
    lambda: Ratio(delta=0.1, window=6, min_checks=3),
    lambda: PageHinkley(min_instances=3, delta=0.1, threshold=2.0, mode="up"),
    lambda: ADWIN(delta=0.1, clock=4),
    lambda: KSWIN(alpha=0.05, window_size=16, stat_size=6, seed=1),
    NoDetector,
]


class Story:
    """What a fleet does with a policy: train when told, remember when, count what was refused or failed.

    `ending` says how the k-th training ends: "promoted", "refused" or "failed", with the reference it measures.
    """

    def __init__(
        self, policy: Policy, ending: Callable[[int], tuple[str, float]] = lambda k: ("promoted", 1.0)
    ) -> None:
        self.policy, self.ending = policy, ending
        self.trained_at: datetime | None = None
        self.attempted_at: datetime | None = None
        self.failures = self.hour = 0
        self.attempts: list[int] = []
        self.decisions: list[Decision] = []

    def hours(self, errors: Sequence[float]) -> Story:
        for error in errors:
            self._hour(error)
        return self

    def _hour(self, error: float) -> None:
        slot = T0 + self.hour * HOUR
        decision = self.policy.decide(Situation(slot, self.trained_at, self.attempted_at, self.failures, error))
        self.decisions.append(decision)
        if decision.action == Action.RETRAIN:
            end, reference = self.ending(len(self.attempts))
            self.attempts.append(self.hour)
            self.attempted_at = slot
            self.failures = 0 if end == "promoted" else self.failures + 1
            if end == "promoted":
                self.trained_at = slot
            if end != "failed":
                self.policy.trained(end == "promoted", reference)
        self.hour += 1


def ratio_rule(min_age: int = 4, max_age: int = 1000, min_checks: int = 3, source: str = "live") -> OnDrift:
    limits = Limits(timedelta(hours=min_age), timedelta(hours=max_age), min_checks)
    return OnDrift(Ratio(delta=0.1, window=3, min_checks=1), check_window=5, source=source, limits=limits)


def alarm_rule(min_age: int = 4, min_checks: int = 3) -> OnDrift:
    """On a detector that says its alarm once and then gets used to the new level."""
    detector = PageHinkley(min_instances=2, delta=0.1, threshold=1.0, mode="up")
    return OnDrift(detector, check_window=5, limits=Limits(timedelta(hours=min_age), timedelta(hours=999), min_checks))


# ---- rules that look at no error


def test_always_retrains_in_every_slot() -> None:
    assert Story(Always()).hours([NAN] * 5).attempts == [0, 1, 2, 3, 4]


def test_never_trains_once() -> None:
    assert Story(Never()).hours([9.0] * 5).attempts == [0]


@pytest.mark.parametrize("period", ["3h", timedelta(hours=3)])
def test_every_goes_by_the_clock(period) -> None:
    assert Story(Every(period)).hours([NAN] * 10).attempts == [0, 3, 6, 9]


@pytest.mark.parametrize("make", [Always, Never, lambda: Every("3h")])
def test_a_first_training_that_fails_is_tried_again(make) -> None:
    story = Story(make(), lambda k: ("failed" if k < 2 else "promoted", NAN)).hours([NAN] * 4)
    assert story.attempts[:3] == [0, 1, 2]


def test_every_tries_again_when_a_training_fails() -> None:
    assert Story(Every("3h"), lambda k: ("failed" if k == 1 else "promoted", NAN)).hours([NAN] * 9).attempts == [
        0,
        3,
        4,
        7,
    ]


@pytest.mark.parametrize("make", [Always, Never, lambda: Every("3h")])
def test_rules_without_memory_have_an_empty_state(make) -> None:
    policy = make()
    policy.restore(json.loads(json.dumps(policy.state())))
    assert policy.state() == {}
    assert not policy.challenges


# ---- on drift


def test_drift_retrains_and_calm_does_not() -> None:
    assert Story(ratio_rule()).hours([1.0] * 20).attempts == [0]
    assert Story(ratio_rule()).hours([1.0] * 10 + [2.0] * 3).attempts == [0, 10]


def test_decisions_tell_both_losses() -> None:
    last = Story(ratio_rule(), lambda k: ("promoted", 2.0)).hours([NAN, 1.0, 2.0, 3.0]).decisions[-1]
    assert (last.loss, last.reference) == (2.0, 2.0)
    assert last.why == "calm"


def test_warm_up_holds_an_alarm_back() -> None:
    story = Story(ratio_rule(min_age=0, min_checks=4)).hours([NAN] + [3.0] * 4)
    assert story.attempts == [0, 4]
    assert "warming up: 3 of 4" in story.decisions[3].why


def test_cool_down_holds_an_alarm_back() -> None:
    story = Story(ratio_rule(min_age=7)).hours([1.0] + [3.0] * 9)
    assert story.attempts == [0, 7]
    assert "cooling down: 6:00:00 of 7:00:00" in story.decisions[6].why


def test_an_alarm_said_once_is_remembered_through_the_cool_down() -> None:
    calm, harder = [1.0] * 3, [3.0] * 40
    story = Story(alarm_rule(min_age=20)).hours(calm + harder)
    assert story.attempts[:2] == [0, 20]
    assert any("drift, but cooling down" in d.why for d in story.decisions[:20])


def test_an_alarm_said_once_is_remembered_through_the_warm_up() -> None:
    story = Story(alarm_rule(min_age=0, min_checks=9)).hours([1.0, 1.0, 1.0] + [3.0] * 20)
    assert story.attempts[:2] == [0, 9]


def test_an_alarm_is_tried_again_after_a_failed_training() -> None:
    story = Story(alarm_rule(min_age=4), lambda k: ("failed" if k == 1 else "promoted", 1.0))
    story.hours([1.0] * 10 + [3.0] * 30)
    first = story.attempts[1]
    assert story.attempts[2] == first + 8  # the cool-down doubled


def test_a_lasting_loss_that_ends_during_the_cool_down_is_no_alarm() -> None:
    assert Story(ratio_rule(min_age=12)).hours([1.0] * 3 + [3.0] * 3 + [1.0] * 20).attempts == [0]


def test_max_age_forces_a_retraining_without_any_error() -> None:
    assert Story(ratio_rule(max_age=6)).hours([NAN] * 14).attempts == [0, 6, 12]


def test_a_forced_retraining_that_is_refused_backs_off_too() -> None:
    """Else it would be repeated in every slot for ever: the champion's age only grows."""
    story = Story(ratio_rule(min_age=2, max_age=10), lambda k: ("promoted" if k == 0 else "refused", 1.0))
    story.hours([1.0] * 60)
    assert story.attempts[:5] == [0, 10, 14, 22, 32]  # waits 2*2, 2*4, then max_age
    assert np.diff(story.attempts)[3:].tolist() == [10] * len(np.diff(story.attempts)[3:])


@pytest.mark.parametrize("ending", ["refused", "failed"])
def test_back_off_doubles_up_to_max_age(ending) -> None:
    story = Story(ratio_rule(min_age=1, max_age=9, min_checks=1), lambda k: ("promoted" if k == 0 else ending, 0.1))
    story.hours([1.0] * 60)
    assert np.diff(story.attempts).tolist()[:6] == [1, 2, 4, 8, 9, 9]


def test_a_promotion_ends_the_back_off() -> None:
    endings = ["promoted", "refused", "refused", "promoted"]
    story = Story(ratio_rule(min_age=2, min_checks=1), lambda k: (endings[k] if k < 4 else "promoted", 0.1))
    story.hours([1.0] * 40)
    assert np.diff(story.attempts).tolist()[:5] == [2, 4, 8, 2, 2]


def test_a_first_training_that_fails_backs_off() -> None:
    story = Story(ratio_rule(min_age=2, max_age=9), lambda k: ("failed", NAN)).hours([NAN] * 40)
    assert np.diff(story.attempts).tolist()[:5] == [2, 4, 8, 9, 9]
    assert "no model yet, back-off of 2:00:00 after 1 failures" in story.decisions[1].why


def test_a_refusal_makes_the_champions_loss_the_reference() -> None:
    """The world has become harder, not the model older: the same loss is no drift any more."""
    story = Story(ratio_rule(), lambda k: ("promoted", 1.0) if k == 0 else ("refused", 3.0))
    story.hours([1.0] * 8 + [3.0] * 30)
    assert len(story.attempts) == 2
    assert story.decisions[-1].reference == 3.0


@pytest.mark.parametrize("ending", ["promoted", "refused"])
def test_without_a_measured_reference_the_first_errors_since_the_training_make_it(ending) -> None:
    story = Story(ratio_rule(min_age=0, min_checks=3), lambda k: ("promoted", 5.0) if k == 0 else (ending, NAN))
    story.hours([NAN] + [9.0] * 3)  # drift against 5: retrained at hour 3, no reference measured
    assert story.attempts == [0, 3]
    story.hours([1.0, 2.0, 3.0])
    assert story.decisions[-1].reference == 2.0  # not of the nines before


def test_after_a_promotion_the_loss_is_of_the_new_model() -> None:
    story = Story(ratio_rule(min_age=0)).hours([1.0] * 5 + [9.0] * 1)
    assert story.attempts == [0, 5]
    story.hours([1.0])
    assert story.decisions[-1].loss == 1.0


@pytest.mark.parametrize("reference", [0.0, NAN])
def test_no_error_at_all_is_no_division_by_zero(reference) -> None:
    story = Story(ratio_rule(), lambda k: ("promoted", reference)).hours([0.0] * 12)
    assert story.attempts == [0]
    story.hours([1.0])
    assert story.decisions[-1].reference == 0.2


def test_a_reference_near_zero_is_no_infinite_loss() -> None:
    assert Story(ratio_rule(), lambda k: ("promoted", 5e-324)).hours([1.0] * 9).attempts == [0, 4, 8]


def test_missing_errors_change_nothing() -> None:
    errors = [1.0, 1.0, 2.0, 1.0, 3.0]
    with_gaps = [e for error in errors for e in (error, NAN)]
    plain, gaps = ratio_rule(min_age=0, min_checks=5), ratio_rule(min_age=0, min_checks=5)
    Story(plain).hours([NAN, *errors[:4]])
    Story(gaps).hours([NAN, *with_gaps[:8]])
    assert plain.state() == gaps.state()


def test_the_source_is_live_or_holdout() -> None:
    assert [ratio_rule(source=s).source for s in OnDrift.SOURCES] == ["live", "holdout"]
    with pytest.raises(SchemaError, match="source is 'past': choose one of live, holdout"):
        ratio_rule(source="past")


@pytest.mark.parametrize(
    "wrong", [{"min_age": "2d", "max_age": "1d"}, {"back_off": 0.5}, {"min_checks": 0}, {"min_age": "soon"}]
)
def test_limits_that_contradict_themselves(wrong) -> None:
    with pytest.raises(SchemaError):
        Limits(**wrong)


def test_a_state_of_another_detector_is_refused() -> None:
    state = Story(ratio_rule()).hours([1.0] * 5).policy.state()
    with pytest.raises(SchemaError, match="Ratio"):
        alarm_rule().restore(state)


# ---- laws

ERRORS = st.lists(st.one_of(st.floats(0, 10), st.just(NAN), st.just(0.0)), min_size=1, max_size=60)
ENDINGS = st.lists(
    st.tuples(st.sampled_from(["promoted", "refused", "failed"]), st.one_of(st.just(NAN), st.floats(0.01, 10))),
    min_size=70,
    max_size=70,
)
LIMITS = st.builds(
    lambda a, b, checks: Limits(timedelta(hours=a), timedelta(hours=a + b), checks),
    st.integers(0, 6),
    st.integers(1, 20),
    st.integers(1, 6),
)


@settings(max_examples=60, deadline=None)
@given(errors=ERRORS, endings=ENDINGS, limits=LIMITS, which=st.integers(0, len(DETECTORS) - 1))
def test_laws_of_on_drift(errors, endings, limits, which) -> None:
    """Never two trainings within the cool-down; never older than max_age where trainings succeed; losses as told."""
    story = Story(OnDrift(DETECTORS[which](), 6, limits=limits), lambda k: endings[k]).hours(errors)
    failures, champion = 0, False
    for k, (hour, following) in enumerate(zip(story.attempts, story.attempts[1:], strict=False)):
        promoted = endings[k][0] == "promoted"
        champion |= promoted
        failures = 0 if promoted else failures + 1
        wait = limits.cool_down(failures if champion else failures - 1)
        assert following - hour >= wait / HOUR
        if promoted:
            assert following - hour <= max(1, math.ceil(limits.max_age / HOUR))
    assert all(d.reference > 0 or math.isnan(d.reference) for d in story.decisions)


@settings(max_examples=60, deadline=None)
@given(errors=ERRORS, endings=ENDINGS, limits=LIMITS, which=st.integers(0, len(DETECTORS) - 1), cut=st.integers(0, 60))
def test_a_state_through_json_goes_on_the_same(errors, endings, limits, which, cut) -> None:
    whole = Story(OnDrift(DETECTORS[which](), 6, limits=limits), lambda k: endings[k])
    parts = Story(OnDrift(DETECTORS[which](), 6, limits=limits), lambda k: endings[k])
    whole.hours(errors)
    parts.hours(errors[:cut])
    saved = json.dumps(parts.policy.state(), allow_nan=False)
    parts.policy = OnDrift(DETECTORS[which](), 6, limits=limits)
    parts.policy.restore(json.loads(saved))
    parts.hours(errors[cut:])
    assert repr(parts.decisions) == repr(whole.decisions)
    assert parts.policy.state() == whole.policy.state()


@settings(max_examples=30, deadline=None)
@given(errors=st.lists(st.floats(0.1, 10), min_size=10, max_size=60), scale=st.sampled_from([0.25, 0.5, 2.0, 1024.0]))
def test_the_unit_of_the_loss_is_nothing(errors, scale) -> None:
    plain = Story(ratio_rule(), lambda k: ("promoted", 1.0)).hours(errors)
    scaled = Story(ratio_rule(), lambda k: ("promoted", scale)).hours([scale * e for e in errors])
    assert plain.attempts == scaled.attempts
