"""Directions against the formula, a chi-square of the 2 x 2 table, and what chance must do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from forecast.errors import SchemaError
from forecast.evaluation.direction import direction, pesaran_timmermann


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_formula_of_the_paper(seed: int) -> None:
    """Pesaran and Timmermann 1992, equations 6 and 7, without the term of order 1 / n^2; written out."""
    rng = np.random.default_rng(seed)
    rise = rng.random(90) < 0.6
    call = np.where(rng.random(90) < 0.5, rise, rng.random(90) < 0.4)
    n, y, z = 90, rise.mean(), call.mean()
    p, chance = np.mean(rise == call), y * z + (1 - y) * (1 - z)
    v = chance * (1 - chance) / n
    w = ((2 * y - 1) ** 2 * z * (1 - z) + (2 * z - 1) ** 2 * y * (1 - y)) / n
    np.testing.assert_allclose(pesaran_timmermann(rise, call), stats.norm.sf((p - chance) / np.sqrt(v - w)), rtol=1e-9)


def test_its_square_is_the_chi_square_of_the_table() -> None:
    """A second witness from another field: v - w is 4 y (1 - y) z (1 - z) / n, which makes it Pearson's statistic."""
    rng = np.random.default_rng(1)
    rise = rng.random(200) < 0.55
    call = np.where(rng.random(200) < 0.3, rise, rng.random(200) < 0.5)
    table = [[np.sum(rise & call), np.sum(rise & ~call)], [np.sum(~rise & call), np.sum(~rise & ~call)]]
    chi = stats.chi2_contingency(table, correction=False).statistic
    np.testing.assert_allclose(pesaran_timmermann(rise, call), stats.norm.sf(np.sqrt(chi)), rtol=1e-9)


def test_knowledge_is_found_habit_is_not() -> None:
    rng = np.random.default_rng(2)
    rise = rng.random(300) < 0.8
    habit = rng.random(300) < 0.9  # right 74 % of the time, for nothing
    assert np.mean(rise == habit) > 0.7
    assert pesaran_timmermann(rise, habit) > 0.05
    assert pesaran_timmermann(rise, np.where(rng.random(300) < 0.3, rise, habit)) < 0.01
    assert pesaran_timmermann(rise, ~rise) > 0.999, "knowing the wrong way round is not knowing"


def test_no_test_without_variety_or_pairs() -> None:
    rise = np.arange(20) % 2 == 0
    for a, b in ((rise, np.ones(20, bool)), (np.zeros(20, bool), rise), (rise[:7], rise[:7])):
        assert np.isnan(pesaran_timmermann(a, b))
    with pytest.raises(SchemaError, match="give"):
        pesaran_timmermann(rise, rise[1:])


def test_directions_are_counted_from_the_newest_value_to_the_last_known_truth() -> None:
    truth = np.array([[1.0, 3.0], [1.0, np.nan], [2.0, 2.0], [np.nan, np.nan], [0.0, 1.0]])[:, None]  # (5, 1, 2)
    last = np.full((5, 1), 2.0)
    points = np.array([[0.0, 2.5], [3.0, 0.0], [9.0, 9.0], [9.0, 9.0], [9.0, 2.0]])[None, :, None]  # (1, 5, 1, 2)
    found = direction(truth, last, points)  # rise, fall, no move, unknown, fall: called up, up, -, -, not up
    assert (found.pairs, found.up, found.called, found.right) == (3, 1 / 3, 2 / 3, 2 / 3)
    still = direction(truth, last, np.full((1, 5, 1, 2), 2.0))
    assert np.isnan([still.called, still.right, still.p]).all()
    assert direction(truth[3:4], last[3:4], points[:, 3:4]).pairs == 0


@pytest.mark.parametrize(("series", "seeds", "overlap"), [(1, 1, 1), (1, 3, 1), (20, 1, 1), (1, 1, 5)])
def test_chance_is_called_knowledge_about_as_often_as_the_level_says(series: int, seeds: int, overlap: int) -> None:
    """Series that move together, seeds that agree, windows that overlap: none of them makes evidence of nothing."""
    rng, said, runs = np.random.default_rng(4), 0, 300
    kernel = np.ones(overlap)
    for _ in range(runs):
        market = np.convolve(rng.normal(size=160 + overlap - 1), kernel, "valid")[:, None]  # (B, 1)
        mood = np.convolve(rng.normal(size=160 + overlap - 1), kernel, "valid")[:, None]
        truth = (market + 0.3 * rng.normal(size=(160, series)))[..., None]  # (B, N, 1)
        points = (mood + 0.3 * rng.normal(size=(seeds, 160, series)))[..., None]  # (S, B, N, 1)
        said += direction(truth, np.zeros((160, series)), points, overlap, overlap).p < 0.05
    assert 0.01 < said / runs < 0.11


def test_many_series_and_seeds_find_what_one_finds() -> None:
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(120, 6, 1))
    points = 0.3 * truth + rng.normal(size=(3, 120, 6, 1))
    assert direction(truth, np.zeros((120, 6)), points).p < 0.01
    assert direction(truth, np.zeros((120, 6)), -points).p > 0.99


def test_a_habit_shared_with_the_truth_is_no_knowledge_of_several_series_either() -> None:
    rng = np.random.default_rng(6)
    truth, points = rng.normal(0.8, 1, (150, 5, 1)), rng.normal(1.0, 1, (2, 150, 5, 1))
    found = direction(truth, np.zeros((150, 5)), points)
    assert found.right > 0.65
    assert found.p > 0.05
