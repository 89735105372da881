"""ReGENN as a model of the zoo: what it sees and starts at, what it learns, its intervals, portrait and figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from forecast.errors import NotFittedError, SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment
from forecast.schema import Task, Variable
from forecast.windows import truth_at
from models.drift_line import DriftLine
from models.lightning import Training
from models.persistence import Persistence
from models.regenn import RegennForecaster, Shadow, Sight, Switches, cooccurrence

DAY = timedelta(days=1)
COUNTS = tuple(Variable(name, lower=0) for name in ("cases", "deaths", "well"))
TASK = Task(COUNTS[:2], step=DAY, horizon=4, context=6, past=COUNTS[2:])
SMALL = Switches(feedforward=8)
STILL = Training(epochs=1, rate=1e-12, weight_decay=0, batch=64)  # begins, and stays there
BRIEF = Training(epochs=4, rate=3e-3, batch=16)


def epidemic(rows: int = 80, series: int = 4) -> Panel:
    """Counts that grow, faster and slower; deaths follow the cases after five days."""
    rng = np.random.default_rng(0)
    pace = np.exp(0.03 * np.cumsum(rng.normal(0.4, 1.0, (series, rows + 5)), 1))  # (N, T + 5)
    cases = np.cumsum(np.arange(1, series + 1)[:, None] * 10 * pace, 1)  # (N, T + 5)
    values = np.stack([cases[:, 5:], 0.05 * cases[:, :-5], 0.5 * cases[:, 2:-3]], -1)  # (N, T, 3)
    times = np.datetime64("2020-02-01", "us") + np.arange(rows) * np.timedelta64(1, "D")
    names = tuple(v.name for v in COUNTS)
    return Panel(values, times, tuple(f"country {i}" for i in range(series)), names, DAY)


def model_of(**changes: Any) -> RegennForecaster:
    given = {"switches": SMALL, "training": BRIEF, "sight": Sight(scaling="last", errors="raw")} | changes
    return RegennForecaster(**given)


# --- where it starts


@pytest.mark.parametrize("scaling", ["none", "standard", "minmax", "last", "movement"])
@pytest.mark.parametrize("difference", [True, False])
def test_it_starts_at_the_drift_line_whatever_it_sees(scaling: str, difference: bool) -> None:
    panel = epidemic()
    model = model_of(
        shadow=Shadow("drift", changes=3), training=STILL, sight=Sight(scaling=scaling, difference=difference)
    )
    wanted = DriftLine(rows=4).fit(panel, TASK).predict(panel).point
    np.testing.assert_allclose(model.fit(panel, TASK).predict(panel).point, wanted, rtol=1e-4)


def test_it_starts_at_persistence_or_at_chance() -> None:
    panel = epidemic()
    still = model_of(shadow=Shadow("persistence"), training=STILL).fit(panel, TASK).predict(panel).point
    np.testing.assert_allclose(still, Persistence().fit(panel, TASK).predict(panel).point, rtol=1e-5)
    first, second = (
        model_of(shadow=Shadow("xavier"), training=STILL, seed=seed).fit(panel, TASK).predict(panel).point
        for seed in (0, 1)
    )
    assert np.abs(first - second).max() > 1e-3 * np.abs(second).max()


def test_the_least_squares_start_is_numpy_s() -> None:
    rng = np.random.default_rng(1)
    x, weight = rng.normal(size=(30, 4, 5, 2)), rng.uniform(0.5, 2, (30, 4, 1, 2))
    y = np.einsum("bnwc,wz->bnzc", x, rng.normal(size=(5, 3))) + 0.1 * rng.normal(size=(30, 4, 3, 2)) + 1
    y[:5] = np.nan
    found = Shadow("ridge").weights(x, y, weight, difference=True)
    inputs = np.concatenate([np.moveaxis(x[5:], 2, -1).reshape(-1, 5), np.ones((200, 1))], 1)
    heavy = np.sqrt(weight[5:]).reshape(-1, 1)
    wanted = np.linalg.lstsq(inputs * heavy, np.moveaxis(y[5:], 2, -1).reshape(-1, 3) * heavy, rcond=None)[0]
    np.testing.assert_allclose(found, wanted, atol=5e-3)  # the penalty is a thousandth of the inputs' size


def test_a_lead_without_truth_takes_the_one_before() -> None:
    y = np.ones((3, 2, 4, 1))
    y[:, :, 2:] = np.nan
    found = Shadow("ridge").weights(np.random.default_rng(0).normal(size=(3, 2, 5, 1)), y, np.ones((3, 2, 1, 1)), True)
    np.testing.assert_array_equal(found[:, 1:2], found[:, 2:3])
    np.testing.assert_array_equal(found[:, 2], found[:, 3])


# --- what it sees


def test_only_the_newest_rows_of_the_context_are_seen() -> None:
    panel, task = epidemic(), replace(TASK, context=9)
    model = model_of(sight=Sight(window=6, scaling="last", errors="raw")).fit(panel, task)
    assert model.net_.plain().net.w_ar.shape == (6, 4)
    other = panel.values.copy()
    other[:, -9:-6] *= 1.5
    np.testing.assert_array_equal(model.predict(replace(panel, values=other)).point, model.predict(panel).point)
    with pytest.raises(SchemaError, match="window of 10 rows does not fit the task's context of 9"):
        model_of(sight=Sight(window=10)).fit(panel, task)


@pytest.mark.parametrize("scaling", ["standard", "minmax", "last", "movement"])
def test_other_units_give_the_same_forecast_in_them(scaling: str) -> None:
    panel = epidemic()
    thousands = replace(panel, values=panel.values * 1000)
    found, wanted = (
        model_of(sight=Sight(scaling=scaling)).fit(given, TASK).predict(given).quantiles for given in (thousands, panel)
    )
    np.testing.assert_allclose(found, wanted * 1000, rtol=1e-4)


def test_past_inputs_are_variables_of_the_graph() -> None:
    panel = epidemic()
    model = model_of(training=replace(BRIEF, epochs=10, rate=1e-2)).fit(panel, TASK)
    other = panel.values.copy()
    other[:, -6:, 2] = other[:, -6:, 2][:, ::-1]
    assert np.abs(model.predict(replace(panel, values=other)).point / model.predict(panel).point - 1).max() > 1e-5
    assert model.predict(panel).variables == ("cases", "deaths")


def test_the_graph_is_the_training_slice_s_alone() -> None:
    panel = epidemic()
    values = panel.values.copy()
    values[0, 3, 1], values[0, 4, 0] = np.nan, 0.0
    gappy = replace(panel, values=values)
    for present in ("finite", "positive"):
        keep = np.arange(len(panel.times)) < 50
        model = model_of(sight=Sight(scaling="last", present=present)).fit(gappy.with_keep(keep), TASK)
        inside = values[:, : 50 + TASK.horizon]  # contexts and truths of the origins 5 to 49
        clean = np.nan_to_num(inside)
        mask = ~np.isnan(inside) if present == "finite" else clean > 0
        wanted = cooccurrence(torch.from_numpy(clean / clean.max(1, keepdims=True)), torch.from_numpy(mask))
        found = model.net_.plain().graph
        torch.testing.assert_close(found, wanted / (4 * inside.shape[1]), atol=1e-6, rtol=1e-6)


def test_without_attention_over_series_each_is_forecast_by_itself() -> None:
    panel = epidemic()
    for changes in ({"attend_over": "variables"}, {"encoder": False}):
        model = model_of(switches=replace(SMALL, **changes)).fit(panel, TASK)
        assert not model.traits.regional
        values = panel.values.copy()
        values[1:] *= np.linspace(1, 3, len(panel.times))[:, None]
        found, wanted = model.predict(replace(panel, values=values)), model.predict(panel)
        np.testing.assert_allclose(found.quantiles[0], wanted.quantiles[0], rtol=1e-12)
    assert model_of().traits.regional


# --- what it learns


def test_training_beats_its_start() -> None:
    """Deaths follow the cases: a line through a variable's own past cannot know, a mix of variables can."""
    panel, origins = epidemic(160), np.arange(120, 155)
    past, times = panel.rows(slice(0, 120)), [moment(t) for t in panel.times[origins]]
    errors = {}
    for name, training in (("start", STILL), ("trained", Training(epochs=30, rate=1e-2, batch=16))):
        model = model_of(shadow=Shadow("drift"), sight=Sight(scaling="movement"), training=training, newest=0)
        point = np.stack([f.point for f in model.fit(past, TASK).predict_at(panel, times)])  # (B, N, H, C)
        size = np.abs(truth_at(panel, TASK, origins) - point) / panel.values[:, origins].swapaxes(0, 1)[:, :, None, :2]
        errors[name] = np.nanmean(size[..., 1])
    assert errors["trained"] < 0.9 * errors["start"]


