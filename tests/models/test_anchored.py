"""Anchored: when the point stays, when it leaves, and that nothing else changes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from forecast.checks import check_forecaster, synthetic_panel, synthetic_task
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.panel import Panel
from forecast.schema import Task, Variable
from models.anchored import Anchored, anchored, pairs
from models.climatology import Climatology
from models.persistence import Persistence
from models.ridge import Ridge

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
TASK = Task(
    targets=(Variable("cloud", "okta", 0, 8), Variable("wind", "m/s", 0, 60)), horizon=3, context=6, levels=LEVELS
)


def weather(rows: int = 1200, stay: float = 0.9) -> Panel:
    """Cloud in whole oktas that stays most hours, else anything; wind that forgets fast."""
    rng = np.random.default_rng(0)
    cloud = np.zeros(rows)
    for t in range(1, rows):
        cloud[t] = cloud[t - 1] if rng.random() < stay else rng.integers(0, 9)
    wind = np.clip(8 + 3 * rng.normal(size=rows), 0, 60)
    times = np.datetime64("2024-03-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    return Panel(np.stack([cloud, wind], -1)[None], times, ("A",), ("cloud", "wind"), timedelta(hours=1))


def test_the_point_stays_inside_the_interval_and_leaves_outside() -> None:
    task = Task(targets=(Variable("a"),), horizon=4, levels=LEVELS)
    assert pairs(task) == [(2, 2), (1, 3), (0, 4), (-1, -1)]
    quantiles = np.tile([1.0, 3.0, 5.0, 7.0, 9.0], (1, 1, 4, 1, 1))  # (B, N, H, C, Q)
    widths = np.array([[0], [1], [2], [3]])  # (H, C)
    for last, points in ((6.0, [5, 6, 6, 6]), (8.0, [5, 5, 8, 8]), (20.0, [5, 5, 5, 20]), (np.nan, [5, 5, 5, 5])):
        found = anchored(quantiles, np.full((1, 1, 1), last), widths, task)
        np.testing.assert_array_equal(found[0, 0, :, 0, 2], points)
        np.testing.assert_array_equal(np.delete(found, 2, -1), np.delete(quantiles, 2, -1))


def test_what_stays_most_hours_is_anchored_and_what_forgets_is_not() -> None:
    panel = weather()
    model = Anchored(Climatology()).fit(panel, TASK)
    assert (model.width_[:, 0] > 0).all()
    assert (model.width_[:, 1] < 3).all(), "wind at its last value would err more than at its median"
    last, point = panel.values[0, -1, 0], model.predict(panel).point[0, 0, 0]
    assert point == last
    assert Climatology().fit(panel, TASK).predict(panel).point[0, 0, 0] != last


def test_everything_is_persistence_and_nothing_is_the_model() -> None:
    panel = weather(400)
    whole = Anchored(Climatology(), widths={"cloud": [1.0], "wind": [1.0]}).fit(panel, TASK).predict(panel)
    np.testing.assert_array_equal(whole.point, Persistence().fit(panel, TASK).predict(panel).point)
    plain = Climatology().fit(panel, TASK).predict(panel).quantiles
    none = Anchored(Climatology(), widths={"wind": [0.0]}).fit(panel, TASK).predict(panel)
    np.testing.assert_array_equal(none.quantiles, plain)
    some = Anchored(Climatology(), widths={"cloud": [1.0, 0.0]}).fit(panel, TASK).predict(panel)
    np.testing.assert_array_equal(some.quantiles[:, 1:], plain[:, 1:])
    np.testing.assert_array_equal(some.quantiles[..., 1, :], plain[..., 1, :])
    assert some.point[0, 0, 0] == panel.values[0, -1, 0]


def test_the_choice_is_made_without_the_newest_truths() -> None:
    """The model that is judged was fitted before the first forecast it is judged by: the future cannot steer it."""
    panel = weather(600)
    seen: list[int] = []

    class Spy(Persistence):
        def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
            seen.append(len(panel.times))
            super()._fit(panel, task, warm)

    Anchored(Spy()).fit(panel, TASK)
    origins = 600 - 1 - (TASK.context - 1)
    assert seen == [600 - 1 - int(origins * 0.25) + 1, 600]


def test_wrong_settings_are_told() -> None:
    with pytest.raises(SchemaError, match="between 0 and 1"):
        Anchored(newest=0)
    with pytest.raises(SchemaError, match="known are"):
        Anchored(widths={"wind": [0.3]}).fit(weather(100), TASK)
    with pytest.raises(UnknownNameError, match="did you mean 'cloud'"):
        Anchored(widths={"clouds": [1.0]}).fit(weather(100), TASK)


def test_around_a_streaming_model_it_keeps_the_contract() -> None:
    check_forecaster(lambda: Anchored(Ridge()))


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    panel = weather(400)
    model = Anchored(Ridge()).fit(panel, TASK)
    model.save(tmp_path / "model")
    other = Forecaster.load(tmp_path / "model")
    np.testing.assert_array_equal(other.predict(panel).quantiles, model.predict(panel).quantiles)


def test_wrappers_in_wrappers_keep_their_files_apart(tmp_path: Path) -> None:
    from models.conformal import Conformal

    panel, task = synthetic_panel(), synthetic_task()
    outer = Anchored(Conformal(Anchored(Ridge(), widths={"temperature": [1.0]})), widths={"humidity": [1.0]})
    model = outer.fit(panel, task)
    model.save(tmp_path / "model")
    wanted, found = model.predict(panel), Forecaster.load(tmp_path / "model").predict(panel)
    assert np.array_equal(found.quantiles, wanted.quantiles)
    last = panel.values[:, -1, : len(task.targets)]  # (N, C)
    still = np.isclose(wanted.point, last[:, None]).all((0, 1))  # (C,)
    assert dict(zip(task.target_names, still.tolist(), strict=True)) == {"temperature": True, "humidity": True}
