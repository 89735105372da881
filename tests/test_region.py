"""Regions: the neighbours' values stand beside one's own, by name, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecast.checks import synthetic_panel, synthetic_task
from forecast.checks.data import NAMES
from forecast.errors import SchemaError, UnknownNameError
from forecast.panel import Panel
from forecast.region import Region, beside
from models.persistence import Persistence
from models.xgboost import XGBoost

PANEL, TASK = synthetic_panel(), synthetic_task()
JFK = Region("JFK", ("humidity",))


def test_every_value_is_where_its_name_says() -> None:
    seen = JFK.panel(PANEL, TASK)
    assert seen.series == ("JFK",)
    for name in NAMES:
        for v in TASK.names:
            column = v if name == "JFK" else beside(v, name)
            own = PANEL.values[PANEL.series.index(name), :, PANEL.variables.index(v)]
            np.testing.assert_array_equal(seen.values[0, :, seen.variables.index(column)], own)
    assert len(seen.variables) == len(set(seen.variables)) == 9


def test_the_task_names_what_the_panel_has() -> None:
    task = JFK.task(TASK, NAMES)
    assert task.target_names == ("humidity",)
    assert set(task.names) == set(JFK.panel(PANEL, TASK).variables)
    assert (task.targets[0].lower, task.targets[0].upper) == (0, 100)
    assert (task.horizon, task.context, task.levels) == (TASK.horizon, TASK.context, TASK.levels)


def test_the_whole_is_the_whole() -> None:
    whole = Region()
    assert whole.whole
    assert whole.panel(PANEL, TASK) is PANEL
    assert whole.task(TASK, NAMES) == TASK


def test_targets_alone_keep_all_series() -> None:
    region = Region(targets=("temperature",))
    task = region.task(TASK, NAMES)
    assert (task.target_names, [v.name for v in task.past]) == (("temperature",), ["humidity", "wind"])
    assert region.panel(PANEL, TASK) is PANEL


def test_without_neighbours_a_series_stands_alone() -> None:
    local = Region("JFK", neighbours=False)
    assert local.panel(PANEL, TASK).variables == local.task(TASK, NAMES).names == TASK.names


def test_the_kept_rows_and_the_outlook_go_along() -> None:
    keep = np.arange(200) > 50
    outlook = np.random.default_rng(0).normal(size=(3, 200, 3, 1))
    panel = Panel(PANEL.values, PANEL.times, PANEL.series, PANEL.variables, PANEL.step, outlook, ("temperature",), keep)
    seen = JFK.panel(panel, TASK)
    np.testing.assert_array_equal(seen.keep, keep)
    assert seen.outlook is not None
    np.testing.assert_array_equal(seen.outlook[0], outlook[1])


def test_a_model_that_ignores_neighbours_forecasts_the_same() -> None:
    wanted = Persistence().fit(PANEL, TASK).predict(PANEL)
    region = Region("JFK")
    seen = region.panel(PANEL, TASK)
    found = Persistence().fit(seen, region.task(TASK, NAMES)).predict(seen)
    np.testing.assert_allclose(found.point[0], wanted.point[1])


def test_a_model_of_past_inputs_learns_from_its_neighbours() -> None:
    """LGA knows JFK's next hour: with it the errors fall, without it they stay."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 600, 3))
    values[1, 1:, 0] = values[2, :-1, 0]
    panel = replace(synthetic_panel(600), values=values)
    task = synthetic_task(horizon=1, context=3)
    errors = []
    for region in (Region("JFK", ("temperature",)), Region("JFK", ("temperature",), neighbours=False)):
        seen, asked = region.panel(panel, task), region.task(task, NAMES)
        model = XGBoost().fit(seen.rows(slice(0, 500)), asked)
        points = [model.predict(seen.rows(slice(0, k))).point[0, 0, 0] for k in range(501, 600)]
        errors.append(float(np.abs(np.array(points) - values[1, 501:, 0]).mean()))
    assert errors[0] < 0.5 * errors[1]


def test_wrong_names_are_told() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'humidity'"):
        Region("JFK", ("humidty",)).task(TASK, NAMES)
    with pytest.raises(UnknownNameError, match="unknown series 'JFC'"):
        Region("JFC").panel(PANEL, TASK)
    with pytest.raises(SchemaError, match="named twice"):
        Region("JFK", ("wind", "wind"))


def test_past_inputs_are_no_targets() -> None:
    with pytest.raises(UnknownNameError, match="target 'wind'"):
        Region("JFK", ("wind",)).task(TASK, NAMES)
