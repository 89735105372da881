"""What the networks share: scopes, scaling, linear start, quantiles, gaps, company, saving."""

from __future__ import annotations

import copy
import random
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import HOUR, KINDS, LSTM, MLP, QUICK, TASK, network, noisy, numbers, panel_of, waves
from torch import Tensor

from forecast.checks import synthetic_panel, synthetic_task
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment
from forecast.result import Status
from forecast.schema import Task, Variable
from forecast.spec import from_spec, to_spec
from forecast.together import Fit, fit_together
from forecast.windows import windows_at
from models.mlp import Body
from models.nets.asking import predict_together
from models.nets.framing import Framing
from models.nets.heads import Net, Pinball, Shape, quantiles
from models.nets.imputing import Imputer
from models.nets.linear import ridge
from models.nets.network import Network
from models.nets.scaling import Scale, nearest_known
from models.training.settings import Training

LOCAL, GLOBAL = Framing(scope="local"), Framing(scope="global")
CHANNELS = Framing(scope="global", channels="independent")


@pytest.fixture(scope="module")
def fitted() -> MLP:
    return MLP(hidden=16, training=QUICK).fit(panel_of(noisy()), TASK)


# --- what is learnt -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("target", "scaling"), [("difference", "minmax"), ("level", "standard")])
def test_learns_a_sine(kind: str, target: str, scaling: str) -> None:
    panel, task = panel_of(waves(1, 480, 1)), Task([Variable("a")], horizon=3, context=4)
    model = network(kind, Framing(target=target, scaling=scaling), Training(epochs=5, batch=64))
    model.fit(panel.rows(slice(0, 400)), task)
    rows = np.arange(400, 470)
    points = np.stack([f.point[0, :, 0] for f in model.predict_at(panel, map(moment, panel.times[rows]))])
    truth = panel.values[0, rows[:, None] + np.arange(1, 4), 0]
    assert abs(points - truth).mean() < 0.15 * abs(panel.values[0, rows, 0][:, None] - truth).mean()


def test_intervals_cover() -> None:
    values = np.random.default_rng(3).normal(size=(2, 1500, 1)).cumsum(1)
    task, panel = Task([Variable("a")], horizon=2, context=4), panel_of(values)
    model = MLP(hidden=8).fit(panel.rows(slice(0, 1000)), task)
    rows = np.arange(1000, 1490)
    found = np.stack([f.quantiles for f in model.predict_at(panel, map(moment, panel.times[rows]))])
    truth = np.stack([values[:, rows + h] for h in (1, 2)], -1).transpose(1, 0, 3, 2)  # (B, N, H, C)
    inside = (found[..., 0] <= truth) & (truth <= found[..., -1])
    assert 0.7 < inside.mean() < 0.9  # 0.8 is asked


@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_do_not_cross_before_they_are_sorted(kind: str) -> None:
    model, wild = network(kind).fit(panel_of(noisy()), TASK), panel_of(noisy() * 30)
    raw = model._predict(windows_at(wild, TASK, np.arange(10, 150)), TASK)  # (B, N, H, C, Q)
    assert raw.shape == (140, 2, 3, 2, 3)
    assert (np.diff(raw, axis=-1) >= 0).all()


def test_an_outlook_that_tells_the_truth_is_believed() -> None:
    """The next values are in the outlook; from the past alone they are pure chance."""
    values = np.random.default_rng(0).normal(size=(2, 400, 1))
    ahead = np.stack([np.roll(values[..., 0], -h, 1) for h in (1, 2)], -1)[..., None]  # (N, T, K, F)
    plain = panel_of(values, ("a",))
    panel = replace(plain, outlook=ahead, outlook_variables=("f",))
    task = Task([Variable("a")], horizon=2, context=3, future=[Variable("f")])
    for framing in (Framing(), LOCAL, GLOBAL, CHANNELS):
        model = network("MLP", framing).fit(panel.rows(slice(0, 300)), task)
        found = np.stack([f.point[..., 0] for f in model.predict_at(panel, map(moment, panel.times[300:390]))])
        truth = ahead[:, 300:390, :, 0].swapaxes(0, 1)  # (B, N, H)
        assert abs(found - truth).mean() < 0.2 * abs(truth).mean()
    shorter = replace(plain, outlook=ahead[:, :, :1], outlook_variables=("f",))
    with pytest.raises(SchemaError, match="an outlook of as many steps"):
        model.predict(shorter)
    anew = network("MLP", CHANNELS).fit(shorter, task).predict(shorter)
    np.testing.assert_array_equal(model.fit(shorter, task, warm=True).predict(shorter).quantiles, anew.quantiles)


