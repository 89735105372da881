"""Statistics against slow loops; streams against the whole; laws that must hold."""

from __future__ import annotations

import doctest
import importlib
import math
import pkgutil
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forecast.metrics as metrics
from forecast.errors import SchemaError
from forecast.metrics import BIAS, CRPS, MAE, MASE, RMSE, RMSSE, Metric, Pairs, SkillTally, Tally, naive_scale

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
METRICS = [MAE, RMSE, BIAS, MASE, RMSSE, CRPS, metrics.pinball(0.1), metrics.coverage(0.8), metrics.width(0.5)]
SCALED = {"mase", "rmsse", "coverage_80"}  # do not change with the unit


def draw(seed: int, shape: tuple[int, ...] = (4, 3, 2), gaps: float = 0.2) -> Pairs:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=shape)  # (N, H, C)
    truth[rng.random(shape) < gaps] = np.nan
    quantiles = np.sort(rng.normal(size=(*shape, len(LEVELS))), axis=-1)  # (N, H, C, Q)
    quantiles[rng.random(shape) < gaps] = np.nan
    return Pairs(truth, quantiles[..., 2], quantiles, LEVELS, rng.uniform(0.5, 2, shape))


def rows(pairs: Pairs, rows: slice) -> Pairs:
    return Pairs(pairs.truth[rows], pairs.point[rows], pairs.quantiles[rows], pairs.levels, pairs.scale[rows])


def slow(name: str, pairs: Pairs) -> float:
    """Each metric once more, one pair at a time."""
    values = []
    for i in np.ndindex(pairs.truth.shape):
        y, f, q, s = pairs.truth[i], pairs.point[i], pairs.quantiles[i], pairs.scale[i]
        if math.isnan(y) or math.isnan(f):
            continue
        losses = [level * (y - v) if y >= v else (1 - level) * (v - y) for level, v in zip(LEVELS, q, strict=True)]
        values.append(
            {
                "mae": abs(f - y),
                "rmse": (f - y) ** 2,
                "bias": f - y,
                "mase": abs(f - y) / s,
                "rmsse": ((f - y) / s) ** 2,
                "crps": 2 * sum(losses) / len(losses),
                "pinball_0.1": losses[0],
                "coverage_80": float(q[0] <= y <= q[4]),
                "width_50": q[3] - q[1],
            }[name]
        )
    average = sum(values) / len(values) if values else math.nan
    return math.sqrt(average) if name in ("rmse", "rmsse") else average


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
class TestEveryMetric:
    def test_equals_the_slow_loop(self, metric: Metric) -> None:
        pairs = draw(1)
        assert metric(pairs) == pytest.approx(slow(metric.name, pairs), rel=1e-12)

    def test_by_lead_equals_lead_by_lead(self, metric: Metric) -> None:
        pairs = draw(2)
        each = [slow(metric.name, lead_of(pairs, h)) for h in range(3)]
        np.testing.assert_allclose(metric(pairs, keep=(1,)), each, rtol=1e-12)

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10**6), cut=st.integers(0, 9))
    def test_chunks_equal_the_whole(self, metric: Metric, seed: int, cut: int) -> None:
        pairs = draw(seed, (9, 2, 1))
        tally = metric.start()
        for part in (slice(0, cut), slice(cut, 9)):
            tally.update(rows(pairs, part))
        np.testing.assert_allclose(tally.value, metric(pairs), rtol=1e-12)
        assert int(tally.count) + tally.missing + tally.undefined == pairs.truth.size

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10**6))
    def test_merge_is_associative_and_has_a_zero(self, metric: Metric, seed: int) -> None:
        a, b, c = (filled(metric, draw(seed + i)) for i in range(3))
        left, right = a.merge(b).merge(c), a.merge(b.merge(c))
        np.testing.assert_allclose(left.value, right.value, rtol=1e-12)
        assert (left.count, left.missing, left.undefined) == (right.count, right.missing, right.undefined)
        assert a.merge(metric.start()).value == a.value == metric.start().merge(a).value

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10**6), unit=st.floats(1e-3, 1e3))
    def test_a_change_of_unit_changes_the_unit_only(self, metric: Metric, seed: int, unit: float) -> None:
        p = draw(seed)
        scaled = Pairs(p.truth * unit, p.point * unit, p.quantiles * unit, p.levels, p.scale * unit)
        factor = 1.0 if metric.name in SCALED else unit
        assert metric(scaled) == pytest.approx(metric(p) * factor, rel=1e-9, nan_ok=True)

    def test_skill_against_itself_is_zero(self, metric: Metric) -> None:
        if metric is BIAS:
            pytest.skip("bias has a sign, so that it is no error to measure skill by")
        tally = SkillTally(metric)
        tally.update(draw(3), draw(3))
        assert tally.value == 0

    def test_nothing_gives_nan(self, metric: Metric) -> None:
        assert math.isnan(metric(draw(0, (0, 3, 2))))
        assert math.isnan(metric.start().value)


