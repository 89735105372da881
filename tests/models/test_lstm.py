"""The LSTM and the training routine of the networks."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import torch
from torch import nn

from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment
from forecast.result import Status
from forecast.schema import Task, Variable
from forecast.spec import from_spec, to_spec
from forecast.windows import windows_at
from models.lightning import Training, alone, train
from models.lstm import CALENDAR, LSTM, Net, Pinball, Scale, ridge

HOUR = timedelta(hours=1)
QUICK = Training(epochs=3, warm_epochs=1, batch=64)
TASK = Task([Variable("a"), Variable("b")], past=[Variable("c")], horizon=3, context=4)


def panel_of(values: np.ndarray, names: tuple[str, ...] = ("a", "b", "c")) -> Panel:
    """Hourly panel of values (N, T, V)."""
    times = np.datetime64("2024-01-01", "us") + np.arange(values.shape[1]) * np.timedelta64(1, "h")
    series = tuple("xyzuvw"[: len(values)]) if len(values) != 3 else ("x", "y", "z")
    return Panel(values, times, tuple(sorted(series)), names[: values.shape[2]], HOUR)


def waves(series: int = 2, rows: int = 200, variables: int = 3, noise: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(0)
    phase = np.arange(series)[:, None, None] + np.arange(variables)
    return 10 + np.sin(2 * np.pi * np.arange(rows)[:, None] / 24 + phase) + noise * rng.normal(size=phase.shape)


def noisy(series: int = 2, rows: int = 200, variables: int = 3) -> np.ndarray:
    return waves(series, rows, variables) + 0.3 * np.random.default_rng(1).normal(size=(series, rows, variables))


@pytest.fixture(scope="module")
def fitted() -> LSTM:
    return LSTM(hidden=8, training=QUICK).fit(panel_of(noisy()), TASK)


# --- what it learns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["difference", "level"])
@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_learns_a_sine(target: str, scaling: str) -> None:
    panel = panel_of(waves(1, 480, 1))
    model = LSTM(hidden=8, target=target, scaling=scaling)
    task = Task([Variable("a")], horizon=3, context=4)
    model.fit(panel.rows(slice(0, 400)), task)
    rows = np.arange(400, 470)
    points = np.stack([f.point[0, :, 0] for f in model.predict_at(panel, map(moment, panel.times[rows]))])
    truth = panel.values[0, rows[:, None] + np.arange(1, 4), 0]
    last = panel.values[0, rows, 0][:, None]
    assert abs(points - truth).mean() < 0.1 * abs(last - truth).mean()


def test_the_lstm_learns_what_the_linear_path_cannot() -> None:
    """The next sign is the product of the newest two: linear regression finds nothing there."""
    rng = np.random.default_rng(0)
    sign = rng.choice([-1.0, 1.0], size=(1, 1200, 2))
    sign[0, 1:, 0] = sign[0, 0, 0] * np.cumprod(sign[0, :-1, 1])
    task = Task([Variable("a")], past=[Variable("b")], horizon=1, context=2)
    model = LSTM(hidden=16, dropout=0.0, training=Training(epochs=10, batch=64, rate=2e-2))
    panel = panel_of(sign)
    model.fit(panel, task)
    forecasts = model.predict_at(panel, map(moment, panel.times[5:1000]))
    points = np.array([f.point[0, 0, 0] for f in forecasts])
    assert (np.sign(points) == sign[0, 6:1001, 0]).mean() > 0.9


def test_quantiles_do_not_cross_before_they_are_sorted(fitted: LSTM) -> None:
    wild = panel_of(noisy() * 30)
    raw = fitted._predict(windows_at(wild, TASK, np.arange(10, 150)), TASK)  # (B, N, H, C, Q)
    assert raw.shape == (140, 2, 3, 2, 3)
    assert (np.diff(raw, axis=-1) >= 0).all()


def test_intervals_cover() -> None:
    values = np.random.default_rng(3).normal(size=(2, 1500, 1)).cumsum(1)
    task = Task([Variable("a")], horizon=2, context=4)
    panel = panel_of(values)
    model = LSTM(hidden=8).fit(panel.rows(slice(0, 1000)), task)
    rows = np.arange(1000, 1490)
    quantiles = np.stack([f.quantiles for f in model.predict_at(panel, map(moment, panel.times[rows]))])
    truth = np.stack([values[:, rows + h] for h in (1, 2)], -1).transpose(1, 0, 3, 2)  # (B, N, H, C)
    inside = (quantiles[..., 0] <= truth) & (truth <= quantiles[..., -1])
    assert 0.7 < inside.mean() < 0.9  # 0.8 is asked


def test_pinball_leaves_gaps_out_and_agrees_with_a_loop() -> None:
    levels, truth = (0.1, 0.5, 0.9), torch.tensor([[1.0, torch.nan], [2.0, -1.0]])
    quantiles = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0))
    losses = [
        max(q * float(truth[i, j] - quantiles[i, j, k]), (q - 1) * float(truth[i, j] - quantiles[i, j, k]))
        for i, j in ((0, 0), (1, 0), (1, 1))
        for k, q in enumerate(levels)
    ]
    loss = Pinball(levels)(quantiles.requires_grad_(), truth)
    loss.backward()
    assert loss.item() == pytest.approx(np.mean(losses), rel=1e-6)
    assert torch.isfinite(quantiles.grad).all()
    assert (quantiles.grad[0, 1] == 0).all()


@pytest.mark.parametrize("rows", [50, 8])
def test_ridge_solves_its_equation_in_both_forms(rows: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, 12)), rng.normal(size=(rows, 2))
    weights, bias = ridge(x, y, 0.1)
    error = x @ weights + bias - y
    np.testing.assert_allclose(x.T @ error + 0.1 * rows * weights, 0, atol=1e-9)
    np.testing.assert_allclose(error.mean(0), 0, atol=1e-12)


def test_the_net_starts_at_the_ridge_solution() -> None:
    x = torch.randn(60, 4, 2 + CALENDAR, generator=torch.Generator().manual_seed(0))
    truth = x[:, -1, :1] - 0.5 * x[:, 0, 1:2]
    net = Net((4, 2), 1, (0.1, 0.5, 0.9), 8, 1, 0.0)
    net.start(x, truth)
    assert torch.nn.functional.l1_loss(net(x)[:, 0, 1], truth[:, 0]) < 0.1


def test_scaling_leaves_gaps_and_constants_alone() -> None:
    values = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan]])
    for kind in ("standard", "minmax"):
        scale = Scale.of(values, (0,), kind)
        np.testing.assert_allclose(scale.apply(values)[:, :2], [[-1, 0], [1, 0]])
        np.testing.assert_allclose(scale.invert(scale.apply(values)), values)


def test_held_out_rows_do_not_touch_the_scaling() -> None:
    values, later = noisy(rows=203), noisy(rows=203)
    later[:, 190:] += 50
    scales = []
    for given in (values, later):
        model = LSTM(hidden=4, training=replace(QUICK, split="holdout")).fit(panel_of(given), TASK)
        scales.append(model.inputs_.spread)
    np.testing.assert_array_equal(*scales)


# --- repeatable, and alone ------------------------------------------------------------------------------------------


def test_same_seed_same_numbers_other_seed_others(fitted: LSTM) -> None:
    panel = panel_of(noisy())
    again = LSTM(hidden=8, training=QUICK).fit(panel, TASK).predict(panel)
    other = LSTM(hidden=8, training=QUICK, seed=1).fit(panel, TASK).predict(panel)
    np.testing.assert_array_equal(fitted.predict(panel).quantiles, again.quantiles)
    assert (again.quantiles != other.quantiles).any()


def test_global_state_is_left_alone(tmp_path) -> None:
    def state():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    before, threads = state(), torch.get_num_threads()
    panel = panel_of(noisy())
    model = LSTM(hidden=4, training=replace(QUICK, threads=2)).fit(panel, TASK)
    model.predict(panel)
    model.save(tmp_path / "m")
    Forecaster.load(tmp_path / "m")
    assert state() == before
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(ZeroDivisionError), alone(3, 2):
        raise ZeroDivisionError
    assert (state(), torch.get_num_threads()) == (before, threads)


def test_no_files_are_left_behind(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    LSTM(hidden=4, training=QUICK).fit(panel_of(noisy()), TASK)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_a_forecast_does_not_depend_on_its_batch(fitted: LSTM) -> None:
    panel = panel_of(noisy())
    origins = [moment(t) for t in panel.times[20:60]]
    together = fitted.predict_at(panel, origins)
    for origin, forecast in list(zip(origins, together, strict=True))[::13]:
        np.testing.assert_allclose(fitted.predict_at(panel, [origin])[0].quantiles, forecast.quantiles, rtol=1e-6)


def test_saved_and_loaded_is_the_same(fitted: LSTM, tmp_path) -> None:
    panel = panel_of(noisy())
    fitted.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(panel).quantiles, fitted.predict(panel).quantiles)
    warm = [copy.deepcopy(m).fit(panel, TASK, warm=True).predict(panel).quantiles for m in (fitted, loaded)]
    np.testing.assert_array_equal(*warm)


def test_configuration_goes_and_returns() -> None:
    spec = to_spec(LSTM(hidden=4, training=Training(split="holdout")))
    assert to_spec(from_spec(spec)) == spec
    with pytest.raises(UnknownNameError, match="did you mean 'difference'"):
        LSTM(target="differences")
    with pytest.raises(UnknownNameError, match="did you mean 'minmax'"):
        LSTM(scaling="min_max")
    with pytest.raises(UnknownNameError, match="holdout"):
        Training(split="paper")
    with pytest.raises(SchemaError, match="must be positive"):
        Training(epochs=0)


def test_a_warm_start_goes_on_in_fewer_steps(fitted: LSTM) -> None:
    panel = panel_of(noisy(rows=201))
    model = copy.deepcopy(fitted)
    before = {k: v.clone() for k, v in model.net_.state_dict().items()}
    scale = model.inputs_
    cold = model.history_
    model.fit(panel, TASK, warm=True)
    assert model.history_.steps == cold.steps // 3
    assert model.inputs_ is scale
    moved = [(v - before[k]).abs().max() for k, v in model.net_.state_dict().items()]
    assert 0 < max(moved) < 0.1


def test_a_warm_fit_that_is_stopped_leaves_the_model_as_it_was(fitted: LSTM, monkeypatch) -> None:
    panel, model, calls = panel_of(noisy()), copy.deepcopy(fitted), []
    loss = Pinball.__call__

    def stopped(self: Pinball, quantiles: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return loss(self, quantiles, truth)

    monkeypatch.setattr(Pinball, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        model.fit(panel, TASK, warm=True)
    np.testing.assert_array_equal(model.predict(panel).quantiles, fitted.predict(panel).quantiles)
    assert not model.net_.training


# --- hard data ------------------------------------------------------------------------------------------------------


def test_gaps_in_inputs_and_truth() -> None:
    values = noisy(3, 300)
    values[np.random.default_rng(0).random(values.shape) < 0.2] = np.nan
    values[1, :150] = np.nan
    values[:, -1] = 10.0
    forecast = LSTM(hidden=8, training=QUICK).fit(panel_of(values), TASK).predict(panel_of(values))
    assert forecast.ok.any()
    assert np.isfinite(forecast.quantiles[forecast.ok]).all()


def test_a_series_without_any_value_is_missing_and_harmless() -> None:
    values = noisy(3)
    values[2] = np.nan
    forecast = LSTM(hidden=8, training=QUICK).fit(panel_of(values), TASK).predict(panel_of(values))
    assert forecast.status == (Status.OK, Status.OK, Status.MISSING)


@pytest.mark.parametrize("levels", [(0, 0, 0), (0, 100, 1000)])
def test_a_silent_neighbour_leaves_it_better_than_persistence(levels: tuple[int, ...]) -> None:
    """Review finding: with one pooled mean for all series the error rose from 0.36 to 2.2; persistence has 1.7."""
    rng, hours = np.random.default_rng(0), np.arange(700)
    common = 5 * np.sin(2 * np.pi * hours / 24) + 0.1 * rng.normal(size=700).cumsum()
    values = np.stack([common + 0.3 * rng.normal(size=700) + level for level in levels])[..., None]  # (N, T, 1)
    task = Task([Variable("a")], horizon=3, context=24)
    model = LSTM(hidden=8, training=QUICK).fit(panel_of(values[:, :500]), task)
    values[2, 500:] = np.nan
    rows = np.arange(540, 690)
    found = model.predict_at(panel_of(values), [moment(t) for t in panel_of(values).times[rows]])
    point = np.stack([f.point[:2, :, 0] for f in found])  # (B, 2, H)
    truth = values[:2, rows[:, None] + np.arange(1, 4), 0].swapaxes(0, 1)  # (B, 2, H)
    assert abs(point - truth).mean() < 0.6 * abs(values[:2, rows, 0].T[..., None] - truth).mean()


@pytest.mark.parametrize(
    ("context", "horizon", "levels"), [(1, 1, (0.5,)), (6, 1, (0.1, 0.2, 0.5)), (3, 5, (0.5, 0.9))]
)
def test_small_questions(context: int, horizon: int, levels: tuple[float, ...]) -> None:
    task = Task([Variable("a")], horizon=horizon, context=context, levels=levels)
    panel = panel_of(noisy(1, 60, 1))
    forecast = LSTM(hidden=4, layers=2, training=QUICK).fit(panel, task).predict(panel)
    assert forecast.quantiles.shape == (1, horizon, 1, len(levels))


def test_one_training_row() -> None:
    for split in ("refit_all", "holdout"):
        panel = panel_of(noisy(2, TASK.context + 1))
        model = LSTM(hidden=4, training=replace(QUICK, split=split)).fit(panel, TASK)
        assert model.predict(panel).ok.all()


def test_a_constant_series_stays() -> None:
    values = noisy()
    values[0] = 7.25
    forecast = LSTM(hidden=4, training=QUICK).fit(panel_of(values), TASK).predict(panel_of(values))
    np.testing.assert_array_equal(forecast.quantiles[0], 7.25)


@pytest.mark.parametrize("size", [1e-9, 1e9, 1e30])
def test_any_unit_will_do(size: float) -> None:
    panel = panel_of(noisy() * size)
    plain = LSTM(hidden=4, training=QUICK).fit(panel_of(noisy()), TASK).predict(panel_of(noisy())).quantiles
    scaled = LSTM(hidden=4, training=QUICK).fit(panel, TASK).predict(panel).quantiles
    np.testing.assert_allclose(scaled / size, plain, rtol=1e-3)


def test_a_wild_input_is_answered_with_a_finite_number(fitted: LSTM) -> None:
    values = noisy()
    values[:, -1, 2] = 1e300
    point = fitted.predict(panel_of(values)).point
    assert abs(point - values[:, -1:, :2]).max() < 100


# --- the training routine -------------------------------------------------------------------------------------------


def squares(prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return (prediction - truth).square().mean()


def test_best_weights_are_a_copy() -> None:
    """Train and held-out rows contradict each other: every epoch after the first makes the held-out loss worse."""
    x = torch.ones(100, 1)
    truth = torch.where(torch.arange(100) < 90, 1.0, -1.0)[:, None]
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    settings = Training(epochs=20, batch=90, rate=0.1, split="holdout", patience=4, weight_decay=0.0)
    history = train(net, squares, [x], truth, settings)
    assert history.kept == 0
    assert len(history.losses) == 1 + settings.patience
    assert squares(net(x[90:]), truth[90:]).item() == pytest.approx(history.losses[0], rel=1e-6)
    assert history.losses[-1] > history.losses[0]


def test_refit_all_uses_the_newest_row() -> None:
    x = torch.zeros(64, 1)
    x[-1] = 1.0  # only the newest row can teach the weight
    net = nn.Linear(1, 1)
    nn.init.zeros_(net.weight)
    train(net, squares, [x], x, Training(epochs=3, batch=16))
    assert net.weight.item() > 0


def test_nan_stops_training_and_names_the_batch() -> None:
    x = torch.ones(40, 1)
    x[3] = torch.nan
    with pytest.raises(SchemaError, match=r"epoch 1, batch \d of 4: the loss is nan"):
        train(nn.Linear(1, 1), squares, [x], torch.ones(40, 1), Training(batch=10))
    held = torch.ones(40, 1)
    held[-1] = torch.inf
    with pytest.raises(SchemaError, match="4 held-out rows"):
        train(nn.Linear(1, 1), squares, [held], torch.ones(40, 1), Training(batch=10, split="holdout"))


def test_gradients_are_clipped() -> None:
    net = nn.Linear(1, 1, bias=False)
    before = net.weight.item()
    train(net, squares, [torch.full((8, 1), 1e6)], torch.zeros(8, 1), Training(epochs=1, rate=1e-3, clip=1e-3))
    assert abs(net.weight.item() - before) < 2e-3