def test_a_warm_fit_goes_on_and_keeps_its_intervals() -> None:
    panel = epidemic()
    model = model_of().fit(panel.rows(slice(0, 70)), TASK)
    before, kept = model.net_.state_dict()["net.net.w_ar"].clone(), model.residuals_
    model.fit(panel, TASK, warm=True)
    moved = (model.net_.state_dict()["net.net.w_ar"] - before).abs().max()
    assert 0 < moved < 0.1
    assert model.residuals_ is kept


def test_intervals_are_of_rows_that_the_net_did_not_see() -> None:
    """Of noise nothing can be learnt: intervals from training's own errors would be too narrow."""
    rng, names = np.random.default_rng(3), ("cases", "deaths", "well")
    times = np.datetime64("2020-02-01", "us") + np.arange(400) * np.timedelta64(1, "D")
    panel = Panel(rng.normal(100, 1, (2, 400, 3)), times, ("a", "b"), names, DAY)
    fitted, origins = panel.rows(slice(0, 60)), np.arange(64, 390)
    inside = {}
    for newest in (0.0, 0.4):
        model = model_of(
            switches=Switches(encoder=False, dropout=0),
            sight=Sight(scaling="standard"),
            training=Training(epochs=60, rate=5e-2, batch=16),
            newest=newest,
        ).fit(fitted, TASK)
        quantiles = np.stack(
            [f.quantiles for f in model.predict_at(panel, [moment(t) for t in panel.times[origins]])]
        )  # (B, N, H, C, Q)
        truth = truth_at(panel, TASK, origins)
        inside[newest] = ((quantiles[..., 0] <= truth) & (truth <= quantiles[..., -1])).mean()
    assert inside[0.0] < inside[0.4]
    assert abs(inside[0.4] - 0.8) < abs(inside[0.0] - 0.8)


