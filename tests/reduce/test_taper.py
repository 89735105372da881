"""Taper and reducers at equal rows: the number asked for, the newest whole, the rest even, thinner with age, steady."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from forecast.errors import SchemaError
from forecast.panel import Panel
from forecast.reduce import Last, Reducer, Taper, Thin, VarianceHorizon
from forecast.reduce.ranks import even_ranks, turn
from forecast.schema import Task, Variable

TASK = Task(targets=(Variable("level"),), horizon=3, context=4)
HOUR = timedelta(hours=1)


def panel(rows: int, first: int = 0, step: timedelta = HOUR) -> Panel:
    times = np.datetime64("2020-01-01T05", "us") + (first + np.arange(rows)) * np.timedelta64(step)  # (T,)
    wave = np.sin(2 * np.pi * (first + np.arange(rows)) / 24) + np.random.default_rng(abs(first)).normal(
        size=rows
    )  # (T,)
    return Panel(wave[None, :, None], times, ("a",), ("level",), step)


def kept(reducer: Reducer, rows: int = 3360, first: int = 0) -> np.ndarray:
    return reducer.reduce(panel(rows, first), TASK).keep


def horizon() -> VarianceHorizon:
    return VarianceHorizon(test_size=20, threshold=2e-3, change_window=20)


@pytest.mark.parametrize("make", [Last, Thin, Taper])
def test_rows_can_be_as_many_as_another_reducer_keeps(make) -> None:
    asked = horizon().reduce(panel(600), TASK)
    assert 30 < asked.rows < 570
    found = make(horizon()).reduce(panel(600), TASK)
    assert found.rows == asked.rows
    assert "VarianceHorizon" in found.why
    assert found.evidence.items() >= {"asked": "VarianceHorizon", **asked.evidence}.items()
    np.testing.assert_array_equal(found.keep, make(asked.rows).reduce(panel(600), TASK).keep)


@pytest.mark.parametrize("rows", [1, 2, 7, 400, 3359, 3360])
@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_the_number_of_rows_and_the_newest_of_them_whole(rows, share) -> None:
    keep = kept(Taper(rows, newest=share))
    whole = max(1, round(share * rows))
    assert keep.sum() == rows
    assert keep[-whole:].all()


def test_more_rows_than_there_are_is_all_of_them() -> None:
    assert kept(Taper(9999), 100).all()


def test_share_one_is_last() -> None:
    np.testing.assert_array_equal(kept(Taper(500, newest=1)), kept(Last(500)))


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("rows", [300, 1200, 2000])
def test_an_even_thinning_has_three_gaps_and_every_hour_of_the_day(rows, seed) -> None:
    keep = kept(Taper(rows, newest=0, half_life=None, seed=seed))
    found = np.flatnonzero(keep[:-1])
    assert len(np.unique(np.diff(found))) <= 3  # Sós 1958
    hours = np.bincount(found % 24, minlength=24)
    assert hours.max() - hours.min() <= 4
    days = keep[: 24 * 140].reshape(140, 24).sum(1)
    assert days.max() - days.min() <= 4


def test_the_share_kept_halves_with_every_half_life() -> None:
    rows, life = 3360, 30 * 24
    keep = kept(Taper(600, newest=0.1, half_life="30d"), rows)[: rows - 60]
    parts = [keep[len(keep) - (k + 1) * life : len(keep) - k * life].mean() for k in range(4)]  # newest first
    np.testing.assert_allclose(np.divide(parts[1:], parts[:-1]), 0.5, atol=0.06)


STEPS = [(HOUR, 0, 24), (timedelta(minutes=15), 10**7, 96), (timedelta(days=1), -30_000, 1)]


@pytest.mark.parametrize(("step", "first", "steps"), STEPS)
def test_ranks_are_exact_multiples_that_a_day_moves_on_by_the_golden_ratio(step, first, steps) -> None:
    """Second witness: Python's whole numbers, far from 1970 and before it."""
    view, golden = panel(500, first, step), (5**0.5 - 1) / 2
    numbers = [int(t) // (step // timedelta(microseconds=1)) for t in view.times.astype(np.int64)]
    ranks = even_ranks(view, 0)
    np.testing.assert_allclose(ranks, [n * turn(step) % 2**64 / 2**64 for n in numbers], atol=2**-53)
    assert turn(step) / 2**64 == pytest.approx(golden, abs=0.5 / steps)
    for seed in (0, 7):  # the seed moves all ranks together
        moved = even_ranks(view, seed)
        np.testing.assert_allclose((moved[steps:] - moved[:-steps]) % 1, golden, atol=1e-9)
        apart = (moved - ranks) % 1
        assert np.abs(np.exp(2j * np.pi * apart) - np.exp(2j * np.pi * apart[0])).max() < 1e-9


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", [0, 1, -1, 12345])
def test_hour_by_hour_at_most_two_rows_change(seed) -> None:
    reducer, before, first = Taper(300, half_life="20d", seed=seed), set(), set()
    for k in range(300):
        now = set((np.flatnonzero(kept(reducer, 1000, k)) + k).tolist())
        if k:
            assert len(now) == len(before) == 300
            assert 1 <= len(now - before) <= 2
        first, before = first or now, now
    whole = set(range(1000 - 150, 1000))
    assert len((first - whole) & before) > 60  # of the 150 thinned rows, 300 hours on


def test_a_row_has_one_fate_in_windows_of_any_length() -> None:
    """Where the older end of the window lies changes how many rows are left for the others, never their order."""
    long = np.flatnonzero(kept(Taper(600), 2400, 0))
    short = np.flatnonzero(kept(Taper(600), 1200, 1200)) + 1200
    assert set(long[long >= 1200]) <= set(short)


def test_seeds_thin_differently() -> None:
    keeps = {kept(Taper(300, seed=seed), 1000).tobytes() for seed in range(20)}
    assert len(keeps) == 20


@pytest.mark.parametrize("wrong", [{"newest": 1.2}, {"newest": -0.1}, {"half_life": "0h"}])
def test_settings_out_of_range_are_named(wrong) -> None:
    with pytest.raises(SchemaError, match=next(iter(wrong))):
        Taper(100, **wrong)


def test_no_row_is_an_error() -> None:
    with pytest.raises(SchemaError):
        kept(Taper(0))