# --- scopes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_local_nets_are_those_of_each_series_alone(kind: str) -> None:
    panel = panel_of(noisy(3))
    together = network(kind, LOCAL).fit(panel, TASK).predict(panel).quantiles
    for k, name in enumerate(panel.series):
        one = Panel(panel.values[[k]], panel.times, (name,), panel.variables, HOUR)
        np.testing.assert_allclose(network(kind).fit(one, TASK).predict(one).quantiles[0], together[k], atol=1e-4)


def test_a_global_net_forecasts_series_it_never_saw() -> None:
    """A sine with another phase, far from where the known ones live: better than persistence; by level hardly worse."""
    values = waves(4, 500, 1)
    values[3] += 500
    panel, task = panel_of(values), Task([Variable("a")], horizon=3, context=6)
    for framing, most in ((GLOBAL, 0.95), (replace(GLOBAL, target="level"), 1.1), (CHANNELS, 0.95)):
        known = Panel(values[:3], panel.times, panel.series[:3], ("a",), HOUR)
        model = network("MLP", framing, Training(epochs=10, batch=64)).fit(known, task)
        rows = np.arange(400, 490)
        found = np.stack([f.point[3, :, 0] for f in model.predict_at(panel, map(moment, panel.times[rows]))])
        truth = values[3, rows[:, None] + np.arange(1, 4), 0]
        assert abs(found - truth).mean() < most * abs(values[3, rows, 0][:, None] - truth).mean()


def test_neighbours_tell_a_global_net_what_comes() -> None:
    """Each series is the other one hour before: one that sees its neighbour's newest value knows its own next."""
    noise = np.random.default_rng(0).normal(size=602)
    values = np.stack([noise[1:-1], noise[2:]])[..., None]  # the second leads
    panel, task = panel_of(values), Task([Variable("a")], horizon=1, context=2)
    errors = []
    for framing in (GLOBAL, Framing(scope="global", neighbours=1)):
        model = network("MLP", framing, Training(epochs=5, batch=64)).fit(panel.rows(slice(0, 500)), task)
        found = np.array([f.point[0, 0, 0] for f in model.predict_at(panel, map(moment, panel.times[500:590]))])
        errors.append(abs(found - values[0, 501:591, 0]).mean())
    assert errors[1] < 0.75 * errors[0]


def test_independent_channels_see_only_themselves() -> None:
    panel = panel_of(noisy())
    values = panel.values.copy()
    values[:, -4:, 1:] += 3.0
    changed = panel_of(values)
    for framing, same in ((CHANNELS, True), (GLOBAL, False)):
        model = network("MLP", framing).fit(panel, TASK)
        gap = abs(model.predict(changed).quantiles[..., 0, :] - model.predict(panel).quantiles[..., 0, :]).max()
        assert (gap < 1e-6) == same


def test_the_hour_before_midnight_lies_beside_midnight() -> None:
    day = np.arange("2024-01-01T00", "2024-01-03T00", dtype="datetime64[h]").astype("datetime64[us]")
    model = network("MLP").fit(panel_of(noisy()), TASK)
    when = model.view_._calendar(day)[:, :2]
    steps = np.linalg.norm(np.diff(when, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0])


