"""The stock suite as forecasters: what each reads, what it is fitted by, and where its intervals come from."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment
from forecast.schema import Task, Variable
from forecast.spec import from_spec, to_spec
from forecast.together import Fit, fit_together
from forecast.windows import forward_fill, training_rows, truth_at
from models.nets.asking import predict_together
from models.persistence import Persistence
from models.residuals import Residuals
from models.stock.forecaster import Stock, training_of
from models.stock.networks import NETWORKS
from models.training.optimisers import OPTIMISERS
from models.weekdays import Weekdays, inside

DAY = timedelta(days=1)
COLUMNS = ("open", "high", "low", "close", "volume")
TASK = Task([Variable("open")], step="1d", context=14, horizon=7, past=[Variable(c) for c in COLUMNS[1:]], patience=6)
# name: epochs, batch, parameters at 200 units, as published
PUBLISHED = {
    "cnn_univ_5": (20, 4, 289),
    "cnn_univ_10": (70, 16, 769),
    "cnn_multv_10": (70, 16, 7_373),
    "cnn_multh_10": (70, 16, 132_965),
    "lstm_univ_5": (20, 16, 182_235),
    "lstm_univ_10": (20, 16, 182_235),
    "lstm_univ_ed_10": (70, 16, 502_601),
    "lstm_multv_ed_10": (20, 16, 505_801),
    "lstm_univ_cnn_10": (20, 16, 347_209),
    "lstm_univ_conv_10": (20, 16, 384_777),
}


def stock(network: str, seed: int = 0, **changes: Any) -> Stock:
    return Stock(network, units=8, training=training_of(network, epochs=2, batch=64, **changes), seed=seed)


def market(rows: int = 150, series: int = 2) -> Panel:
    """The same on weekdays only."""
    panel = shares(rows, series)
    session = np.is_busday(panel.times.astype("datetime64[D]"))
    return replace(panel, values=np.where(session[:, None], panel.values, np.nan))


def shares(rows: int = 150, series: int = 2) -> Panel:
    """Days one after another without weekends or gaps."""
    values = 100 + np.cumsum(np.random.default_rng(0).normal(size=(series, rows, 5)), axis=1)  # (N, T, V)
    times = np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "D")
    return Panel(values, times, tuple("ABC"[:series]), COLUMNS, DAY)


SESSIONS = replace(TASK, context=14, horizon=5)  # for a Stock that is asked without Weekdays


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_option_is_the_published_network_and_training(name: str) -> None:
    with initialize_config_module("forecast.conf", version_base="1.3"):
        spec = OmegaConf.to_container(compose("config", overrides=[f"model={name}", "seed=3"]).model, resolve=True)
    model = from_spec(spec)
    inner = model.model
    epochs, batch, parameters = PUBLISHED[name]
    assert (type(model), type(inner)) == (Weekdays, Stock)
    assert (inner.network, inner.training.epochs, inner.training.batch) == (name, epochs, batch)
    assert inner.training == replace(training_of(name), threads=inner.training.threads)
    assert inner.seed == 3
    net = inner._skeleton(inner.framing.shape(1, inside(TASK), 0))
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert to_spec(from_spec(to_spec(model))) == to_spec(model)


def test_all_ten_are_options() -> None:
    assert PUBLISHED.keys() == NETWORKS.keys()


@pytest.mark.parametrize("name", ["cnn_univ_5", "cnn_multv_10", "lstm_univ_10", "lstm_multv_ed_10"])
def test_what_a_network_reads(name: str) -> None:
    """Its newest rows, of the target alone or of all five columns, of its own series; nothing else.

    The one-week convolution does not read the very newest: three places are pooled by twos, and the third is left out.
    """
    panel = shares()
    model = stock(name).fit(panel, SESSIONS)
    wanted = model.predict(panel).point

    def moved(series: int, back: int, column: int) -> np.ndarray:
        values = panel.values.copy()
        values[series, -back, column] += 1
        return np.abs(model.predict(replace(panel, values=values)).point - wanted).max((1, 2))  # (N,)

    rows, wide = NETWORKS[name].rows, NETWORKS[name].columns
    for back in range(1, rows + 1):
        own, other = moved(0, back, 0)
        assert (own > 0) == (name != "cnn_univ_5" or back > 1)
        assert other == 0
    assert moved(0, rows + 1, 0).max() == 0
    for column in range(1, 5):
        assert (moved(0, 2, column)[0] > 0) == (wide == 5)
    assert model.traits.multivariate == (wide == 5)


def test_the_point_is_the_mean_and_no_median() -> None:
    """Of numbers without memory whose mean is 1 and whose median is 0.69."""
    panel = shares(1500, 1)
    noise = replace(panel, values=np.random.default_rng(1).exponential(size=panel.shape))
    model = Stock("cnn_univ_5", training=training_of("cnn_univ_5", batch=64)).fit(noise, SESSIONS)
    points = np.stack([f.point for f in model.predict_at(noise, [moment(t) for t in noise.times[20:]])])
    assert abs(points.mean() - 1) < 0.08


@pytest.mark.parametrize("split", ["refit_all", "holdout"])
@pytest.mark.parametrize("name", ["cnn_univ_5", "cnn_multh_10"])
def test_intervals_are_the_errors_on_the_newest_rows_or_the_last_values(name: str, split: str) -> None:
    """Of the rows held out, else of the newest fifth, around the point; of all rows around the last value.

    Two targets, a gap in the truth, a series of other units.
    """
    panel, task = shares(rows=301), replace(SESSIONS, targets=TASK.variables[:2], past=TASK.variables[2:])
    values = panel.values * np.array([1.0, 30.0])[:, None, None]
    values[0, 280, 1] = np.nan
    panel = replace(panel, values=values)
    model = stock(name, split=split).fit(panel, task)
    rows = training_rows(panel, task)  # (286,)
    newest = rows[-round(0.2 * len(rows)) if split == "refit_all" else -math.ceil(0.1 * len(rows)) :]
    made = model.predict_at(panel, [moment(t) for t in panel.times[newest]])
    own = Residuals.of(truth_at(panel, task, newest) - np.stack([f.point for f in made]), task)
    filled = forward_fill(panel.values[..., :2])  # (N, T, C)
    last = Residuals.of(truth_at(panel, task, rows) - filled[:, rows].swapaxes(0, 1)[:, :, None], task)
    found, sides = model.predict(panel), []
    for origin, errors in ((found.point, own), (filled[:, -1:], last)):
        sides.append(origin[..., None] + errors.widths[:, None, :, None] * errors.shape)  # (N, H, C, Q)
    wanted = np.minimum(*sides)[..., 0], found.point, np.maximum(*sides)[..., 2]
    np.testing.assert_allclose(found.quantiles, np.stack(wanted, -1), rtol=1e-4)
    assert (sides[0][..., 0] < sides[1][..., 0]).any()
    assert (sides[0][..., 0] > sides[1][..., 0]).any()


def test_a_net_is_no_surer_than_the_last_value() -> None:
    """Of one series, the last value's interval is persistence's own; the point stays the net's."""
    panel = market(series=1)
    net, still = (Weekdays(m).fit(panel, TASK).predict(panel) for m in (stock("lstm_univ_5"), Persistence()))
    assert (net.quantiles[..., 0] <= still.quantiles[..., 0] + 1e-9).all()
    assert (net.quantiles[..., 2] >= still.quantiles[..., 2] - 1e-9).all()
    assert (net.quantiles[..., 1] == net.point).all()
    assert (net.point != still.point).all()


