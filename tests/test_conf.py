"""Every YAML of conf/ composes, names what exists, and builds; what is built has a spec that builds it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from forecast.detect import Detector
from forecast.forecaster import Forecaster
from forecast.policy import Policy
from forecast.reduce import Reducer
from forecast.schema import Task, Variable, duration
from forecast.spec import ALLOWED, from_spec, to_spec
from pipelines.backtest.checking import check_settings
from pipelines.backtest.contestants import contestants
from pipelines.backtest.plan import Split
from pipelines.build import build_fleet
from pipelines.checking import KEYS, check_targets, checked
from pipelines.completion import groups, settings, words
from pipelines.jobs.backtest import SPLIT
from pipelines.jobs.setting_up import single
from pipelines.protocols import Source, Store, Tracker

OPTIONS = [(group, option) for group, options in groups().items() for option in options if group != "experiment"]
KINDS = {"task": Task, "source": Source, "store": Store, "tracker": Tracker, "model": Forecaster, "reducer": Reducer}
ROUND_TRIP = ("task", "model", "reducer", "policy", "variables", "source")


def composed(folder: Path, *overrides: str, group: str = "") -> dict[str, Any]:
    """The configuration resolved; with a `group` that group alone: a source may not have what the usual task asks."""
    with initialize_config_module("forecast.conf", version_base="1.3"):
        config = compose("config", overrides=[f"folder={folder}", "threads.workers=1", *overrides])
    plain: dict[str, Any] = OmegaConf.to_container(config[group] if group else config, resolve=True)  # type: ignore[assignment]
    return plain


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_builds_what_its_group_promises(tmp_path: Path, group: str, option: str) -> None:
    spec = composed(tmp_path, f"{group}={option}", group=group)
    check_targets(spec, ALLOWED, group)
    built = from_spec(spec)
    if group in KINDS:
        assert isinstance(built, KINDS[group])
    if group == "policy":
        assert isinstance(built, Policy)
        assert isinstance(getattr(built, "detector", None), Detector | None)
    if group == "variables":
        assert all(isinstance(v, Variable) and v.name == key for key, v in built.items())


@pytest.mark.parametrize(("group", "option"), [o for o in OPTIONS if o[0] in ROUND_TRIP])
def test_a_spec_goes_round(tmp_path: Path, group: str, option: str) -> None:
    first = to_spec(from_spec(composed(tmp_path, f"{group}={option}", group=group)))
    assert to_spec(from_spec(first)) == first


@pytest.mark.parametrize("experiment", groups()["experiment"])
def test_every_experiment_builds_a_fleet_or_a_backtest(tmp_path: Path, experiment: str) -> None:
    config = checked(composed(tmp_path, f"+experiment={experiment}", "tracker=none", "store=memory"))
    if config["backtest"]["models"]:
        _check_backtest(config)
        return
    fleet = build_fleet(config, tmp_path)
    grid = config["grid"]
    count = len(grid["models"]) * len(grid["reducers"]) * len(grid["policies"])
    count *= len(grid.get("stations", [""])) * len(grid.get("targets", [""]))
    assert len(fleet.nowcasters) == count + len(config["baselines"])
    assert fleet.name == config["fleet"]


def _check_backtest(config: dict[str, Any]) -> None:
    """Every model, reducer and part builds, and so does the plan; the data are not asked for."""
    asked, task = config["backtest"], from_spec(config["task"])
    check_settings(asked, task.horizon)
    found = contestants(config, {}, ALLOWED)
    assert {c.labels["model"] for c in found} == {*asked["models"], *config["baselines"]}
    assert isinstance(from_spec(config["source"]), Source)
    assert Split(**{name: asked[name] for name in SPLIT}).part == "test"


def test_nowcasters_share_reducers_and_never_policies(tmp_path: Path) -> None:
    fleet = build_fleet(checked(composed(tmp_path, "+experiment=nyc", "tracker=none", "store=memory")), tmp_path)
    learning = [n for n in fleet.nowcasters.values() if n.labels["model"] != "persistence"]
    assert len({id(n.reducer) for n in learning}) == 2
    assert len({id(n.policy) for n in learning}) == len(learning)


def test_without_a_grid_the_choice_stands_beside_the_baselines(tmp_path: Path) -> None:
    config = checked(composed(tmp_path, "tracker=none", "store=memory"))
    grid = single(config, {"model": "xgboost", "reducer": "full", "policy": "on_drift"})
    assert list(build_fleet({**config, "grid": grid}, tmp_path).nowcasters) == ["persistence", "xgboost.full.on_drift"]


@pytest.mark.parametrize(("choice", "made"), [("full.never", 1), ("full.always", 2), ("thin.never", 2)])
def test_a_baseline_is_not_made_twice_and_nothing_else_is_left_out(tmp_path: Path, choice: str, made: int) -> None:
    reducer, policy = choice.split(".")
    words = ("tracker=none", "store=memory", "model=persistence", f"reducer={reducer}", f"policy={policy}")
    config = checked(composed(tmp_path, *words))
    grid = single(config, {"model": "persistence", "reducer": reducer, "policy": policy})
    names = list(build_fleet({**config, "grid": grid}, tmp_path).nowcasters)
    assert names == ["persistence", f"persistence.{choice}"][:made]


def test_mlflow_measures_time_in_steps_of_the_task(tmp_path: Path) -> None:
    for given, period in (((), 900), (("tracker.period=5m",), 300)):
        config = checked(composed(tmp_path, "+experiment=nyc", "store=memory", "task.step=15m", *given))
        tracker = build_fleet(config, tmp_path).edges.tracker
        assert duration(tracker.period).total_seconds() == period  # type: ignore[attr-defined]


def test_the_keys_that_are_checked_are_those_of_the_file(tmp_path: Path) -> None:
    assert set(composed(tmp_path)) == KEYS
    listed = {key.split(".")[0] for key, _, _ in settings()}
    assert listed <= KEYS
    assert all(comment for key, _, comment in settings()), "every setting says what it means"
    assert {"model=lstm", "policy=on_drift", "clock.start=", "+experiment=nyc"} <= set(words())


def test_registered_models_may_be_made_of_what_the_user_allows(tmp_path: Path) -> None:
    config = checked(composed(tmp_path, "+experiment=nyc", "store=memory", "allowed_targets=[lab]"))
    assert "lab" in build_fleet(config, tmp_path).edges.tracker.allowed  # type: ignore[attr-defined]