# --- gaps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [(0, 0, 0), (0, 100, 1000)])
def test_a_silent_neighbour_does_no_harm(levels: tuple[int, ...]) -> None:
    """The error was 0.38 with all three alive and 0.59 with one silent, when it was given its mean."""
    rng, hours = np.random.default_rng(0), np.arange(700)
    common = 5 * np.sin(2 * np.pi * hours / 24) + 0.1 * rng.normal(size=700).cumsum()
    values = np.stack([common + 0.3 * rng.normal(size=700) + level for level in levels])[..., None]  # (N, T, 1)
    task, rows = Task([Variable("a")], horizon=3, context=24), np.arange(540, 690)
    model = LSTM(hidden=8, training=QUICK).fit(panel_of(values[:, :500]), task)
    silent = values.copy()
    silent[2, 500:] = np.nan
    truth = values[:2, rows[:, None] + np.arange(1, 4), 0].swapaxes(0, 1)  # (B, 2, H)
    errors = []
    for given in (values, silent):
        found = model.predict_at(panel_of(given), [moment(t) for t in panel_of(given).times[rows]])
        errors.append(abs(np.stack([f.point[:2, :, 0] for f in found]) - truth).mean())
    assert errors[1] < 1.05 * errors[0]


def test_imputed_is_the_regression_on_what_is_known() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 3))
    asked = x[:5, None].copy()  # (5, 1, 3)
    asked[..., 2] = np.nan
    design = np.c_[np.ones(len(x)), x[:, :2]]
    wanted = design[:5] @ np.linalg.lstsq(design, x[:, 2], rcond=None)[0]
    found = Imputer.of(x).filled(asked)
    np.testing.assert_allclose(found[:, 0, 2], wanted, atol=0.05 * x[:, 2].std())
    np.testing.assert_array_equal(found[..., :2], asked[..., :2])


def test_a_lead_without_truth_is_forecast_like_the_nearest() -> None:
    """Two of three rows are missing, so that no origin of the reducer's ever saw the truth of lead 2."""
    values = noisy(2, 301, 1)
    rows = np.arange(301)
    values[:, rows % 3 == 2] = np.nan
    keep = rows % 3 == 0  # origins at 0, 3, ...: truth at leads 1 and 3, never at 2
    panel, task = panel_of(values).with_keep(keep), Task([Variable("a")], horizon=3, context=3)
    for framing in (Framing(), LOCAL, GLOBAL):
        found = network("MLP", framing).fit(panel, task).predict(panel).quantiles[:, :, 0]  # (N, H, Q)
        width = found[..., -1] - found[..., 0]
        assert (width[:, 1] > 0.5 * width[:, 0]).all()


def test_gaps_in_inputs_and_truth() -> None:
    values = noisy(3, 300)
    values[np.random.default_rng(0).random(values.shape) < 0.2] = np.nan
    values[1, :150] = np.nan
    values[:, -1] = 10.0
    for framing in (Framing(), LOCAL, GLOBAL, CHANNELS):
        forecast = network("MLP", framing).fit(panel_of(values), TASK).predict(panel_of(values))
        assert forecast.ok.all()


def test_a_series_without_any_value_is_missing_and_harmless() -> None:
    values = noisy(3)
    values[2] = np.nan
    for framing in (Framing(), LOCAL, GLOBAL):
        forecast = network("LSTM", framing).fit(panel_of(values), TASK).predict(panel_of(values))
        assert forecast.status == (Status.OK, Status.OK, Status.MISSING)


def test_a_constant_series_stays() -> None:
    values = noisy()
    values[0] = 7.25
    forecast = network("LSTM").fit(panel_of(values), TASK).predict(panel_of(values))
    np.testing.assert_array_equal(forecast.quantiles[0], 7.25)


@pytest.mark.parametrize("size", [1e-9, 1e30])
def test_any_unit_will_do(size: float) -> None:
    panel = panel_of(noisy() * size)
    plain = network("MLP").fit(panel_of(noisy()), TASK).predict(panel_of(noisy())).quantiles
    np.testing.assert_allclose(network("MLP").fit(panel, TASK).predict(panel).quantiles / size, plain, rtol=1e-3)


