"""Walks: a stretch taken origin by origin, retrained by a policy; the same as the live loop, and as many backtests."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from forecast.panel import Panel, moment
from forecast.schema import Task, Variable
from forecast.spec import ALLOWED, from_spec
from pipelines.backtest.bundle import run_bundle, run_cell
from pipelines.backtest.cell import Cell, Walk
from pipelines.backtest.cells import cells
from pipelines.backtest.contestants import Contestant
from pipelines.backtest.plan import Split
from tests.loop import planted
from tests.loop.world import VARIABLES, crew, member, weather

FULL = {"_target_": "forecast.reduce.Full"}
RIDGE = {"_target_": "models.ridge.Ridge", "inputs": {"_target_": "models.ridges.inputs.RidgeInputs", "lags": [1]}}
CLIMATOLOGY = {"_target_": "models.climatology.Climatology"}
LEVEL = {"_target_": "tests.loop.planted.Level"}
NEVER, ALWAYS = ({"_target_": f"forecast.policy.{name}"} for name in ("Never", "Always"))
TASK = Task(targets=(Variable("t"), Variable("w")), horizon=3, context=4, levels=(0.1, 0.5, 0.9))


def every(period: str) -> dict[str, Any]:
    return {"_target_": "forecast.policy.Every", "period": period}


def on_drift(source: str = "live", max_age: str = "12h") -> dict[str, Any]:
    detector = {"_target_": "forecast.detect.Ratio", "delta": 0.05, "window": 6, "min_checks": 3}
    limits = {"_target_": "forecast.policy.Limits", "min_age": "3h", "max_age": max_age, "min_checks": 3}
    words = {"detector": detector, "check_window": 8, "source": source, "limits": limits}
    return {"_target_": "forecast.policy.OnDrift", **words}


def panel(rows: int = 300) -> Panel:
    hours = np.arange(rows)
    rng = np.random.default_rng(0)
    day = 5 * np.sin(2 * np.pi * hours / 24)[None, :, None] + np.arange(2)[:, None, None]
    values = day + rng.normal(size=(2, rows, 2)).cumsum(1) * 0.3  # (N, T, C)
    values[0, 250:254, 0] = np.nan
    times = np.datetime64("2024-03-01", "us") + hours * np.timedelta64(1, "h")
    return Panel(values, times, ("S0", "S1"), ("t", "w"), timedelta(hours=1))


def made(folder: Path, model: dict, policy: dict | None, split: Split = Split(), **options: Any) -> list[Cell]:  # noqa: B008
    walk = Walk(policy, split.history) if policy else None
    one = Contestant("m", model, FULL, {}, walk, options.pop("seeds", 1))
    given = {"horizons": [3], "scored": ("S0", "S1"), "update": 0, "panel": panel(), "task": TASK, **options}
    here, task = given.pop("panel"), given.pop("task")
    return cells([one], here, task, split, allowed=(*ALLOWED, "tests"), folder=folder, **given)


def done(folder: Path, *args: Any, **options: Any) -> list[Cell]:
    found = made(folder, *args, **options)
    for cell in found:
        assert run_cell(cell).why == ""
    return found


def forecasts(found: list[Cell]) -> np.ndarray:
    return np.concatenate([cell.quantiles() for cell in found])  # (B, N, H, C, Q)


@pytest.mark.parametrize("history", [None, 100])
@pytest.mark.parametrize("policy", [ALWAYS, every("5h")])
def test_retraining_at_every_origin_is_a_backtest_with_as_many_cutoffs(tmp_path, policy, history) -> None:
    (walk,) = done(tmp_path, CLIMATOLOGY, policy, Split(every=5, history=history))
    count = len(walk.stretch.origins)
    single = done(tmp_path, CLIMATOLOGY, None, Split(every=5, history=history, cutoffs=count))
    np.testing.assert_array_equal(walk.quantiles(), forecasts(single))
    assert walk.facts()["fits"] == walk.facts()["promotions"] == count == 12


@pytest.mark.parametrize("update", [0, 7])
@pytest.mark.parametrize("model", [CLIMATOLOGY, RIDGE])
def test_never_is_the_plain_backtest(tmp_path: Path, model: dict, update: int) -> None:
    walk, plain = (done(tmp_path, model, policy, update=update) for policy in (NEVER, None))
    np.testing.assert_allclose(forecasts(walk), forecasts(plain), rtol=1e-6)
    assert walk[0].facts()["fits"] == 1


def test_stretches_begin_anew(tmp_path: Path) -> None:
    found = done(tmp_path, LEVEL, every("20h"), Split(cutoffs=2))
    for cell in found:
        assert cell.steps()["action"].to_list().index("retrain") == 0
        own = done(
            tmp_path / "own", LEVEL, every("20h"), Split(test=cell.stretch.stop, end=int(cell.stretch.origins[-1]) + 4)
        )
        np.testing.assert_array_equal(cell.quantiles(), forecasts(own))


@pytest.mark.parametrize("source", ["live", "holdout"])
def test_a_walk_decides_and_forecasts_as_the_live_loop_does(tmp_path: Path, source: str) -> None:
    """One origin an hour, rows in time: errors settled, policy, challenges and forecasts are those of `tick`."""
    from pipelines.tick import tick

    frame = weather(rows=360, revised=False).with_columns(seen="time")
    task = Task(targets=VARIABLES, horizon=3, context=4)
    here = Panel.from_frame(frame, task.step, task.names)
    (cell,) = done(
        tmp_path / "walk", LEVEL, on_drift(source), Split(choose=290, test=301, history=250),
        panel=here, task=task, scored=("EWR", "JFK"),
    )  # fmt: skip
    loop = crew(tmp_path / "live", [member("m", from_spec(on_drift(source)), LEVEL)], frame, task=task)
    origins = [moment(here.times[o]) for o in cell.stretch.origins]
    for slot in origins:
        tick(loop, slot)
    live, steps = loop.edges.store.records("decisions"), cell.steps()
    for column in ("slot", "action", "why", "loss", "reference", "challenger_loss", "champion_loss"):
        assert live[column].equals(steps[column]) or np.allclose(
            live[column].to_numpy(), steps[column].to_numpy(), rtol=1e-9, equal_nan=True
        ), column
    ends = dict(zip(("promoted", "refused"), (True, False), strict=True))
    assert live["promoted"].to_list() == [ends.get(end) for end in steps["outcome"]]
    assert {"promoted", "refused"} <= set(steps["outcome"].drop_nulls()), "both ways of ending are compared"
    issued = loop.edges.store.records("forecasts").sort("origin", "series", "lead", "variable")
    point = cell.quantiles()[..., 1]  # (B, N, H, C)
    np.testing.assert_allclose(issued["point"].to_numpy(), point.reshape(-1), rtol=1e-6)


def test_an_error_is_of_the_present_champion_on_truths_since_the_origin_before(tmp_path: Path) -> None:
    """A slow loop over strides that split a horizon, with gaps and replaced champions."""
    here = panel()
    (cell,) = done(tmp_path, LEVEL, every("8h"), Split(every=2))
    steps, point = cell.steps(), cell.quantiles()[..., 1].astype(float)
    origins, since, scale = cell.stretch.origins, 0, np.ones(2)
    for b, origin in enumerate(origins):
        errors: dict[int, list[float]] = {0: [], 1: []}
        for a in range(since, b):
            for row in range(int(origins[b - 1]) + 1, int(origin) + 1):
                lead = row - int(origins[a])
                for n, c in np.ndindex(2, 2) if 1 <= lead <= 3 else ():
                    errors[c].append(abs(point[a, n, lead - 1, c] - here.values[n, row, c]))
        known = [[e for e in errors[c] if not np.isnan(e)] for c in (0, 1)]
        want = np.mean([np.mean(known[c]) / scale[c] for c in (0, 1)]) if known[0] else np.nan
        got = np.nan if steps["error"][b] is None else steps["error"][b]
        np.testing.assert_allclose(got, want, rtol=1e-5, err_msg=str(b))
        if steps["action"][b] == "retrain":
            past = here.rows(slice(0, int(origin) + 1))
            since, scale = b, from_spec(LEVEL, (*ALLOWED, "tests")).fit(past, TASK).scale_
    assert steps["error"].null_count() == 1 < cell.facts()["fits"]


@pytest.mark.parametrize("policy", [on_drift(), on_drift("holdout"), every("7h")])
def test_rows_after_an_origin_change_neither_its_forecast_nor_a_decision_up_to_it(tmp_path: Path, policy: dict) -> None:
    here = panel()
    (usual,) = done(tmp_path, LEVEL, policy)
    assert usual.facts()["fits"] > 2
    for b in (0, 1, 17, 40):
        values = here.values.copy()
        values[:, int(usual.stretch.origins[b]) + 1 :] += 1e4
        (cell,) = made(tmp_path / str(b), LEVEL, policy)
        cell = replace(cell, panel=replace(here, values=values))
        run_cell(cell)
        np.testing.assert_array_equal(cell.quantiles()[: b + 1], usual.quantiles()[: b + 1])
        assert cell.steps().head(b + 1).equals(usual.steps().head(b + 1))
        assert not np.array_equal(cell.quantiles()[b + 2 :], usual.quantiles()[b + 2 :])


def test_seeds_walk_side_by_side_and_each_as_it_would_alone(tmp_path: Path) -> None:
    model = {"_target_": "tests.pipelines.planted_models.Chancy", "seed": 3}
    together = made(tmp_path / "a", model, every("20h"), seeds=3)
    planted.Sociable.passes.clear()
    assert [o.why for o in run_bundle(together)] == ["", "", ""]
    assert planted.Sociable.passes == [9], "three trainings of three seeds, all in one pass"
    alone = done(tmp_path / "b", model, every("20h"), seeds=3)
    for mine, own in zip(together, alone, strict=True):
        assert mine.key == own.key
        np.testing.assert_array_equal(mine.quantiles(), own.quantiles())
        assert mine.facts()["fit_cpu_s"] > 0
    assert not np.array_equal(together[0].quantiles(), together[1].quantiles())


def test_the_policy_of_each_seed_is_its_own(tmp_path: Path) -> None:
    model = {"_target_": "tests.pipelines.planted_models.Chancy", "spread": 4.0}
    found = made(tmp_path / "a", model, on_drift(), seeds=3)
    assert {o.why for o in run_bundle(found)} == {""}
    steps = [cell.steps() for cell in found]
    assert not steps[0]["action"].equals(steps[1]["action"]) or not steps[0]["action"].equals(steps[2]["action"])
    for cell, (alone,) in zip(found, ([c] for c in made(tmp_path / "b", model, on_drift(), seeds=3)), strict=True):
        run_cell(alone)
        assert alone.steps().equals(cell.steps())


def test_a_later_training_that_fails_leaves_the_champion_and_is_counted(tmp_path: Path) -> None:
    since = f"{moment(panel().times[270]):%Y-%m-%dT%H:%M}"
    model = {"_target_": "tests.loop.planted.Fragile", "step": "fit", "since": since}
    (cell,) = done(tmp_path, model, every("10h"))
    facts, steps = cell.facts(), cell.steps()
    assert facts["promotions"] >= 2 <= facts["failures"]
    assert facts["fits"] == facts["promotions"] + facts["failures"]
    assert "planted" in steps.filter(pl.col("outcome") == "failed")["told"][0]
    assert not np.isnan(cell.quantiles()[..., 1]).all((1, 2, 3)).any(), "the champion goes on"


@pytest.mark.parametrize("step", ["fit", "predict"])
def test_a_first_training_or_a_forecast_that_fails_ends_its_own_cell(tmp_path: Path, step: str) -> None:
    model = {"_target_": "tests.loop.planted.Fragile", "step": step, "since": "2024-01-01"}
    (cell,) = made(tmp_path, model, every("10h"))
    assert "planted" in run_cell(cell).why
    assert not cell.done
    assert not list(tmp_path.iterdir()), "nothing half done stays"


def test_what_a_walk_depends_on_is_in_its_key(tmp_path: Path) -> None:
    keys = [made(tmp_path, LEVEL, policy)[0].key for policy in (None, NEVER, every("5h"), every("6h"))]
    keys.append(made(tmp_path, LEVEL, NEVER, Split(history=50))[0].key)
    assert len(set(keys)) == 5


def test_every_training_is_told_with_its_time_and_reason(tmp_path: Path) -> None:
    (cell,) = done(tmp_path, LEVEL, on_drift(max_age="6h"))
    steps = cell.steps()
    trained = steps.filter(pl.col("action") == "retrain")
    assert steps["slot"].to_list() == [moment(panel().times[o]) for o in cell.stretch.origins]
    assert trained["why"][0] == "no model yet"
    assert (
        trained.height == cell.facts()["fits"] == sum(cell.facts()[k] for k in ("promotions", "refusals", "failures"))
    )
    assert trained["told"].null_count() == 0
    assert set(steps.filter(pl.col("action") == "keep")["outcome"]) == {None}
