"""Every reducer of the package keeps the same promises; two planted bad ones show that the checks bite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

import forecast.reduce
from forecast.errors import SchemaError
from forecast.panel import Panel
from forecast.reduce import Full, Last, Reducer, Reduction, Taper, Thin, VarianceHorizon, reduced
from forecast.schema import Task, Variable
from forecast.windows import training_rows, training_span

TASK = Task(targets=(Variable("temperature"), Variable("wind")), horizon=3, context=4)
HOUR = timedelta(hours=1)
MADE: dict[type[Reducer], Callable[[], Reducer]] = {
    Full: Full,
    Last: lambda: Last(60),
    Taper: lambda: Taper(60, half_life="10d", seed=3),
    Thin: lambda: Thin(60, seed=3),
    VarianceHorizon: lambda: VarianceHorizon(test_size=20, threshold=2e-3, change_window=20),
}


def subclasses(base: Any) -> Iterator[type[Reducer]]:
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


FOUND = sorted({c for c in subclasses(Reducer) if c.__module__.startswith("forecast.")}, key=lambda c: c.__name__)


def values(rows: int = 600, seed: int = 0) -> np.ndarray:
    """(N, T, C) of three series with a daily cycle, some gaps and a long one."""
    rng = np.random.default_rng(seed)
    cycle = np.sin(2 * np.pi * np.arange(rows) / 24)[None, :, None]  # (1, T, 1)
    made = 10 * cycle + rng.normal(size=(3, rows, 2)).cumsum(axis=1) * 0.3 + rng.normal(size=(3, rows, 2))
    made[rng.random(made.shape) < 0.03] = np.nan
    made[1, rows // 3 : rows // 3 + 40] = np.nan
    return made


def panel(made: np.ndarray, start: str = "2020-01-01T05") -> Panel:
    times = np.datetime64(start, "us") + np.arange(made.shape[1]) * np.timedelta64(1, "h")  # (T,)
    return Panel(made, times, ("EWR", "JFK", "LGA")[: len(made)], TASK.target_names, HOUR)


def odd_panels() -> dict[str, np.ndarray]:
    dead, constant, gaps = values(200), values(200), values(200)
    dead[0] = np.nan
    constant[:, :, 1] = 7.0
    gaps[:, 60:160] = np.nan
    stuck = np.full((3, 200, 2), 5.0)
    late = values(200)
    late[:, :180] = np.nan
    return {
        "a dead series": dead,
        "a constant column": constant,
        "a long gap everywhere": gaps,
        "nothing moves": stuck,
        "no value at all": np.full((3, 200, 2), np.nan),
        "begins late": late,
        "one series": values(200)[:1],
        "30 rows": values(30),
        "8 rows": values(600)[:, :8],
    }


def kept(reducer: Reducer, made: np.ndarray) -> np.ndarray:
    return reducer.reduce(panel(made), TASK).keep


def check_promises(make: Callable[[], Reducer], made: np.ndarray) -> None:
    """One bool per row, the newest among them, the same answer again and from a twin, the input as it was."""
    given, before = panel(made), made.copy()
    reducer = make()
    reduction = reducer.reduce(given, TASK)
    assert reduction.keep.shape == (made.shape[1],)
    assert reduction.keep.dtype == bool
    assert 1 <= reduction.rows <= reduction.of == made.shape[1]
    assert reduction.why
    np.testing.assert_array_equal(reducer.reduce(given, TASK).keep, reduction.keep)
    np.testing.assert_array_equal(make().reduce(given, TASK).keep, reduction.keep)
    np.testing.assert_array_equal(given.values, before)


def test_every_reducer_is_tried() -> None:
    assert set(FOUND) == set(MADE)
    assert {c for c in vars(forecast.reduce).values() if isinstance(c, type) and issubclass(c, Reducer)} == {
        *FOUND,
        Reducer,
    }


@pytest.mark.parametrize("kind", FOUND)
def test_promises(kind) -> None:
    check_promises(MADE[kind], values())


@pytest.mark.parametrize("name", odd_panels())
@pytest.mark.parametrize("kind", FOUND)
@pytest.mark.filterwarnings("error")
def test_promises_on_odd_panels(kind, name) -> None:
    check_promises(MADE[kind], odd_panels()[name])


@pytest.mark.parametrize("kind", [k for k in FOUND if k not in (Taper, Thin)])  # these leave gaps
def test_what_is_kept_is_the_newest(kind) -> None:
    keep = kept(MADE[kind](), values())
    assert keep[-1]
    assert (np.diff(keep.astype(int)) >= 0).all()


@pytest.mark.parametrize("kind", FOUND)
def test_order_of_series_and_shift_and_unit_are_nothing(kind) -> None:
    made = values()
    plain = kept(MADE[kind](), made)
    np.testing.assert_array_equal(kept(MADE[kind](), made[::-1]), plain)
    np.testing.assert_array_equal(kept(MADE[kind](), made * np.array([4.0, 0.5])), plain)


@pytest.mark.parametrize("kind", FOUND)
def test_a_reduction_loses_and_gains_no_training_origin(kind) -> None:
    whole = panel(values())
    reduction = MADE[kind]().reduce(whole, TASK)
    cut = reduced(whole, reduction, TASK)
    before, after = whole.with_keep(reduction.keep), cut
    rows, fewer = training_rows(before, TASK), training_rows(after, TASK)
    np.testing.assert_array_equal(before.times[rows], after.times[fewer])
    seen, seen_cut = training_span(before, TASK, rows), training_span(after, TASK, fewer)
    np.testing.assert_array_equal(before.times[seen], after.times[seen_cut])
    np.testing.assert_array_equal(before.values[:, seen], after.values[:, seen_cut])


@pytest.mark.parametrize("first", [0, 1, 3, 4, 5, 50, 198, 199])
def test_the_cut_is_no_longer_than_the_context_of_the_oldest_row_kept(first) -> None:
    whole, keep = panel(values(200)), np.arange(200) >= first
    cut = reduced(whole, Reduction(keep, "by hand"), TASK)
    assert len(cut.times) == 200 - max(0, first - TASK.context + 1)
    origins = [t for t in range(TASK.context - 1, 199) if t >= first]
    np.testing.assert_array_equal(cut.times[training_rows(cut, TASK)], whole.times[origins])


def test_last_and_thin_keep_their_number() -> None:
    assert kept(Last(7), values()).sum() == kept(Thin(7), values()).sum() == 7
    assert kept(Last(9999), values()).all()
    assert kept(Thin(9999), values()).all()


@pytest.mark.parametrize("make", [lambda: Last(0), lambda: Thin(0)])
def test_nothing_kept_is_an_error(make) -> None:
    with pytest.raises(SchemaError):
        make().reduce(panel(values()), TASK)


@pytest.mark.parametrize("seed", [0, 1, 2, 12345, -1])
@pytest.mark.filterwarnings("error")
def test_thin_stays_drawn_while_the_window_slides(seed) -> None:
    """A row leaves the draw only with the window, or for a newer row: one change an hour at most."""
    made, thin = values(500), Thin(80, seed)
    draws = []
    for k in range(200):
        view = panel(made[:, k : k + 300], str(np.datetime64("2020-01-01T00", "h") + k))
        draws.append(set(view.times[thin.reduce(view, TASK).keep]))
        if k:
            out, into = draws[-2] - draws[-1], draws[-1] - draws[-2]
            assert len(out) == len(into) <= 1
            assert into <= {view.times[-1]} or out == {view.times[0] - np.timedelta64(1, "h")}
    assert len(draws[0] & draws[100]) > 30  # two thirds of the rows are still there


def test_seeds_draw_differently_and_evenly() -> None:
    draws = np.array([kept(Thin(100, seed), values()) for seed in range(60)])  # (seeds, T)
    assert len({d.tobytes() for d in draws}) == 60
    assert abs(draws.mean(0).std() - np.sqrt(1 / 6 * 5 / 6 / 60)) < 0.01  # as of independent draws
    assert abs(draws[:, :300].mean() - 1 / 6) < 0.01


# ---- Variance Horizon, kept up hour by hour

WIDE = 400


def horizon() -> VarianceHorizon:
    return MADE[VarianceHorizon]()  # type: ignore[return-value]


def agree(moving: VarianceHorizon, view: Panel, task: Task = TASK) -> Reduction:
    found, fresh = moving.reduce(view, task), horizon().reduce(view, task)
    np.testing.assert_array_equal(found.keep, fresh.keep)
    assert found.why == fresh.why
    assert found.evidence["stopped_at"] == fresh.evidence["stopped_at"]
    assert found.evidence["final_ratio"] == pytest.approx(fresh.evidence["final_ratio"], abs=1e-9)
    return found


def views(made: np.ndarray, hours: range) -> Iterator[Panel]:
    for k in hours:
        yield panel(made[:, k : k + WIDE], str(np.datetime64("2020-01-01T05", "h") + k))


def test_hour_by_hour_equals_a_fresh_search_over_four_days(monkeypatch) -> None:
    searches = []
    monkeypatch.setattr(
        VarianceHorizon,
        "_afresh",
        lambda self, *a, _real=VarianceHorizon._afresh: searches.append(id(self)) or _real(self, *a),
    )
    moving, found = horizon(), []
    for view in views(values(WIDE + 96), range(96)):
        found.append(agree(moving, view).rows)
    assert len(set(found)) > 10  # the answer does move
    assert searches.count(id(moving)) <= 5  # once, and at each midnight


def test_late_rows_and_skipped_hours_change_nothing_in_the_rule() -> None:
    made, moving = values(WIDE + 60, seed=1), horizon()
    rng = np.random.default_rng(2)
    hours = [h for h in range(60) if h not in (7, 20, 21, 22, 40, 41, 42, 43, 44, 45, 46, 47, 48)]
    for k in hours:
        if k % 9 == 4:  # a row of the past arrives, or is revised
            made[rng.integers(3), k + rng.integers(WIDE)] += 0.5
        if k % 11 == 5:  # the newest row of one station has not come yet
            hidden = made[0, k + WIDE - 1].copy()
            made[0, k + WIDE - 1] = np.nan
            agree(moving, next(views(made, range(k, k + 1))))
            made[0, k + WIDE - 1] = hidden
            continue
        agree(moving, next(views(made, range(k, k + 1))))


def test_another_question_or_panel_is_another_search() -> None:
    made, moving = values(WIDE + 4), horizon()
    view, following = views(made, range(2))
    agree(moving, view)
    agree(moving, following, replace(TASK, horizon=6))
    agree(moving, panel(values(WIDE, seed=8)))
    agree(moving, panel(made[:, :200]))


def test_a_value_outside_the_window_cannot_change_the_answer() -> None:
    made = values(WIDE + 30)
    poisoned = made.copy()
    poisoned[:, :30] += 50
    (view,) = views(made, range(30, 31))
    (same,) = views(poisoned, range(30, 31))
    np.testing.assert_array_equal(horizon().reduce(view, TASK).keep, horizon().reduce(same, TASK).keep)


# ---- planted


class Forgetful(Reducer):
    """Answers for fewer rows than it was asked about."""

    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        return Reduction(np.ones(len(panel.times) - 1, bool), "all but one")


class Moody(Reducer):
    """Changes its mind."""

    def __init__(self) -> None:
        self.rows = 5

    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        self.rows += 1
        return Last(self.rows).reduce(panel, task)


def test_the_checks_bite() -> None:
    with pytest.raises(SchemaError, match="answered 599 rows for a panel of 600"):
        check_promises(Forgetful, values())
    with pytest.raises(AssertionError):
        check_promises(Moody, values())