def test_a_wild_input_is_answered_with_a_finite_number(fitted: MLP) -> None:
    values = noisy()
    values[:, -1, 2] = 1e300
    point = fitted.predict(panel_of(values)).point
    assert abs(point - values[:, -1:, :2]).max() < 100


@pytest.mark.parametrize("split", ["refit_all", "holdout", "paper"])
def test_one_training_row(split: str) -> None:
    panel = panel_of(noisy(2, TASK.context + 1))
    for framing in (Framing(), LOCAL, GLOBAL):
        assert network("MLP", framing, replace(QUICK, split=split)).fit(panel, TASK).predict(panel).ok.all()


# --- parts ----------------------------------------------------------------------------------------------------------


def test_pinball_leaves_gaps_out_and_agrees_with_a_loop() -> None:
    levels, truth = (0.1, 0.5, 0.9), torch.tensor([[[1.0, torch.nan], [2.0, -1.0]], [[0.5, 0.5], [torch.nan, 3.0]]])
    given = numbers(2, 2, 3, 2).requires_grad_()  # (M, B, Q, O)
    for m in range(2):
        places = [(b, o) for b in range(2) for o in range(2) if not torch.isnan(truth[m, b, o])]
        errors = [
            (q, float(truth[m, b, o] - given[m, b, k, o].detach())) for b, o in places for k, q in enumerate(levels)
        ]
        wanted = np.mean([max(q * e, (q - 1) * e) for q, e in errors])
        assert Pinball(levels)(given, truth)[m].item() == pytest.approx(wanted, rel=1e-6)
    Pinball(levels)(given, truth).sum().backward()
    assert torch.isfinite(given.grad).all()
    assert (given.grad[0, 0, :, 1] == 0).all()
    whole = truth.nan_to_num(0.7)
    np.testing.assert_allclose(
        Pinball(levels)(given, whole).detach(),
        Pinball(levels)(torch.cat([given, given], 1), torch.cat([whole, whole * torch.nan], 1)).detach(),
        rtol=1e-6,
    )


@pytest.mark.parametrize("rows", [50, 8])
def test_ridge_solves_its_equation_in_both_forms(rows: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, 12)), rng.normal(size=(rows, 2))
    weights, bias = ridge(x, y, [0.1])
    error = x @ weights + bias - y
    np.testing.assert_allclose(x.T @ error + 0.1 * rows * weights, 0, atol=1e-9)
    np.testing.assert_allclose(error.mean(0), 0, atol=1e-12)


def test_the_net_starts_at_the_ridge_solution() -> None:
    shape = Shape(rows=4, columns=2, extras=3, outputs=1, levels=(0.1, 0.5, 0.9))
    x, beside = numbers(2, 60, 4, 2), numbers(2, 60, 3, seed=1)
    truth = x[:, :, -1, :1] - 0.5 * beside[..., :1]
    for linear, most in ((True, 0.1), (False, 2.0)):
        one = Net(Body(shape, 8, 1, 0.0), shape, linear)
        net = copy.deepcopy(one)
        for name, value in one.named_parameters():
            net.get_parameter(name).data = torch.cat([value, value])
        net.start(x, beside, truth)
        assert torch.nn.functional.l1_loss(net(x, beside)[:, :, 1], truth) < most


def test_quantiles_agree_with_numpy() -> None:
    values = np.random.default_rng(0).normal(size=(101, 4))
    values[values > 1.5] = np.nan
    levels = (0.05, 0.5, 0.99)
    np.testing.assert_allclose(quantiles(values, levels), np.nanquantile(values, levels, axis=0), rtol=1e-12)


def test_scaling_leaves_gaps_and_constants_alone() -> None:
    values = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan]])
    for kind in ("standard", "minmax"):
        scale = Scale.of(values, (0,), kind)
        np.testing.assert_allclose(scale.apply(values)[:, :2], [[-1, 0], [1, 0]])
        np.testing.assert_allclose(scale.invert(scale.apply(values)[..., None])[..., 0], values)


