"""Parts of the ridge: ranks of errors, discrete variables, columns of the outlook and the seasons."""

from __future__ import annotations

import numpy as np
import pytest

from forecast.metrics import conformal_rank
from forecast.panel import Panel
from forecast.schema import Task, Variable
from forecast.windows import windows_at
from models.ridge import Ridge
from models.ridges.errors import mean_of_known, quantiles_of, ring_of
from models.ridges.inputs import CHAIN, RidgeInputs, design, factors_of, without_gaps
from models.ridges.steps import discrete, outputs_of, read_off


@pytest.mark.parametrize("count", [1, 2, 9, 99, 120])
def test_the_rank_is_that_of_conformal_prediction(count: int) -> None:
    errors = np.random.default_rng(count).permutation(np.arange(1.0, count + 1))
    ring = np.full((1, 128, 1, 1), np.nan)
    ring[0, :count, 0, 0] = errors
    levels = (0.05, 0.5, 0.9)
    low, middle, high = quantiles_of(ring, levels, shift=True)[0, 0, 0]
    wanted = conformal_rank(count, 0.9) if count >= 9 else count
    assert high == wanted
    assert low == min(max(int((count + 1) * 5) // 100, 1), middle)
    assert middle == count // 2 + 1  # of two in the middle the upper one


def test_without_a_shift_the_point_stays() -> None:
    late = quantiles_of(np.full((1, 40, 1, 1), 2.0) + np.arange(40)[None, :, None, None], (0.1, 0.5, 0.9), shift=False)
    assert late[0, 0, 0].tolist() == [0.0, 0.0, 38.0]
    none = quantiles_of(np.full((2, 4, 3, 1), np.nan), (0.1, 0.5), shift=False)
    assert np.isnan(none).all()
    np.testing.assert_array_equal(mean_of_known(none), 0)
    np.testing.assert_array_equal(mean_of_known(np.array([[[[1.0]]], [[[np.nan]]], [[[4.0]]]])), 2.5)


def test_the_ring_keeps_the_newest() -> None:
    errors = np.arange(10.0)[None, :, None, None]
    assert ring_of(errors, 4)[0, :, 0, 0].tolist() == [6, 7, 8, 9]
    assert np.isnan(ring_of(errors, 12)[0, :2]).all()


def test_quantiles_of_a_discrete_variable_are_its_values() -> None:
    values = np.array([0.0, 3.0, 8.0])
    levels = (0.1, 0.5, 0.9)
    none = np.zeros(1)
    assert read_off(np.array([[0.2, 0.7]]), values, levels, np.array([0.0]), none).tolist() == [[0, 3, 8]]
    assert read_off(np.array([[0.7, 0.2]]), values, levels, np.array([0.0]), none).tolist() == [[0, 3, 8]]  # crossing
    assert read_off(np.array([[0.47, 0.9]]), values, levels, np.array([0.0]), none)[0, 1] == 3
    assert read_off(np.array([[0.47, 0.9]]), values, levels, np.array([0.0]), none + 0.05)[0, 1] == 0
    assert read_off(np.array([[0.47, 0.9]]), values, levels, np.array([8.0]), none + 0.05)[0, 1] == 3
    assert read_off(np.array([[0.2, 0.48]]), values, levels, np.array([3.0]), none + 0.05)[0, 1] == 3


def test_what_is_learnt_of_a_discrete_variable() -> None:
    chance = np.random.default_rng(0)
    values = np.stack([chance.choice([0.0, 4.0, 8.0], (2, 50)), chance.normal(size=(2, 50))], -1)
    steps = discrete(values, 5)
    assert [s.tolist() for s in steps] == [[0, 4, 8], []]
    truth = np.array([[[[0.0, 1.5]]], [[[4.0, np.nan]]], [[[np.nan, 2.0]]]])  # (N, R, H, C)
    found = outputs_of(truth, np.ones((3, 1, 2)), steps)[:, 0]
    np.testing.assert_array_equal(found, [[-1, 0.5, 1, 1], [3, np.nan, 0, 1], [np.nan, 1, np.nan, np.nan]])


def test_a_two_peaked_variable_keeps_to_its_peaks() -> None:
    """A sky clear or overcast that changes seldom: the mean lies where it never is, the median does not."""
    chance = np.random.default_rng(5)
    sky = np.zeros(1500)
    for t in range(1, 1500):
        sky[t] = 8 - sky[t - 1] if chance.random() < 0.1 else sky[t - 1]
    times = np.datetime64("2024-01-01", "us") + np.arange(1500) * np.timedelta64(1, "h")
    panel = Panel(sky[None, :, None], times, ("S",), ("cloud",), np.timedelta64(1, "h").item())
    task = Task(targets=(Variable("cloud", "okta", 0, 8),), horizon=3, context=3)
    origins = [panel.rows(slice(0, r + 1)).end for r in range(1000, 1495)]
    truth = np.stack([sky[r + 1 : r + 4] for r in range(1000, 1495)])
    errors = {}
    for steps in (0, 12):
        model = Ridge(RidgeInputs(neighbours=0), steps=steps).fit(panel.rows(slice(0, 1000)), task)
        points = np.stack([f.point[0, :, 0] for f in model.predict_at(panel, origins)])
        errors[steps] = np.abs(points - truth).mean(0)
    lazy = np.abs(sky[1000:1495, None] - truth).mean(0)
    assert (errors[12] <= 1.05 * lazy).all()
    assert (errors[0] > 1.2 * lazy).all()


def test_columns_of_seasons_and_outlook() -> None:
    rng = np.random.default_rng(2)
    times = np.datetime64("2024-01-01", "us") + np.arange(40) * np.timedelta64(1, "h")
    hour = np.timedelta64(1, "h").item()
    panel = Panel(rng.normal(size=(2, 40, 1)), times, ("A", "B"), ("a",), hour, rng.normal(size=(2, 40, 4, 1)), ("f",))
    task = Task(targets=(Variable("a"),), future=(Variable("f"),), horizon=6, context=8)
    inputs = RidgeInputs(lags=(), neighbours=0, harmonics=0, year=False, seasons=(4, 24), around=1)
    windows = windows_at(panel, task, np.array([20, 30]))
    x = design(windows, task, inputs, np.zeros((2, 1)), np.empty((2, 0), int), np.arange(2))  # (N, B, H, D)
    assert x.shape == (2, 2, 6, 1 + 1 + 1 + 4)
    for n in range(2):
        for b, row in enumerate((20, 30)):
            y, f = panel.values[n, :, 0], panel.outlook[n, row, :, 0]
            for h in range(1, 7):
                back = 4 if h <= 4 else 8
                here, after, before = f[min(h, 4) - 1], f[min(h + 1, 4) - 1], f[max(min(h, 4) - 2, 0)]
                cells = [1, y[row], y[row + h - back] - y[row], here, here - f[0], after - here, here - before]
                np.testing.assert_allclose(x[n, b, h - 1], cells)


def test_gaps_of_an_outlook_are_filled() -> None:
    outlook = np.array([np.nan, 1, np.nan, 3, np.nan]).reshape(1, 1, 5, 1)
    assert without_gaps(outlook, np.zeros((1, 1)))[0, 0, :, 0].tolist() == [1, 1, 1, 3, 3]  # type: ignore[index]
    assert (without_gaps(outlook * np.nan, np.full((1, 1), 7.0)) == 7).all()


def test_a_part_of_the_windows_gives_the_same_forecasts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    times = np.datetime64("2024-01-01", "us") + np.arange(90) * np.timedelta64(1, "h")
    panel = Panel(rng.normal(size=(3, 90, 1)), times, ("A", "B", "C"), ("a",), np.timedelta64(1, "h").item())
    task = Task(targets=(Variable("a"),), horizon=2, context=4)
    model = Ridge().fit(panel, task)
    windows = windows_at(panel, task, np.arange(40, 60))
    whole = model._predict(windows, task)
    monkeypatch.setattr("models.ridge.CHUNK", 100)
    np.testing.assert_allclose(model._predict(windows, task), whole, atol=1e-12)
    monkeypatch.setattr("models.ridges.block.CHUNK", 100)
    np.testing.assert_allclose(Ridge().fit(panel, task)._predict(windows, task), whole, atol=1e-12)


def test_past_inputs_may_be_left_out() -> None:
    rng = np.random.default_rng(2)
    times = np.datetime64("2024-01-01", "us") + np.arange(90) * np.timedelta64(1, "h")
    hour = np.timedelta64(1, "h").item()
    panel = Panel(rng.normal(size=(2, 90, 2)), times, ("A", "B"), ("a", "p"), hour)
    with_past = Task(targets=(Variable("a"),), past=(Variable("p"),), horizon=2, context=4)
    alone = Task(targets=(Variable("a"),), horizon=2, context=4)
    points = [
        Ridge(RidgeInputs(past=p)).fit(panel, t).predict(panel).point for p, t in ((False, with_past), (True, alone))
    ]
    np.testing.assert_allclose(points[0], points[1], atol=1e-12)
    assert (Ridge().fit(panel, with_past).predict(panel).point != points[0]).any()


def test_factors_stand_at_their_columns() -> None:
    """The core's factor and the chain's, found by which columns of the design equal what they name."""
    rng = np.random.default_rng(2)
    times = np.datetime64("2024-01-01", "us") + np.arange(40) * np.timedelta64(1, "h")
    hour = np.timedelta64(1, "h").item()
    values = np.stack([rng.normal(size=(1, 40)), rng.choice([0.0, 4.0, 8.0], (1, 40))], -1)
    panel = Panel(values, times, ("A",), ("a", "cloud"), hour, rng.normal(size=(1, 40, 3, 1)), ("f",))
    task = Task(targets=(Variable("a"), Variable("cloud")), future=(Variable("f"),), horizon=3, context=8)
    inputs = RidgeInputs(lags=(1, 2), neighbours=0, harmonics=2, seasons=(4, 24), around=1, core=0.1)
    steps = [np.empty(0), np.array([0.0, 4.0, 8.0])]
    rows = np.arange(10, 35)
    windows = windows_at(panel, task, rows)
    x = design(windows, task, inputs, np.zeros((1, 2)), np.empty((1, 0), int), np.array([0]), steps)[0, :, 1]  # (B, D)
    factors = factors_of(x.shape[1], 1, task, inputs, steps)
    core = np.column_stack([values[0, rows], panel.outlook[0, rows, 1, 0]])  # type: ignore[index]
    np.testing.assert_allclose(x[:, factors == 0.1], core)
    np.testing.assert_allclose(x[:, factors == CHAIN], values[0, rows, 1:] <= [0.0, 4.0])
