"""Weekdays against packing by hand with numpy's business days, and what it must not see."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from forecast.checks import synthetic_panel, synthetic_task
from forecast.errors import SchemaError
from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment
from forecast.schema import Task, Variable
from forecast.together import Fit, fit_together
from models.lightning import Training
from models.mlp import MLP
from models.nets.framing import Framing
from models.persistence import Persistence
from models.ridge import Ridge
from models.ridges.inputs import RidgeInputs
from models.seasonal_naive import SeasonalNaive
from models.weekdays import Weekdays, _ahead, fewest, most

DAY = timedelta(days=1)
TASK = Task([Variable("open")], step="1d", context=14, horizon=7, past=[Variable("close")], patience=6)
START = np.datetime64("2023-10-04")  # a Wednesday; a year ends, February has 29 days
NET = MLP(hidden=8, framing=Framing(harmonics=0), training=Training(epochs=2, warm_epochs=1))


def market(days: int = 300, holidays: float = 0.04, weekends: float = 0.0) -> Panel:
    """Two wandering shares; some weekdays without a session, some weekend days with one, of wild prices."""
    rng = np.random.default_rng(0)
    times = START + np.arange(days)  # (T,)
    values = 100 + np.cumsum(rng.normal(size=(2, days, 2)), axis=1)  # (N, T, V)
    values[:, ~np.is_busday(times)] = np.nan
    values[:, rng.random(days) < holidays] = np.nan
    wild = ~np.is_busday(times) & (rng.random(days) < weekends)  # (T,)
    values[:, wild] = 1e4 * rng.random((2, wild.sum(), 2))
    values[:, -7:] = np.where(np.is_busday(times[-7:])[:, None], 99.0, np.nan)
    return Panel(values, times.astype("datetime64[us]"), ("A", "B"), ("open", "close"), DAY)


def by_hand(panel: Panel) -> Panel:
    """The weekdays one by one, each gap from the weekday before it if that lies within the patience."""
    rows, last = [], np.full((2, 2), -99)
    newest = panel.values[:, 0].copy()
    for t, time in enumerate(panel.times):
        day = time.astype("datetime64[D]")
        if not np.is_busday(day):
            continue
        for n in range(2):
            for v in range(2):
                if not np.isnan(panel.values[n, t, v]):
                    newest[n, v], last[n, v] = panel.values[n, t, v], t
        rows.append(np.where(t - last <= TASK.patience, newest, np.nan))
    first = np.busday_offset(START, 0, roll="forward")
    monday = np.busday_offset(first, 0, roll="backward", weekmask="Mon")
    hours = 33.6 * (np.busday_count(monday, first) + np.arange(len(rows)))
    times = monday.astype("datetime64[us]") + (hours * 3_600_000_000).round().astype("timedelta64[us]")
    return Panel(np.stack(rows, 1), times, panel.series, panel.variables, timedelta(hours=33.6))


def ridge() -> Ridge:
    return Ridge(half_life=None, inputs=RidgeInputs(neighbours=1, lags=(1, 2, 9)))


@pytest.mark.parametrize("back", range(7))
def test_the_packing_is_that_by_hand_from_every_day_of_the_week(back: int) -> None:
    """The origin's context, its training rows, and each calendar day's answer, with a model that uses all of them."""
    panel = market(weekends=0.3)
    until = panel.rows(slice(0, len(panel.times) - back))
    found = Weekdays(ridge()).fit(panel, TASK).predict(until)
    asked = replace(TASK, step=timedelta(hours=33.6), context=10, horizon=5, patience=5)
    hand, origin = by_hand(panel), until.times[-1].astype("datetime64[D]")
    keep = np.zeros(len(hand.times), bool)
    outer = [t for t in range(13, len(panel.times) - 1) if np.is_busday(panel.times[t].astype("datetime64[D]"))]
    keep[[np.busday_count(START, panel.times[t].astype("datetime64[D]")) for t in outer]] = True
    row = np.busday_count(START, origin + 1) - 1  # of the newest weekday
    wanted = ridge().fit(hand.with_keep(keep), asked).predict(hand.rows(slice(0, row + 1)))
    for h in range(7):
        lead = max(1, np.busday_count(origin + 1, origin + h + 2))  # weekdays after the origin, up to this day
        np.testing.assert_allclose(found.quantiles[:, h], wanted.quantiles[:, lead - 1], rtol=1e-9)


def test_many_origins_are_each_alone() -> None:
    panel = market(weekends=0.3)
    model = Weekdays(ridge()).fit(panel.rows(slice(0, 200)), TASK)
    origins = [moment(t) for t in panel.times[100:121]]
    for origin, found in zip(origins, model.predict_at(panel, origins), strict=True):
        np.testing.assert_allclose(found.quantiles, model.predict(panel.until(origin)).quantiles, rtol=1e-9)


@pytest.mark.parametrize("model", [Persistence(), SeasonalNaive(5), NET], ids=lambda m: type(m).__name__)
def test_days_without_weekends_are_consecutive_days_to_the_model(model: Forecaster) -> None:
    panel = market(holidays=0)
    weekdays = panel.values[:, np.is_busday(panel.times.astype("datetime64[D]"))]  # (N, T', V)
    times = START.astype("datetime64[us]") + np.arange(weekdays.shape[1]) * np.timedelta64(1, "D")
    plain = Panel(weekdays, times, panel.series, panel.variables, DAY)
    keep = np.arange(len(times)) >= fewest(14) - 1
    keep[: np.busday_count(START, START + 13)] = False  # the calendar has no fortnight before them
    wanted = model.fit(plain.with_keep(keep), replace(TASK, context=10, horizon=5)).predict(plain)
    found = Weekdays(model).fit(panel, TASK).predict(panel)
    here = np.is_busday([panel.end.date() + timedelta(h) for h in range(1, 8)])
    np.testing.assert_allclose(found.quantiles[:, here], wanted.quantiles, rtol=1e-5)


def test_neither_the_future_nor_a_weekend_is_seen() -> None:
    panel, row = market(weekends=0.3), 200
    model = Weekdays(ridge()).fit(panel.rows(slice(0, row + 1)), TASK)
    wanted = model.predict(panel.rows(slice(0, row + 1)))
    poisoned = panel.values.copy()
    poisoned[:, row + 1 :] = 1e6
    weekend = ~np.is_busday(panel.times.astype("datetime64[D]"))
    poisoned[:, weekend] = np.where(np.isnan(poisoned[:, weekend]), np.nan, -1e6)
    other = replace(panel, values=poisoned)
    again = Weekdays(ridge()).fit(other.rows(slice(0, row + 1)), TASK)
    for one in (model, again):
        found = one.predict_at(other, [moment(panel.times[row])])[0]
        np.testing.assert_array_equal(found.quantiles, wanted.quantiles)


@pytest.mark.parametrize("horizon", [1, 3, 7, 9])
def test_rows_outside_the_kept_origins_are_not_learnt_from(horizon: int) -> None:
    """Also where five weekdays inside would reach beyond the days asked for."""
    panel, task = market(), replace(TASK, horizon=horizon)
    for first, last in ((100, 150), (101, 153), (104, 155)):
        keep = np.zeros(len(panel.times), bool)
        keep[first : last + 1] = True
        values = panel.values.copy()
        values[:, : first - 13] *= 1e6
        values[:, last + horizon + 1 :] *= 1e6
        found = Weekdays(NET).fit(replace(panel, values=values).with_keep(keep), task).predict(panel)
        wanted = Weekdays(NET).fit(panel.with_keep(keep), task).predict(panel)
        np.testing.assert_array_equal(found.quantiles, wanted.quantiles)


def test_what_is_not_known_yet_is_no_truth() -> None:
    """The days after the newest value are no holidays: nothing is learnt of them."""
    panel = market()
    values = panel.values.copy()
    values[:, 250:] = np.nan
    silent = Weekdays(ridge()).fit(replace(panel, values=values), TASK)
    short = Weekdays(ridge()).fit(panel.rows(slice(0, 250)), TASK)
    np.testing.assert_allclose(silent.predict(panel).quantiles, short.predict(panel).quantiles, rtol=1e-9)


def test_equal_models_share_a_pass_and_end_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    panel, passes = market(), []
    train = MLP._fit_together.__func__  # type: ignore[attr-defined]

    def counted(cls: type, fits: list[Fit]) -> None:
        passes.append(len(fits))
        train(cls, fits)

    seeds = [Weekdays(MLP(hidden=8, training=NET.training, seed=seed)) for seed in range(3)]
    alone = [Weekdays(m.model).fit(panel, TASK).predict(panel).quantiles for m in seeds]
    monkeypatch.setattr(MLP, "_fit_together", classmethod(counted))
    assert fit_together([Fit(model, panel, TASK) for model in seeds]) == [None] * 3
    assert passes == [3]
    for model, wanted in zip(seeds, alone, strict=True):
        np.testing.assert_allclose(model.predict(panel).quantiles, wanted, rtol=1e-4)
    assert (alone[0] != alone[1]).any()


def test_saved_and_loaded_it_goes_on_from_the_same_day(tmp_path: Path) -> None:
    panel = market(weekends=0.3)
    for rows in range(193, 200):  # fits that end on each day of the week
        model = Weekdays(ridge()).fit(panel.rows(slice(0, rows)), TASK)
        model.save(tmp_path / f"m{rows}")
        loaded = Forecaster.load(tmp_path / f"m{rows}")
        for one in (model, loaded):
            one.update(panel)
        assert (model.predict(panel).quantiles == loaded.predict(panel).quantiles).all()
        assert model.model_.data_end_ == loaded.model_.data_end_  # type: ignore[attr-defined]


def test_the_weekdays_of_a_run_of_days_are_counted() -> None:
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")
    for length in range(1, 30):
        counts = [np.busday_count(day, day + length) for day in days[:7]]
        assert (fewest(length), most(length)) == (min(counts), max(counts))


def test_an_outlook_is_that_of_the_weekdays() -> None:
    for day in np.arange("2024-01-01", "2024-01-08", dtype="datetime64[D]"):
        for steps in (1, 5, 7, 9):
            outlook = np.arange(1.0, steps + 1)[None, None, :, None]  # (B, N, K, F): each step's own number
            found = _ahead(outlook, np.array([np.busday_count("2024-01-01", day, weekmask="1111111")]))[0, 0, :, 0]
            wanted = [k for k in range(1, steps + 1) if np.is_busday(day + k)]
            assert len(found) == most(steps)
            assert found[: len(wanted)].tolist() == wanted
            assert np.isnan(found[len(wanted) :]).all()


def test_other_steps_are_left_alone() -> None:
    panel, task = synthetic_panel(), synthetic_task()
    found = Weekdays(ridge()).fit(panel, task).predict(panel)
    np.testing.assert_array_equal(found.quantiles, ridge().fit(panel, task).predict(panel).quantiles)


@pytest.mark.parametrize(
    ("hours", "named"), [(-5.5, "Sundays have values, 0 Fridays"), (24, "Saturdays have values, 0 Mondays")]
)
def test_days_of_another_zone_are_refused(hours: float, named: str) -> None:
    """Midnight in Kolkata is the evening before in UTC: four of five sessions would be taken for the days before."""
    panel = market()
    moved = replace(panel, times=panel.times + np.timedelta64(timedelta(hours=hours)))
    with pytest.raises(SchemaError, match=f"{named}.*zone: UTC"):
        Weekdays().fit(moved.rows(slice(0, 90)), TASK)
    later = replace(panel, times=panel.times + np.timedelta64(18, "h"))  # of the same day
    np.testing.assert_array_equal(
        Weekdays(SeasonalNaive(5)).fit(later, TASK).predict(later).point,
        Weekdays(SeasonalNaive(5)).fit(panel, TASK).predict(panel).point,
    )


@pytest.mark.parametrize("model", [Ridge(half_life=None), MLP(hidden=8, training=NET.training)], ids=["ridge", "mlp"])
def test_an_outlook_reaches_the_model_from_every_day(model: Forecaster) -> None:
    """The answers follow what is known ahead of each weekday, and of no weekend."""
    days = 300
    panel = market(days)
    known = np.random.default_rng(1).normal(size=days + 7)  # of each day
    values = panel.values.copy()
    values[..., 0] = np.where(np.isnan(values[..., 0]), np.nan, 50 * known[:days])
    ahead = np.lib.stride_tricks.sliding_window_view(known[1:], 7)[None, :, :, None].repeat(2, 0)  # (N, T, K, F)
    panel = replace(panel, values=values, outlook=ahead, outlook_variables=("news",))
    fitted = Weekdays(model).fit(panel, replace(TASK, future=[Variable("news")]))
    weekend = ~np.is_busday(panel.times.astype("datetime64[D]")[:, None] + np.arange(1, 8))  # (T, K)
    other = replace(panel, outlook=np.where(weekend[None, ..., None], 9.0, ahead))
    errors = []
    for row in range(280, 287):
        found = fitted.predict(panel.rows(slice(0, row + 1)))
        np.testing.assert_array_equal(found.point, fitted.predict(other.rows(slice(0, row + 1))).point)
        errors.append(found.point[..., 0] - np.where(weekend[row], np.nan, 50 * ahead[:, row, :, 0]))
    assert np.nanmean(np.abs(errors)) < 15  # 30 without


def test_a_context_without_a_weekday_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"may hold no weekday: set task\.context to 3"):
        Weekdays().fit(market(), replace(TASK, context=2))
