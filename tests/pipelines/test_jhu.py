"""The counts of COVID-19 by country: the published table of the 14-day test, and the plan that leads up to it.

What is asked of the table itself runs where it is.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment
from forecast.schema import Task
from forecast.spec import from_spec
from pipelines.backtest.data import panel_of
from pipelines.backtest.plan import Split
from pipelines.jobs.backtest import SPLIT
from pipelines.sources.replay import locate
from pipelines.sources.shared import shared_folder

FILE = "epidemic/jhu_covid19_by_country.csv"
BEGIN, DAYS = np.datetime64("2020-01-22", "us"), 131
needs_data = pytest.mark.skipif(
    not (shared_folder() / FILE).is_file(), reason=f"{FILE} is not in the folder that FORECAST_DATA names"
)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    with initialize_config_module("forecast.conf", version_base="1.3"):
        found = compose("config", overrides=["+experiment=regenn_jhu", "threads.workers=1"])
    plain: dict[str, Any] = OmegaConf.to_container(found, resolve=True)  # type: ignore[assignment]
    return plain


@pytest.fixture(scope="module")
def task(config: dict[str, Any]) -> Task:
    made: Task = from_spec(config["task"])
    return made


@pytest.fixture(scope="module")
def panel(config: dict[str, Any], task: Task) -> Panel:
    return panel_of(from_spec(config["source"]), task, timedelta(0), task.horizon)


def split_of(config: dict[str, Any], **changes: Any) -> Split:
    return Split(**{name: config["backtest"][name] for name in SPLIT} | changes)


def test_the_last_origin_is_the_test_of_the_spec(config: dict[str, Any], task: Task) -> None:
    times = BEGIN + np.arange(DAYS) * np.timedelta64(1, "D")
    plan = split_of(config).stretches(times, task.horizon)
    assert [s.origins.tolist() for s in plan] == [[63], [77], [91], [105]]
    assert all(s.first == 0 and s.stop == s.origins[0] + 1 for s in plan), "each is fitted on all rows up to it"
    assert plan[-1].origins[0] + task.horizon == 119, "the 120th day is the last truth"
    (begin,) = config["backtest"]["report"]["regimes"].values()
    assert datetime.fromisoformat(begin) == moment(times[106]), "the regime begins with the test's first truth"


def test_settings_are_chosen_before_the_test_begins(config: dict[str, Any], task: Task) -> None:
    times = BEGIN + np.arange(DAYS) * np.timedelta64(1, "D")
    plan = split_of(config, part="choose", choose=64, test=106, every=7, cutoffs=5).stretches(times, task.horizon)
    assert [int(s.origins[0]) for s in plan] == [63, 70, 77, 84, 91]
    assert plan[-1].origins[-1] + task.horizon < 106


@needs_data
def test_every_cell_of_the_file_is_in_its_place(panel: Panel, config: dict[str, Any]) -> None:
    with locate(config["source"]["table"]).open() as file:
        rows = list(csv.DictReader(file))
    assert panel.shape == (188, DAYS, 3)
    assert len(rows) == 188 * DAYS
    assert panel.times[0] == BEGIN
    for row in rows[:: len(rows) // 500]:
        series = panel.series.index(row["country"])
        day = int((np.datetime64(row["date"]) - BEGIN) / np.timedelta64(1, "D"))
        assert panel.values[series, day].tolist() == [float(row[name]) for name in panel.variables]
    source = from_spec(config["source"])
    assert source.poll({}, datetime(2030, 1, 1, tzinfo=UTC)).rejected.is_empty()


@needs_data
@pytest.mark.parametrize(("label", "mae", "rmse"), [("persistence", 1810.0, 11204.5), ("drift_week", 557.4, 2901.3)])
def test_the_yardsticks_of_the_spec(
    config: dict[str, Any], task: Task, panel: Panel, label: str, mae: float, rmse: float
) -> None:
    """Errors over all countries, days and counts, as in section 6 of the spec of ReGENN."""
    spec = {**config["baselines"], **config["backtest"]["models"]}[label]
    stretch = split_of(config).stretches(panel.times, task.horizon)[-1]
    history = panel.rows(slice(stretch.first, stretch.stop))
    model: Forecaster = from_spec(spec)
    point = model.fit(history, task).predict(history).point  # (N, H, C)
    wrong = point - panel.values[:, stretch.stop : stretch.stop + task.horizon]
    assert round(float(np.abs(wrong).mean()), 1) == mae
    assert round(float(np.sqrt((wrong**2).mean())), 1) == rmse


@needs_data
def test_the_seven_rows_of_the_paper_know_a_better_line(task: Task, panel: Panel) -> None:
    """By plain arithmetic: seven rows have six changes, and their line is ahead of that of seven changes."""
    counts = panel.values
    for changes, mae in ((6, 518.5), (7, 557.4), (3, 490.1)):
        total = 0.0
        for lead in task.leads:
            guess = counts[:, 105] + lead * (counts[:, 105] - counts[:, 105 - changes]) / changes  # (N, C)
            total += np.abs(guess - counts[:, 105 + lead]).sum()
        assert round(total / (188 * 14 * 3), 1) == mae