def test_the_nearest_known_lead_lends_its_scale() -> None:
    known = np.array([[[0], [1], [1], [0]], [[0], [0], [0], [0]]], bool)  # (U, H, C)
    assert nearest_known(known).tolist() == [1, 1, 2, 2, 1, 1, 2, 2]


@pytest.mark.parametrize("framing", [Framing(), LOCAL, GLOBAL, CHANNELS])
@pytest.mark.parametrize("split", ["holdout", "paper"])
def test_held_out_rows_touch_neither_scaling_nor_weights(framing: Framing, split: str) -> None:
    """What comes after the first held-out origin is unseen, also as the truth of older origins, also by halves."""
    values = noisy(3, rows=703)
    later = values.copy()
    origins = 703 - TASK.context  # 699
    each = 3 * (2 if framing is CHANNELS else 1) if framing.scope == "global" else 1
    kept = Training(split=split).trained(origins * each) // each
    later[:, TASK.context + kept :] += 50  # the row after the first held-out origin, and on
    states = []
    for given in (values, later):
        model = network("MLP", framing, replace(QUICK, epochs=1, split=split)).fit(panel_of(given), TASK)
        states.append([*model.view_.arrays().values(), *(v.numpy() for v in model.net_.state_dict().values())])
    for found, wanted in zip(*states, strict=True):
        np.testing.assert_array_equal(found, wanted)


# --- repeatable, and alone ------------------------------------------------------------------------------------------


def test_same_seed_same_numbers_other_seed_others(fitted: MLP) -> None:
    panel = panel_of(noisy())
    again, other = (MLP(hidden=16, training=QUICK, seed=s).fit(panel, TASK).predict(panel).quantiles for s in (0, 1))
    np.testing.assert_array_equal(fitted.predict(panel).quantiles, again)
    assert (again != other).any()


def test_global_state_is_left_alone(tmp_path, monkeypatch, capsys) -> None:
    def state():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    monkeypatch.chdir(tmp_path)
    before, threads, panel = state(), torch.get_num_threads(), panel_of(noisy())
    model = network("LSTM", training=replace(QUICK, threads=2)).fit(panel, TASK)
    model.predict(panel)
    assert list(tmp_path.iterdir()) == []
    model.save(tmp_path / "m")
    Forecaster.load(tmp_path / "m")
    assert (state(), torch.get_num_threads()) == (before, threads)
    assert not torch.are_deterministic_algorithms_enabled()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_forecast_does_not_depend_on_its_batch(kind: str) -> None:
    panel = panel_of(noisy())
    model = network(kind).fit(panel, TASK)
    origins = [moment(t) for t in panel.times[20:60]]
    together = model.predict_at(panel, origins)
    for origin, forecast in list(zip(origins, together, strict=True))[::13]:
        np.testing.assert_allclose(model.predict_at(panel, [origin])[0].quantiles, forecast.quantiles, rtol=1e-6)


@pytest.mark.parametrize("framing", [Framing(), LOCAL, GLOBAL])
def test_saved_and_loaded_is_the_same(framing: Framing, tmp_path) -> None:
    panel, model = panel_of(noisy()), network("Transformer", framing)
    model.fit(panel, TASK).save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(panel).quantiles, model.predict(panel).quantiles)
    warm = [copy.deepcopy(m).fit(panel, TASK, warm=True).predict(panel).quantiles for m in (model, loaded)]
    np.testing.assert_array_equal(*warm)


def test_a_warm_start_goes_on_in_fewer_steps(fitted: MLP) -> None:
    panel, model = panel_of(noisy(rows=201)), copy.deepcopy(fitted)
    before, view, cold = {k: v.clone() for k, v in model.net_.state_dict().items()}, model.view_, model.histories_
    model.fit(panel, TASK, warm=True)
    assert model.histories_[0].steps == cold[0].steps // 3
    assert model.view_ is view
    assert 0 < max((v - before[k]).abs().max() for k, v in model.net_.state_dict().items()) < 0.1


def test_a_warm_fit_that_is_stopped_leaves_the_model_as_it_was(fitted: MLP, monkeypatch) -> None:
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


# --- in company -----------------------------------------------------------------------------------------------------


