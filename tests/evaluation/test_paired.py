"""Paired tests and skill intervals against SciPy, literal loops and what chance must do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from forecast.errors import SchemaError
from forecast.evaluation import diebold_mariano, skill_interval, stars
from forecast.evaluation.blocks import block_means
from forecast.evaluation.paired import long_run_variance
from forecast.evaluation.student import incomplete_beta, two_sided


@pytest.mark.parametrize("freedom", [1, 2, 7.5, 30, 400, 1e5])
@pytest.mark.parametrize("t", [0.0, 0.3, -1.7, 2.5, 6.0, 40.0])
def test_student_is_that_of_scipy(t: float, freedom: float) -> None:
    np.testing.assert_allclose(two_sided(t, freedom), 2 * stats.t.sf(abs(t), freedom), rtol=1e-9, atol=1e-300)


def test_incomplete_beta_is_that_of_scipy() -> None:
    for x, a, b in np.random.default_rng(0).uniform([0, 0.1, 0.1], [1, 60, 60], (200, 3)):
        np.testing.assert_allclose(incomplete_beta(x, a, b), special.betainc(a, b, x), rtol=1e-9, atol=1e-15)
    assert (incomplete_beta(0, 2, 3), incomplete_beta(1, 2, 3), two_sided(np.inf, 5)) == (0.0, 1.0, 0.0)


def test_at_one_step_it_is_the_paired_t_test() -> None:
    """Without lags the corrected statistic is Student's t of the differences: HLN's factor is (n - 1) / n."""
    a, b = np.random.default_rng(1).normal([[1.0], [1.1]], 1, (2, 90))
    np.testing.assert_allclose(diebold_mariano(a, b), stats.ttest_rel(a, b).pvalue, rtol=1e-9)
    blocks = [block_means(x, 6) for x in (a, b)]
    np.testing.assert_allclose(diebold_mariano(a, b, block=6), stats.ttest_rel(*blocks).pvalue, rtol=1e-9)


@pytest.mark.parametrize("lead", [2, 4, 9])
def test_further_ahead_it_is_the_formula_of_the_paper(lead: int) -> None:
    """Harvey, Leybourne and Newbold 1997, equations 3, 5 and 9, written out."""
    noise = np.random.default_rng(lead).normal(size=(2, 160))
    a, b = (np.convolve(x, np.ones(lead), "valid") ** 2 for x in noise)
    d = a - b
    n = len(d)
    gamma = [sum((d[t] - d.mean()) * (d[t - k] - d.mean()) for t in range(k, n)) / n for k in range(lead)]
    statistic = d.mean() / np.sqrt((gamma[0] + 2 * sum(gamma[1:])) / n)
    statistic *= np.sqrt((n + 1 - 2 * lead + lead * (lead - 1) / n) / n)
    np.testing.assert_allclose(diebold_mariano(a, b, lead), 2 * stats.t.sf(abs(statistic), n - 1), rtol=1e-9)


def test_where_the_plain_variance_is_negative_bartlett_weights_stand_in() -> None:
    d = np.tile([1.0, -1.0], 20) + 0.01
    assert np.isclose(long_run_variance(d, 0), 1.0)
    centred = d - d.mean()
    c = [centred @ centred / 40, centred[1:] @ centred[:-1] / 40]
    assert c[0] + 2 * c[1] < 0
    np.testing.assert_allclose(long_run_variance(d, 1), c[0] + 2 * 0.5 * c[1])


def test_blocks_keep_its_word_where_losses_remember_and_single_hours_do_not() -> None:
    """Equal forecasts in weather of long memory: single origins cry wolf, blocks of a day stay near their level."""
    rng, said = np.random.default_rng(2), np.zeros(2)
    for _ in range(200):
        mood = np.zeros(1200)
        for t, kick in enumerate(rng.normal(size=1200)):
            mood[t] = 0.95 * mood[t - 1] + kick
        reference = np.abs(rng.normal(size=1200))
        said += [diebold_mariano(reference + mood, reference, 1, block) < 0.05 for block in (1, 96)]
    assert said[0] / 200 > 0.5
    assert said[1] / 200 < 0.12


def test_gaps_and_shapes() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 120, 2, 3)) ** 2
    a[10:20, 0, 0] = np.nan
    p = diebold_mariano(a, b, 3, 4)
    assert p.shape == (2, 3)
    kept = np.r_[0:8, 20:120]  # whole blocks of four that have a value, beside the half ones
    assert np.isfinite(p).all()
    assert p[0, 0] != diebold_mariano(a[kept], b[kept], 3, 4)[1, 1]
    assert np.isnan(diebold_mariano(a[:20], b[:20], 1, 4)).all(), "five blocks say nothing"
    np.testing.assert_array_equal(diebold_mariano(a, a), np.ones((2, 3)))
    with pytest.raises(SchemaError, match="identical pairs"):
        diebold_mariano(a, b[1:])


def test_block_means_are_those_of_a_loop() -> None:
    values = np.random.default_rng(4).normal(size=(50, 2))
    values[3:9, 1] = np.nan
    for block, count in ((1, 50), (6, 8), (7, 7), (49, 1), (60, 1)):
        found = block_means(values, block)
        assert len(found) == count
        for k in range(count):
            part = values[k * block : (k + 1) * block]
            want = [np.nanmean(c) if (~np.isnan(c)).any() else np.nan for c in part.T]
            np.testing.assert_allclose(found[k], want)


def test_the_interval_of_a_skill_is_that_of_a_loop() -> None:
    rng = np.random.default_rng(5)
    reference = np.abs(rng.normal(size=200))
    loss = 0.8 * reference + 0.1 * np.abs(rng.normal(size=200))
    loss[20:30] = np.nan
    low, high = skill_interval(loss, reference, 12, resamples=300, seed=7)
    starts = np.random.default_rng(7).integers(0, 189, (300, 17))
    drawn = []
    for row in starts:
        rows = np.concatenate([np.arange(s, s + 12) for s in row])
        rows = rows[~np.isnan(loss[rows])]
        drawn.append(1 - loss[rows].sum() / reference[rows].sum())
    np.testing.assert_allclose([low, high], np.quantile(drawn, [0.025, 0.975]))
    assert low < 1 - np.nansum(loss) / reference[~np.isnan(loss)].sum() < high


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(6), 0
    for _ in range(200):
        day = np.repeat(np.abs(rng.normal(1, 0.3, size=60)), 24)  # losses alike within a day
        mine = day * np.repeat(rng.uniform(0.6, 1.0, size=60), 24)
        low, high = skill_interval(mine, day, 48, resamples=200)
        held += bool(low <= 0.2 <= high)
    assert 0.85 < held / 200 <= 1.0


def test_no_skill_without_errors_to_compare_with() -> None:
    low, high = skill_interval(np.ones(30), np.zeros(30), 5)
    assert np.isnan([low, high]).all()
    with pytest.raises(SchemaError, match="block is 0"):
        skill_interval(np.ones(30), np.ones(30), 0)
    assert [stars(p) for p in (1e-4, 0.005, 0.03, 0.06)] == ["***", "**", "*", ""]