def lead_of(p: Pairs, h: int) -> Pairs:
    return Pairs(p.truth[:, h], p.point[:, h], p.quantiles[:, h], p.levels, p.scale[:, h])


def filled(metric: Metric, pairs: Pairs) -> Tally:
    tally = metric.start()
    tally.update(pairs)
    return tally


@settings(max_examples=50, deadline=None)
@given(members=st.lists(st.floats(-50, 50), min_size=1, max_size=20), truth=st.floats(-50, 50))
def test_crps_of_a_sample_is_the_energy_form(members: list[float], truth: float) -> None:
    """E|X - y| - E|X - X'| / 2, exact at levels (i - 1/2) / Q."""
    x = np.sort(members)  # (Q,)
    levels = tuple((np.arange(x.size) + 0.5) / x.size)
    energy = np.abs(x - truth).mean() - np.abs(x[:, None] - x).mean() / 2
    pairs = Pairs(np.array([truth]), np.array([0.0]), x[None], levels)
    assert CRPS(pairs) == pytest.approx(energy, abs=1e-9)


def test_crps_with_many_levels_nears_the_normal_closed_form() -> None:
    """Gneiting and Raftery (2007), section 4.2: CRPS of N(0, 1) at 0 is (sqrt(2) - 1) / sqrt(pi)."""
    from statistics import NormalDist

    levels = tuple((np.arange(400) + 0.5) / 400)
    q = np.array([[NormalDist().inv_cdf(level) for level in levels]])  # (1, Q)
    assert CRPS(Pairs(np.zeros(1), np.zeros(1), q, levels)) == pytest.approx((2**0.5 - 1) / math.pi**0.5, rel=1e-3)


def test_flat_history_is_left_out_and_said_so() -> None:
    history = np.stack([np.full(20, 0.1), np.arange(20.0)])[..., None]  # (2, T, 1)
    scale = naive_scale(history, [1, 2])  # (2, 2, 1)
    tally = MASE.start()
    tally.update(Pairs(np.zeros((2, 2, 1)), np.ones((2, 2, 1)), scale=scale))
    assert tally.value == pytest.approx((1 / 1 + 1 / 2) / 2)
    assert tally.undefined == 2
    assert str(tally) == "mase 0.75 (n=2, 0 missing, 2 undefined)"


@pytest.mark.parametrize("kind", ["absolute", "squared"])
@pytest.mark.parametrize("season", [1, 3])
def test_scale_equals_the_slow_loop(kind: str, season: int) -> None:
    rng = np.random.default_rng(0)
    history = np.where(rng.random((3, 15, 2)) < 0.2, np.nan, rng.normal(size=(3, 15, 2)))  # (N, T, C)
    leads = (1, 3, 4, 20)
    expected = np.full((3, 4, 2), np.nan)  # (N, H, C)
    for n, (h, lead), c in ((n, h, c) for n in range(3) for h in enumerate(leads) for c in range(2)):
        lag = season * math.ceil(lead / season)
        steps = [history[n, t, c] - history[n, t - lag, c] for t in range(lag, 15)]
        known = [s for s in steps if not math.isnan(s)]
        if known:
            absolute = sum(abs(s) for s in known) / len(known)
            squared = math.sqrt(sum(s * s for s in known) / len(known))
            expected[n, h, c] = absolute if kind == "absolute" else squared
    np.testing.assert_allclose(naive_scale(history, leads, season=season, kind=kind), expected, rtol=1e-12)