def key(model: Network, panel: Panel, task: Task) -> Hashable:
    return model._alike(model._checked(panel, task), task)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framing", [Framing(), LOCAL])
def test_fitted_and_asked_together_is_alone(kind: str, framing: Framing) -> None:
    """Other seeds, other data, other lengths, other targets, gaps: one pass, the same forecasts."""
    gappy = noisy(rows=170, seed=3)
    gappy[np.random.default_rng(0).random(gappy.shape) < 0.1] = np.nan
    gappy[:, -1] = 10.0
    panels = [panel_of(noisy()), panel_of(noisy(rows=151, seed=2)), panel_of(gappy)]
    tasks = [TASK, TASK, replace(TASK, targets=TASK.targets[::-1])]
    fits = [Fit(network(kind, framing, seed=k), *asked) for k, asked in enumerate(zip(panels, tasks, strict=True))]
    assert len({key(fit.model, fit.panel, fit.task) for fit in fits}) == 1
    assert fit_together(fits) == [None] * 3
    together = predict_together([fit.model for fit in fits], panels)
    for k, (panel, task) in enumerate(zip(panels, tasks, strict=True)):
        alone = network(kind, framing, seed=k).fit(panel, task).predict(panel).quantiles
        np.testing.assert_allclose(fits[k].model.predict(panel).quantiles, alone, atol=1e-4)
        np.testing.assert_allclose(together[k].quantiles, alone, atol=1e-4)


def test_only_nets_of_one_shape_and_training_share_a_pass() -> None:
    panel, first = panel_of(noisy()), network("MLP")
    assert key(network("MLP", seed=7), panel, TASK) == key(first, panel, TASK) is not None
    for other in (network("MLP", GLOBAL), network("LSTM"), network("MLP", training=replace(QUICK, batch=32))):
        assert key(other, panel, TASK) != key(first, panel, TASK)
    assert key(first, panel, replace(TASK, horizon=2)) != key(first, panel, TASK)


def test_configuration_goes_and_returns() -> None:
    for kind in KINDS:
        spec = to_spec(network(kind, GLOBAL, Training(split="holdout")))
        assert to_spec(from_spec(spec)) == spec
    with pytest.raises(UnknownNameError, match="did you mean 'difference'"):
        Framing(target="differences")
    with pytest.raises(UnknownNameError, match="did you mean 'minmax'"):
        Framing(scaling="min_max")
    with pytest.raises(UnknownNameError, match="did you mean 'global'"):
        Framing(scope="globe")
    with pytest.raises(SchemaError, match="for scope 'global'"):
        Framing(neighbours=2)


def test_a_fit_that_was_killed_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its settings alone: the same fit again takes up its own checkpoint, among those of others."""
    panel, task = synthetic_panel(), synthetic_task()
    training = Training(epochs=6, batch=32, checkpoints=str(tmp_path), checkpoint_steps=4)
    wanted = MLP(hidden=8, training=training).fit(panel, task).predict(panel)
    assert list(tmp_path.iterdir()) == [], "a training that ended leaves nothing"
    steps: list[int] = []

    def counted(self: Pinball, quantiles: Tensor, truth: Tensor) -> Tensor:
        steps.append(len(steps))
        if len(steps) == 15:
            raise KeyboardInterrupt
        return losses(self, quantiles, truth)

    losses = Pinball.__call__
    monkeypatch.setattr(Pinball, "__call__", counted)
    with pytest.raises(KeyboardInterrupt):
        MLP(hidden=8, training=training).fit(panel, task)
    assert len(list(tmp_path.iterdir())) == 1
    other = MLP(hidden=8, training=training, seed=1).fit(panel, task).predict(panel)
    begun = len(steps)
    found = MLP(hidden=8, training=training).fit(panel, task).predict(panel)
    assert np.array_equal(found.quantiles, wanted.quantiles)
    assert not np.array_equal(other.quantiles, wanted.quantiles)
    assert len(steps) - begun < begun - 15, "it did not start over"
    assert list(tmp_path.iterdir()) == []
