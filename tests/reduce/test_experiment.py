"""The experiment `reducers` compares at equal rows: what its configuration builds keeps as many as Variance Horizon."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from forecast.panel import Panel
from forecast.schema import Task, Variable
from forecast.spec import from_spec, to_spec


def test_all_but_the_full_history_keep_as_many_rows() -> None:
    with initialize_config_module("forecast.conf", version_base="1.3"):
        config = OmegaConf.to_container(compose("config", overrides=["+experiment=reducers"]), resolve=True)
    assert isinstance(config, dict)
    backtest = config["backtest"]
    made = {label: from_spec(spec) for label, spec in backtest["reducers"].items()}
    noise = np.random.default_rng(0).normal(size=(2, backtest["history"], 2)).cumsum(axis=1) * 0.1  # (N, T, C)
    noise += np.sin(2 * np.pi * np.arange(backtest["history"]) / 24)[None, :, None]
    times = np.datetime64("2020-01-01", "us") + np.arange(backtest["history"]) * np.timedelta64(1, "h")  # (T,)
    panel = Panel(noise, times, ("a", "b"), ("t", "w"), timedelta(hours=1))
    task = Task(targets=(Variable("t"), Variable("w")))
    keeps = {label: reducer.reduce(panel, task).keep for label, reducer in made.items()}
    full, horizon = keeps.pop("full"), keeps["variance_horizon"]
    assert full.all()
    assert set(keeps) == {"variance_horizon", "last", "thin", "taper"}
    assert {int(keep.sum()) for keep in keeps.values()} == {int(horizon.sum())}
    assert horizon.sum() < len(times)
    np.testing.assert_array_equal(keeps["last"], horizon)
    assert not np.array_equal(keeps["taper"], keeps["thin"])
    assert from_spec(to_spec(made["taper"])).half_life == timedelta(days=90)