def test_naive_scores_one_in_its_own_history() -> None:
    y = np.random.default_rng(1).normal(size=(1, 200, 1)).cumsum(axis=1)  # (1, T, 1)
    for lead in (1, 6):
        truth, naive = y[:, lead:], y[:, :-lead]  # (1, T - lead, 1)
        assert MASE(Pairs(truth, naive, scale=naive_scale(y, [lead]))) == pytest.approx(1)
        assert RMSSE(Pairs(truth, naive, scale=naive_scale(y, [lead], kind="squared"))) == pytest.approx(1)


def test_skill_uses_identical_pairs_only() -> None:
    truth = np.zeros(4)
    own, reference = np.array([1.0, np.nan, 1.0, 9.0]), np.array([2.0, 2.0, 4.0, np.nan])
    parts = []
    for half in (slice(0, 2), slice(2, 4)):
        tally = SkillTally(MAE)
        tally.update(Pairs(truth[half], own[half]), Pairs(truth[half], reference[half]))
        parts.append(tally)
    both = parts[0].merge(parts[1])
    assert both.value == pytest.approx(1 - 1 / 3)
    assert both.left_out == 2
    with pytest.raises(SchemaError, match="same truths"):
        both.update(Pairs(truth, own), Pairs(truth + 1, reference))


def test_skill_against_a_perfect_reference_is_undefined() -> None:
    tally = SkillTally(RMSE)
    tally.update(Pairs(np.zeros(2), np.ones(2)), Pairs(np.zeros(2), np.zeros(2)))
    assert math.isnan(tally.value)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_wider_intervals_cover_more_and_shares_stay_in_bounds(seed: int) -> None:
    pairs = draw(seed, gaps=0.0)
    narrow, wide = metrics.coverage(0.5)(pairs), metrics.coverage(0.8)(pairs)
    assert 0 <= narrow <= wide <= 1
    assert 0 <= metrics.width(0.5)(pairs) <= metrics.width(0.8)(pairs)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Pairs(np.zeros(2), np.zeros(3)), "point must have"),
        (lambda: Pairs(np.zeros(2), np.zeros(2), np.zeros((2, 1)), ()), "with 0 levels"),
        (lambda: Pairs(np.zeros(2), np.zeros(2), np.zeros((2, 2)), (0.5, 0.1)), "must increase"),
        (lambda: Pairs(np.zeros(2), np.array([0, np.inf])), "point has 1 infinite"),
        (lambda: Pairs(np.zeros(2), np.zeros(2), scale=np.ones(3)), "does not broadcast"),
        (lambda: Pairs(np.zeros(2), np.zeros(2)).quantile(0.3), "no quantile at level 0.3"),
        (lambda: filled(MAE, draw(0)).merge(filled(RMSE, draw(0))), "cannot merge mae"),
        (lambda: MAE(draw(0), keep=(5,)), "cannot keep axes"),
        (lambda: naive_scale(np.zeros((2, 2)), [1]), "expected \\(N, T, C\\)"),
    ],
)
def test_wrong_input_is_refused_in_words(make: Callable[[], object], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        make()


def test_kept_axes_must_stay_the_same() -> None:
    tally = MAE.start(keep=(1,))
    tally.update(draw(0, (4, 3, 2)))
    with pytest.raises(SchemaError, match="new chunk has"):
        tally.update(draw(0, (4, 5, 2)))


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(metrics.__path__)])
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"forecast.metrics.{name}")).failed == 0