def test_series_and_seeds_are_members_of_one_pass_and_each_as_alone() -> None:
    panel = shares()
    models = [Weekdays(stock("lstm_univ_5", seed)) for seed in range(3)]
    assert len({model._alike(panel, TASK) for model in models}) == 1
    assert models[0]._alike(panel, TASK) is not None
    assert fit_together([Fit(model, panel, TASK) for model in models]) == [None] * 3
    for seed, model in enumerate(models):
        for place, name in enumerate(panel.series):
            one = replace(panel, values=panel.values[[place]], series=(name,))
            alone = Weekdays(stock("lstm_univ_5", seed)).fit(one, TASK).predict(one)
            np.testing.assert_allclose(model.predict(panel).point[place], alone.point[0], rtol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_seeds_of_every_option_share_a_pass(name: str) -> None:
    """Also the largest network: at batch 16 a stack of three pays."""
    models = [Weekdays(Stock(name, seed=seed)) for seed in range(3)]
    keys = {model._alike(shares(), TASK) for model in models}
    assert len(keys) == 1
    assert keys != {None}


def test_forecast_together_is_forecast_alone() -> None:
    panel = shares()
    models = [stock("cnn_multv_10", seed).fit(panel, SESSIONS) for seed in range(2)]
    for model, found in zip(models, predict_together(models, [panel, panel]), strict=True):
        np.testing.assert_allclose(found.quantiles, model.predict(panel).quantiles, rtol=1e-5)


def test_saved_and_loaded_is_the_same_and_goes_on_the_same(tmp_path: Path) -> None:
    panel = shares()
    model = Weekdays(stock("cnn_multv_10")).fit(panel, TASK)
    model.save(tmp_path / "m")
    loaded = Forecaster.load(tmp_path / "m")
    for _ in range(2):
        np.testing.assert_array_equal(loaded.predict(panel).quantiles, model.predict(panel).quantiles)
        for one in (model, loaded):
            one.fit(panel, TASK, warm=True)


def test_the_optimiser_is_that_of_keras() -> None:
    import torch

    optimiser = OPTIMISERS["keras_adam"]
    made = optimiser.make([torch.nn.Parameter(torch.zeros(1))], optimiser.rate, optimiser.weight_decay)
    assert (made.defaults["lr"], made.defaults["eps"], made.defaults["weight_decay"]) == (1e-3, 1e-7, 0)


def test_wrong_words_and_short_windows_are_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cnn_univ_5'"):
        Stock("cnn_uni_5")
    with pytest.raises(UnknownNameError, match="did you mean 'minmax'"):
        Stock(scaling="minmaxx")
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        Stock("lstm_univ_5", activation="gelu")
    with pytest.raises(SchemaError, match=r"newest 10 rows, the task's context is 7: set task\.context to 10"):
        stock("cnn_univ_10").fit(shares(), replace(SESSIONS, context=7))
    with pytest.raises(SchemaError, match="14 days inside Weekdays"):
        Weekdays(stock("lstm_univ_10")).fit(shares(), replace(TASK, context=12))
