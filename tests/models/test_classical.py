"""The classical models: our recursions against the library's own forecasts, and the test of a plain season."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forecast.errors import SchemaError
from forecast.panel import Panel, stamp
from forecast.schema import Task, Variable
from models.classical.arima import AutoARIMA
from models.classical.ets import AutoETS
from models.classical.season import plain, profile
from models.classical.theta import Theta
from models.drift_line import DriftLine

models = pytest.importorskip("statsforecast.models", reason="the extra `classical` is not installed")
HOURS = 240


def line(seed: int = 0, season: float = 3.0, rows: int = HOURS) -> np.ndarray:
    """(T,) a slow wave, a daily one and noise."""
    rng = np.random.default_rng(seed)
    wander = rng.normal(size=rows).cumsum() * 0.3
    return 20 + wander + season * np.sin(2 * np.pi * np.arange(rows) / 24) + rng.normal(size=rows) * 0.3


def panel_of(values: np.ndarray) -> Panel:
    times = stamp(datetime(2024, 1, 1, tzinfo=UTC)) + np.arange(len(values)) * np.timedelta64(1, "h")
    return Panel(values[None, :, None], times, ("one",), ("value",), timedelta(hours=1))


def task_of(context: int, horizon: int = 30) -> Task:
    return Task(targets=(Variable("value"),), horizon=horizon, context=context, levels=(0.1, 0.5, 0.9))


def scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def test_a_season_is_plain_where_changes_repeat() -> None:
    rng = np.random.default_rng(0)
    assert plain(line(season=3.0), 24)
    assert not plain(line(season=0.0), 24)
    assert not plain(np.full(200, 4.0), 24)
    assert not plain(line()[:60], 24), "two and a half days show no daily cycle"
    alarms = sum(plain(rng.normal(size=200).cumsum(), 24) for _ in range(300))
    assert alarms <= 30, "at most about one wandering line in twenty has a season by chance"


def test_the_profile_is_the_season() -> None:
    hours = np.arange(240)
    wave = 2 * np.sin(2 * np.pi * hours / 24)
    found = profile(5 + 0.1 * hours + wave, (hours + 7) % 24, 24)
    np.testing.assert_allclose(found[(hours[:24] + 7) % 24], wave[:24], atol=1e-9)


def test_ets_equals_the_library_where_it_starts_alike() -> None:
    values = line()
    model = AutoETS().fit(panel_of(values), task_of(HOURS - 20))
    assert model.arrays_["season"].any(), "the season is in, whatever AICc says"
    library = models.AutoETS(season_length=24, model="AZA").fit(scaled(values))
    wanted = library.predict(30)["mean"] * values.std() + values.mean()
    found = model.predict(panel_of(values)).point[0, :, 0]
    assert np.abs(found - wanted).max() < 0.1 * values.std(), "what is left of the start after 220 rows is small"


def test_forcing_the_season_is_what_pays() -> None:
    values = line(rows=HOURS + 24)
    history, truth = panel_of(values[:HOURS]), values[HOURS:]
    forced = AutoETS().fit(history, task_of(96, 24)).predict(history).point[0, :, 0]
    without = AutoETS(season=1).fit(history, task_of(96, 24)).predict(history).point[0, :, 0]
    assert np.abs(forced - truth).mean() < 0.6 * np.abs(without - truth).mean()


@pytest.mark.parametrize("variant", ["STM", "OTM"])
def test_theta_equals_the_library(variant: str) -> None:
    values = line(season=0.0)
    model = Theta(variant=variant).fit(panel_of(values), task_of(HOURS - 20))
    library = models.AutoTheta(season_length=1, model=variant).fit(scaled(values))
    wanted = library.predict(30)["mean"] * values.std() + values.mean()
    np.testing.assert_allclose(model.predict(panel_of(values)).point[0, :, 0], wanted, rtol=2e-3)


def test_theta_adds_the_season_at_the_right_hours() -> None:
    hours = np.arange(HOURS + 30)
    values = 10 + 3 * np.sin(2 * np.pi * hours / 24) + np.random.default_rng(1).normal(size=len(hours)) * 0.05
    model = Theta().fit(panel_of(values[:HOURS]), task_of(50))
    for end in (HOURS, HOURS - 5):
        found = model.predict(panel_of(values[:end])).point[0, :, 0]
        assert np.abs(found - values[end : end + 30]).mean() < 0.4


@pytest.mark.filterwarnings("ignore:possible convergence problem")
@pytest.mark.parametrize("seed", [2, 4, 7])
def test_arima_equals_the_library(seed: int) -> None:
    """With errors (2, 7), without (4), with drift (7)."""
    rng = np.random.default_rng(seed)
    noise, values = rng.normal(size=HOURS + 1), np.zeros(HOURS)
    for t in range(1, HOURS):
        values[t] = 0.5 * values[t - 1] + noise[t] + 0.4 * noise[t - 1]
    values = values.cumsum()
    model = AutoARIMA(season=1, p=2, q=2).fit(panel_of(values), task_of(HOURS - 20))
    settings = {"max_p": 2, "max_q": 2, "start_p": 2, "start_q": 2}
    library = models.AutoARIMA(season_length=1, approximation=True, **settings).fit(scaled(values))
    wanted = library.predict(30)["mean"] * values.std() + values.mean()
    assert model.arrays_["d"] == 1
    np.testing.assert_allclose(model.predict(panel_of(values)).point[0, :, 0], wanted, atol=1e-9 * values.std())


def test_arima_integrates_what_it_differenced() -> None:
    model, values = AutoARIMA(p=1, q=1), np.array([1.0, 2.0, 4.0, 7.0, 11.0])
    one = {name: np.reshape(v, (1, 1)) for name, v in {"d": 2.0, "constant": 0.0}.items()}
    model.arrays_ = one | {"ar": np.zeros((1, 1, 1)), "ma": np.zeros((1, 1, 1))}
    found = model._ahead(values[None, None, None], np.zeros((1, 1, 1, 5)), np.zeros((1, 1, 1, 3)))
    assert found.ravel().tolist() == [15.0, 19.0, 23.0], "the newest change goes on"


def test_drift_line_is_the_line_through_the_ends() -> None:
    values = 3.0 + 0.5 * np.arange(60)
    found = DriftLine().fit(panel_of(values), task_of(10, 3)).predict(panel_of(values)).point[0, :, 0]
    np.testing.assert_allclose(found, [33.0, 33.5, 34.0])


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name.split(".")[0])

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(SchemaError, match=r"nowcastle\[classical\]"):
        Theta().fit(panel_of(line()), task_of(24))
