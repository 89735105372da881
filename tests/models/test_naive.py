"""The yardsticks against literal loops."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.panel import Panel
from forecast.schema import Task, Variable
from models.climatology import Climatology
from models.persistence import Persistence, residual_quantiles
from models.residuals import Residuals
from models.seasonal_naive import SeasonalNaive

HOUR = timedelta(hours=1)


def daily(rows: int = 24 * 40, series: int = 2, noise: float = 0.5) -> Panel:
    hours = np.arange(rows)
    day = 5 * np.sin(2 * np.pi * hours / 24)
    values = np.stack([day + 10 * (i + 1) for i in range(series)])[:, :, None]  # (N, T, C)
    values = values + noise * np.random.default_rng(0).normal(size=values.shape)
    times = np.datetime64("2024-03-01", "us") + hours * np.timedelta64(1, "h")
    return Panel(values, times, tuple(f"S{i}" for i in range(series)), ("a",), HOUR)


@pytest.mark.parametrize(("season", "context", "horizon"), [(24, 24, 6), (24, 30, 50), (1, 3, 4), (7, 7, 7)])
def test_seasonal_naive_repeats_the_last_season(season: int, context: int, horizon: int) -> None:
    panel, task = daily(), Task(targets=(Variable("a"),), horizon=horizon, context=context)
    forecast = SeasonalNaive(season).fit(panel, task).predict(panel)
    newest = panel.values[:, -season:, 0]  # (N, season)
    for h in range(horizon):
        np.testing.assert_array_equal(forecast.point[:, h, 0], newest[:, h % season])


def test_seasonal_naive_intervals_are_the_training_errors() -> None:
    panel, task = daily(rows=200), Task(targets=(Variable("a"),), horizon=2, context=24)
    forecast = SeasonalNaive(24).fit(panel, task).predict(panel)
    errors = [panel.values[n, r + 2, 0] - panel.values[n, r + 2 - 24, 0] for n in range(2) for r in range(23, 198)]
    width = forecast.quantiles[0, 1, 0] - forecast.point[0, 1, 0]
    rank = math.ceil((len(errors) + 1) * Fraction(9, 10))  # the exact one of a finite sample, mirrored below
    np.testing.assert_allclose(width[[0, 2]], [sorted(errors)[-rank], sorted(errors)[rank - 1]])


def test_seasonal_naive_names_the_context_it_needs() -> None:
    with pytest.raises(SchemaError, match="set the context to 24 or more"):
        SeasonalNaive(24).fit(daily(), Task(targets=(Variable("a"),), context=6))


@pytest.mark.parametrize("slope", [1.0, -1.0])
def test_on_a_trend_the_point_stays_the_median(slope: float) -> None:
    panel, task = daily(rows=200, noise=0), Task(targets=(Variable("a"),), horizon=3, context=24)
    line = Panel(slope * np.arange(200.0)[None, :, None], panel.times, ("a",), ("a",), HOUR)
    forecast = SeasonalNaive(24).fit(line, task).predict(line)
    np.testing.assert_array_equal(forecast.point[0, :, 0], line.values[0, 176:179, 0])
    residuals = Residuals.of(np.full((9, 1, 3, 1), slope), task)  # (B, N, H, C)
    np.testing.assert_array_equal(residuals.shape[..., task.median], 0)
    assert (np.diff(residuals.shape, axis=-1) >= 0).all()
    assert (np.diff(Climatology().fit(line, task).spread_, axis=-1) >= 0).all()


def test_a_lead_beyond_the_history_is_as_unsure_as_the_widest_known() -> None:
    panel, task = daily(rows=30), Task(targets=(Variable("a"),), horizon=12, context=24)
    for model in (Persistence(), SeasonalNaive(24)):
        width = np.ptp(model.fit(panel, task).predict(panel).quantiles[0, :, 0], axis=-1)  # (H,)
        assert (width > 0).all()
        errors = model.spread_[:6, 0, -1] - model.spread_[:6, 0, 0]  # six leads have a truth
        np.testing.assert_allclose(width[6:], width[np.argmax(errors)])
    none = residual_quantiles(np.full((4, 1, 12, 1), np.nan), task)
    np.testing.assert_array_equal(none, np.zeros((12, 1, 3)))


def test_climatology_finds_the_day() -> None:
    panel, task = daily(), Task(targets=(Variable("a"),), horizon=24, context=3)
    forecast = Climatology().fit(panel, task).predict(panel)
    truth = daily(rows=24 * 41, noise=0).values[:, -24:]  # (N, H, C)
    np.testing.assert_allclose(forecast.point, truth, atol=0.5)
    width = forecast.quantiles[..., 2] - forecast.quantiles[..., 0]
    np.testing.assert_allclose(width.mean(), 2 * 1.2816 * 0.5, rtol=0.15)


def test_climatology_is_a_mean_by_hour_where_there_is_no_season() -> None:
    panel, task = daily(), Task(targets=(Variable("a"),), horizon=3, context=3)
    point = Climatology(smooth_days=1e6).fit(panel, task).predict(panel).point  # (N, H, C)
    for lead in (1, 2, 3):
        np.testing.assert_allclose(point[:, lead - 1, 0], panel.values[:, lead - 1 :: 24, 0].mean(1), rtol=1e-6)


def test_climatology_follows_the_season_and_stays_bounded_beyond_it() -> None:
    panel = daily(rows=24 * 100, noise=0)
    trend = panel.values + np.linspace(0, 20, 2400)[:, None]
    warmer = Panel(trend, panel.times, panel.series, panel.variables, HOUR)
    task = Task(targets=(Variable("a"),), horizon=24, context=3)
    point = Climatology(5.0).fit(warmer, task).predict(warmer).point
    np.testing.assert_allclose(point.mean((1, 2)), [10 + 18, 20 + 18], atol=2)


@pytest.mark.parametrize("step", ["15m", "6h", "1d", "2d"])
def test_climatology_takes_any_step(step: str) -> None:
    task = Task(targets=(Variable("a"),), horizon=3, context=3, step=step)
    assert isinstance(task.step, timedelta)
    times = np.datetime64("2024-01-01", "us") + np.arange(300) * np.timedelta64(task.step)
    panel = Panel(np.random.default_rng(0).normal(size=(2, 300, 1)), times, ("A", "B"), ("a",), task.step)
    assert Climatology().fit(panel, task).predict(panel).ok.all()


def test_climatology_of_a_series_never_seen_is_that_of_all(tmp_path: Path) -> None:
    values = daily().values.copy()
    values[1] = np.nan
    panel = Panel(values, daily().times, ("A", "B"), ("a",), HOUR)
    task = Task(targets=(Variable("a"),), horizon=3, context=3)
    model = Climatology().fit(panel, task)
    model.save(tmp_path / "model")
    quantiles = Forecaster.load(tmp_path / "model").predict(daily().align(("S0", "S1"))).quantiles
    assert np.isnan(quantiles).all()
    np.testing.assert_array_equal(
        Forecaster.load(tmp_path / "model").predict(panel).quantiles, model.predict(panel).quantiles
    )


def market(rows: int = 120) -> Panel:
    values = np.cumsum(np.random.default_rng(0).normal(size=(2, rows, 3)), axis=1)  # (N, T, V)
    values[1, -1, 1] = np.nan
    values[0, 40, 0] = np.nan
    times = np.datetime64("2024-03-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    return Panel(values, times, ("A", "B"), ("open", "high", "close"), HOUR)


def test_persistence_of_another_variable_repeats_its_last_value(tmp_path: Path) -> None:
    """The point, and intervals of the changes from it, by a loop."""
    panel, task = market(), Task([Variable("high"), Variable("open")], horizon=2, context=4, past=[Variable("close")])
    model = Persistence({"open": "close"}).fit(panel, task)
    found = model.predict(panel)
    np.testing.assert_array_equal(found.point[:, :, 1], np.repeat(panel.values[:, -1:, 2], 2, axis=1))
    np.testing.assert_array_equal(found.point[:, :, 0], Persistence().fit(panel, task).predict(panel).point[:, :, 0])
    changes = [panel.values[n, r + 2, 0] - panel.values[n, r, 2] for n in range(2) for r in range(3, 118)]
    changes = sorted(c for c in changes if not math.isnan(c))
    rank = math.ceil((len(changes) + 1) * Fraction(9, 10))
    width = found.quantiles[0, 1, 1] - found.point[0, 1, 1]
    np.testing.assert_allclose(width[[0, 2]], [changes[-rank], changes[rank - 1]])
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(Forecaster.load(tmp_path / "m").predict(panel).quantiles, found.quantiles)


def test_persistence_of_what_there_is_not() -> None:
    panel, task = market(), Task([Variable("open")], context=4, past=[Variable("close")])
    with pytest.raises(UnknownNameError, match="variable of persistence 'clos': did you mean 'close'"):
        Persistence({"open": "clos"}).fit(panel, task)
    with pytest.raises(UnknownNameError, match="target of persistence 'close'"):
        Persistence({"close": "open"}).fit(panel, task)
    with pytest.raises(SchemaError, match="of is 'close': say which target"):
        Persistence("close")  # type: ignore[arg-type]
    assert Persistence({"open": "close"}).traits.multivariate
    assert not Persistence().traits.multivariate