def test_it_comes_back_from_its_folder_with_its_portrait(tmp_path: Path) -> None:
    panel = epidemic()
    with pytest.raises(NotFittedError, match="before portrait"):
        model_of().portrait()
    model = model_of().fit(panel, TASK)
    model.save(tmp_path)
    again = Forecaster.load(tmp_path)
    portrait = again.portrait()
    assert set(portrait) == {"graph", "evolved"}
    for kind, matrix in model.portrait().items():
        assert matrix.rows == matrix.columns == ("cases", "deaths", "well")
        np.testing.assert_array_equal(portrait[kind].values, matrix.values)
        np.testing.assert_allclose(np.diag(matrix.values), 1, rtol=1e-6)
        np.testing.assert_allclose(matrix.values, matrix.values.T, rtol=1e-9)
    plain = again.net_.plain()
    h = plain.net.source(torch.zeros(1, 6, 3, dtype=torch.float64), plain.graph)[1]
    h = plain.net.target(torch.zeros(1, 4, 3, dtype=torch.float64), h)[1]
    lengths = h.norm(dim=1)
    np.testing.assert_allclose(portrait["evolved"].values, (h @ h.T / lengths[:, None] / lengths).numpy(), rtol=1e-6)


def test_a_kept_graph_evolves_by_training_alone_and_others_from_chance() -> None:
    panel, kept = epidemic(), Shadow("drift", graph_kept=True)

    def apart(**changes: Any) -> float:
        shown = model_of(**changes).fit(panel, TASK).portrait()
        return float(np.abs(shown["graph"].values - shown["evolved"].values).max())

    for seed in (0, 1):
        assert apart(training=STILL, shadow=kept, seed=seed) < 1e-6
        assert apart(training=STILL, shadow=Shadow("drift"), seed=seed) > 0.05
        assert apart(training=replace(BRIEF, rate=1e-2), shadow=kept, seed=seed) > 1e-4


def test_loading_draws_no_chance_of_the_caller_s(tmp_path: Path) -> None:
    model_of().fit(epidemic(), TASK).save(tmp_path)
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    Forecaster.load(tmp_path)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("scaling", ["none", "last", "movement"])
def test_relu_keeps_counts_from_falling_below_zero_and_lets_them_fall(scaling: str) -> None:
    days = np.arange("2020-02-01", "2020-04-11", dtype="datetime64[D]").astype("datetime64[us]")
    falls = np.maximum(0.0, 69.0 - np.arange(70.0))[None, :, None] * np.array([2.0, 1.0, 3.0])  # (N, T, V)
    panel = Panel(falls, days, ("a",), tuple(v.name for v in COUNTS), DAY)
    task = replace(TASK, targets=(Variable("cases"), Variable("deaths")))
    for output in ("identity", "relu"):
        model = model_of(
            switches=replace(SMALL, output=output),
            sight=Sight(scaling=scaling, difference=False),
            shadow=Shadow("drift"),
            training=STILL,
        ).fit(panel.rows(slice(0, 68)), task)
        point = model.predict(panel.rows(slice(0, 68))).point[0, :, 1]
        wanted = np.array([1.0, 0.0, -1.0, -2.0])  # after 2
        np.testing.assert_allclose(point, wanted if output == "identity" else wanted.clip(0), atol=1e-3)


def test_what_is_not_allowed_is_said() -> None:
    for make, error, words in (
        (lambda: Sight(scaling="max"), UnknownNameError, "scaling 'max'"),
        (lambda: Sight(errors="squared"), UnknownNameError, "errors 'squared'"),
        (lambda: Sight(present="some"), UnknownNameError, "present 'some'"),
        (lambda: Sight(window=0), SchemaError, "window is 0"),
        (lambda: Shadow("line"), UnknownNameError, "start of the linear shadow 'line'"),
        (lambda: Shadow(changes=0), SchemaError, "changes is 0"),
        (lambda: Shadow("xavier", graph_kept=True), SchemaError, "begins at chance"),
        (lambda: model_of(newest=1), SchemaError, "newest is 1"),
        (lambda: model_of(switches=Switches(output="relu")), SchemaError, "output relu cuts at zero"),
        (lambda: Training(factor=1), SchemaError, "training.factor is 1"),
    ):
        with pytest.raises(error, match=words):
            make()
    with pytest.raises(SchemaError, match="drift over 6 changes needs 7 rows, the window has 6"):
        model_of(shadow=Shadow("drift", changes=6)).fit(epidemic(), TASK)
