"""Trainings by the clock, done before the walk: the same models as one after another, within bounds of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from forecast.policy import Always, Every, Policy
from forecast.reduce import Last, Reduction
from pipelines.backtest import early, walk
from pipelines.backtest.bundle import run_bundle
from pipelines.backtest.cell import Cell
from pipelines.backtest.contestants import Contestant
from pipelines.backtest.early import by_clock
from pipelines.backtest.plan import Split
from tests.loop import planted
from tests.pipelines.test_backtest_walk import ALWAYS, NEVER, every, made, on_drift

CHANCY = {"_target_": "tests.pipelines.planted_models.Chancy", "seed": 3}


class Breaks(Last):
    """Cannot reduce histories of some lengths."""

    def reduce(self, panel: Any, task: Any) -> Reduction:
        if len(panel.times) > 270:
            raise ValueError("planted: too long")
        return super().reduce(panel, task)


class Challenged(Always):
    challenges = True
    check_window = 8


def run(folder: Path, *args: Any, **options: Any) -> tuple[list[Cell], list[str]]:
    found = made(folder, *args, **options)
    return found, [outcome.why for outcome in run_bundle(found)]


@pytest.mark.parametrize("policy", [NEVER, ALWAYS, every("7h"), every("8h")])
@pytest.mark.parametrize("split", [Split(every=3), Split(every=5, history=90)])
def test_they_come_to_what_they_come_to_one_after_another(tmp_path, monkeypatch, policy: dict, split: Split) -> None:
    mine, why = run(tmp_path / "a", CHANCY, policy, split, seeds=2, update=5)
    planted.Sociable.passes.clear()
    monkeypatch.setattr(walk, "trained_early", lambda *_: {})
    other, too = run(tmp_path / "b", CHANCY, policy, split, seeds=2, update=5)
    assert why == too == ["", ""]
    for one, two in zip(mine, other, strict=True):
        np.testing.assert_array_equal(one.quantiles(), two.quantiles())
        assert one.steps().equals(two.steps())
        assert {k: v for k, v in one.facts().items() if not k.endswith("_s")} == {
            k: v for k, v in two.facts().items() if not k.endswith("_s")
        }
    assert planted.Sociable.passes == [2] * one.facts()["fits"], "without, each origin has a pass of its own"


def test_a_pass_holds_no_more_than_memory_should_and_histories_wait_for_it(tmp_path, monkeypatch) -> None:
    whole, _ = run(tmp_path / "a", CHANCY, every("6h"), seeds=2)
    told: list[str] = []
    train, history = early.train_together, walk._history

    def trained(jobs: list) -> Any:
        told.append("t" * len(jobs))
        return train(jobs)

    def reduced(*args: Any) -> Any:
        told.append("h")
        return history(*args)

    monkeypatch.setattr(early, "train_together", trained)
    monkeypatch.setattr(walk, "_history", reduced)
    monkeypatch.setattr(early, "WINDOWS", 2 * 300 * 2 * 4 * 4)  # four trainings on all rows
    parts, why = run(tmp_path / "b", CHANCY, every("6h"), seeds=2)
    assert why == ["", ""]
    assert "".join(told).count("h") == 10, "once for both seeds"
    assert [len(x) for x in told if x[0] == "t"] == [4] * 5
    waiting = np.cumsum([1 if x == "h" else -len(x) / 2 for x in told])
    assert waiting.max() <= 3, "two of this pass, and the one that did not fit"
    for one, two in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one.quantiles(), two.quantiles())


def test_seeds_share_what_reducing_costs(tmp_path: Path) -> None:
    found, _ = run(tmp_path, CHANCY, every("6h"), seeds=3)
    cost = [cell.facts()["reduce_cpu_s"] for cell in found]
    assert cost == pytest.approx([cost[0]] * 3)


def test_a_history_that_cannot_be_reduced_is_a_training_that_failed(tmp_path: Path, monkeypatch) -> None:
    found = made(tmp_path, CHANCY, every("10h"), seeds=2)
    broken = [_reduced(cell, {"_target_": f"{__name__}.Breaks", "rows": 1000}) for cell in found]
    assert [o.why for o in run_bundle(broken)] == ["", ""]
    for cell in broken:
        failed = cell.steps().filter(pl.col("outcome") == "failed")
        assert failed.height == cell.facts()["failures"] > 1
        assert "planted: too long" in failed["told"][0]
        assert failed["rows"].to_list() == [0] * failed.height
        assert not np.isnan(cell.quantiles()[..., 1]).all((1, 2, 3)).any(), "the champion goes on"


def _reduced(cell: Cell, reducer: dict) -> Cell:
    from dataclasses import replace

    return replace(cell, reducer=reducer)


class Odd(Every):
    """By the clock, and waits longer after each training it was told of."""

    def trained(self, promoted: bool, reference: float) -> None:
        self.period = 2 * self.period


def test_a_clock_may_go_by_the_trainings_so_far(tmp_path: Path) -> None:
    planted.Sociable.passes.clear()
    (cell,), why = run(tmp_path, CHANCY, {"_target_": f"{__name__}.Odd", "period": "3h"})
    assert why == [""]
    at = np.flatnonzero(cell.steps()["action"] == "retrain")
    assert np.diff(at).tolist() == [6, 12, 24]
    assert planted.Sociable.passes == [4], "none was trained in vain, none too late"


def test_whoever_meets_a_champion_or_looks_at_errors_waits_for_it() -> None:
    from forecast.spec import from_spec

    assert all(by_clock(from_spec(spec)) for spec in (NEVER, ALWAYS, every("5h")))
    assert not by_clock(from_spec(on_drift()))
    assert not by_clock(Challenged())
    assert isinstance(Challenged(), Policy)


def test_costs_of_one_pass_are_told_of_the_policies_that_have_it() -> None:
    from pipelines.backtest import about

    plain = Contestant("a", CHANCY, {}, {"model": "a"})
    walks = [
        Contestant(f"b.{name}", CHANCY, {}, {"model": "b", "policy": name}, None, clocked=clocked)
        for name, clocked in (("never", True), ("weekly", True), ("drift", False))
    ]
    said = about.by_clock([plain, *walks])
    assert "(never, weekly)" in said
    assert "pays each fit by itself" in said
    assert about.by_clock([plain, walks[2]]) == ""
