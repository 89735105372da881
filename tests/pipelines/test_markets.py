"""The tables of the markets: what is taken of them, and the bar that every model of the stock suite has to pass."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment
from forecast.schema import Task
from forecast.spec import from_spec
from forecast.windows import forward_fill, truth_at
from models.persistence import Persistence
from models.seasonal_naive import SeasonalNaive
from models.weekdays import Weekdays
from pipelines.backtest.data import panel_of
from pipelines.backtest.plan import Split
from pipelines.sources.shared import shared_folder

TABLES = {"nifty": "markets/nifty50_daily.csv", "sp500": "markets/sp500_ohlcv.parquet"}


@cache
def config(name: str) -> dict[str, Any]:
    with initialize_config_module("forecast.conf", version_base="1.3"):
        made = compose("config", overrides=[f"+experiment={name}", "threads.workers=1"])
    plain: dict[str, Any] = OmegaConf.to_container(made, resolve=True)  # type: ignore[assignment]
    return plain


@cache
def market(name: str) -> tuple[Panel, Task, np.ndarray]:
    """The panel of an experiment, its task and the test origins (B,)."""
    if not (shared_folder() / TABLES[name]).is_file():
        pytest.skip(f"the table {TABLES[name]} is not there")
    asked = config(name)
    task: Task = from_spec(asked["task"])
    panel = panel_of(from_spec(asked["source"]), task, timedelta(0), task.horizon)
    stretches = Split(**{key: asked["backtest"][key] for key in vars(Split())}).stretches(panel.times, task.horizon)
    return panel, task, np.concatenate([stretch.origins for stretch in stretches])


def weekday(times: np.ndarray) -> np.ndarray:
    return np.is_busday(times.astype("datetime64[D]"))


def errors(model: Forecaster, name: str, filled: bool) -> np.ndarray:
    """(B, N, 5, C) truth minus forecast on the five weekdays after each test origin; NaN without a session."""
    panel, task, rows = market(name)
    model.fit(panel.rows(slice(0, int(rows[0]) + 1)), task)
    points = np.stack([f.point for f in model.predict_at(panel, [moment(t) for t in panel.times[rows]])])
    return (truths(name, filled) - points)[:, :, 2:]


def truths(name: str, filled: bool) -> np.ndarray:
    """(B, N, 7, C); with `filled` a weekday without a session has the weekday before."""
    panel, task, rows = market(name)
    if not filled:
        return truth_at(panel, task, rows)
    values = np.where(weekday(panel.times)[:, None], panel.values, np.nan)
    grid = Panel(forward_fill(values), panel.times, panel.series, panel.variables, panel.step)
    return truth_at(grid, task, rows)


def rmse(error: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(error**2)))


@pytest.mark.parametrize(("name", "weeks", "first", "last"), [
    ("nifty", 83, "2018-12-28", "2020-07-24"), ("sp500", 52, "2016-01-01", "2016-12-23"),
])  # fmt: skip
def test_a_week_is_forecast_on_every_friday(name: str, weeks: int, first: str, last: str) -> None:
    panel, _, rows = market(name)
    days = panel.times[rows].astype("datetime64[D]")
    assert (len(days), str(days[0]), str(days[-1])) == (weeks, first, last)
    assert (np.busday_count(days, days + 1, weekmask="Fri") == 1).all()


# (RMSE, RMSE by the mean truth, MAE) of 83 weeks of five days, holidays filled: as published for this split; and of the
# 390 sessions that took place, where nothing is said.
BAR = {
    "the newest open": (Persistence(), (264.7, 0.02391, 178.3), (267.8, 0.02417, 181.8)),
    "the newest close": (Persistence({"open": "close"}), (265.5, 0.02398, 155.1), (267.2, 0.02411, 156.9)),
    "the day a week ago": (Weekdays(SeasonalNaive(5)), (357.9, 0.03234, 240.4), (363.0, 0.03276, 243.7)),
}


@pytest.mark.parametrize("predictor", BAR)
def test_the_bar_is_that_of_the_filled_grid_of_weekdays(predictor: str) -> None:
    model, *published = BAR[predictor]
    for filled, (level, ratio, mean) in zip((True, False), published, strict=True):
        error, truth = errors(model, "nifty", filled), truths("nifty", filled)[:, :, 2:]
        assert (~np.isnan(error)).sum() == (415 if filled else 390)
        assert np.nanmean(truth) == pytest.approx(11_069.8 if filled else 11_081.2, abs=0.05)
        assert rmse(error) == pytest.approx(level, abs=0.05)
        assert np.nanmean(abs(error)) == pytest.approx(mean, abs=0.05)
        assert rmse(error) / np.nanmean(truth) == pytest.approx(ratio, abs=0.5e-5)


def test_the_crash_carries_the_bar() -> None:
    """RMSE by the mean truth of the 60 weeks that ended before 28 February 2020, and of the 23 since."""
    panel, _, rows = market("nifty")
    error, truth = errors(Persistence(), "nifty", filled=True), truths("nifty", filled=True)[:, :, 2:]
    before = panel.times[rows] + np.timedelta64(7, "D") < np.datetime64("2020-02-28")
    assert before.sum() == 60
    for weeks, published in ((before, 0.0168), (~before, 0.0399)):
        assert rmse(error[weeks]) / truth[weeks].mean() == pytest.approx(published, abs=0.5e-4)


def test_one_session_of_the_test_part_fell_on_a_weekend() -> None:
    panel, task, rows = market("nifty")
    weekend = truth_at(panel, task, rows)[:, :, :2]  # (B, N, 2, C) Saturdays and Sundays
    assert np.argwhere(~np.isnan(weekend[:, 0, :, 0])).tolist() == [[43, 1]]
    assert str(panel.times[rows[43] + 2].astype("datetime64[D]")) == "2019-10-27"


def test_volumes_of_other_units_are_left_out() -> None:
    panel, _, _ = market("nifty")
    volume, traded = panel.values[0, :, 4], ~np.isnan(panel.values[0, :, 0])
    known = ~np.isnan(volume)
    assert str(panel.times[known][0].astype("datetime64[D]")) == "2013-01-21"
    assert (traded & ~known)[panel.times >= np.datetime64("2013-01-21")].sum() == 33
    assert 0 < np.nanmin(volume) < np.nanmax(volume) == 1_811_000
    assert traded.sum() == 2_869


@pytest.mark.parametrize("name", TABLES)
def test_prices_lie_between_low_and_high(name: str) -> None:
    """The columns are what they are called, but for rare days whose open lies outside by a rounding or a slip."""
    panel, _, _ = market(name)
    opened, high, low, close, _ = (panel.values[..., k] for k in range(5))
    known = ~np.isnan(opened)
    for price in (opened, close):
        inside = (low[known] <= 1.0001 * price[known]) & (price[known] <= 1.0001 * high[known])
        assert inside.mean() > 0.998


def test_the_tickers_are_every_fifth_of_those_with_all_sessions() -> None:
    import polars as pl

    panel, _, _ = market("sp500")
    table = pl.read_parquet(shared_folder() / TABLES["sp500"])
    counts = table.group_by("ticker").len().filter(pl.col("len") == pl.col("len").max()).sort("ticker")
    assert list(panel.series) == counts["ticker"].to_list()[::5]
    assert len(panel.series) == 20
