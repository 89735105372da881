"""The summary of a run against a slow witness that reads the recorded rows one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from forecast.policy import Always, Never
from forecast.reduce import Last
from pipelines.compare import render
from pipelines.curves import log_curves
from pipelines.fleet import OVERHEAD, Fleet, Nowcaster
from pipelines.stores.memory import MemoryStore
from pipelines.summary import summarise
from pipelines.tick import tick
from tests.loop.test_tick import LEVEL, fragile, on_drift
from tests.loop.world import FIRST, HOUR, PERSISTENCE, TASK, VARIABLES, crew, member, slots, weather

TARGETS = TASK.target_names
Row = dict[str, Any]


def labelled(made: Nowcaster, model: str, reducer: str, policy: str) -> Nowcaster:
    return replace(made, labels={"model": model, "reducer": reducer, "policy": policy})


def members() -> list[Nowcaster]:
    """A baseline; a reference and a rival; one that has none and falls silent; one whose reference never forecasts."""
    return [
        labelled(member("persistence", Never()), "persistence", "full", "never"),
        labelled(member("level.full.always", Always(), LEVEL), "level", "full", "always"),
        labelled(member("level.last.on_drift", on_drift(), LEVEL, Last(100)), "level", "last", "on_drift"),
        labelled(member("alone", Never(), fragile("predict", 5)), "alone", "last", "never"),
        labelled(member("broken.full.always", Always(), fragile("predict", -99)), "broken", "full", "always"),
        labelled(member("broken.full.never", Never(), PERSISTENCE), "broken", "full", "never"),
    ]


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Fleet:
    silent = (pl.col("series") == "JFK") & (pl.col("time") >= FIRST + 6 * HOUR)
    loop = crew(tmp_path_factory.mktemp("summary"), members(), weather().filter(~silent))
    for slot in slots(12):
        tick(loop, slot)
    return loop


def key(row: Row) -> tuple:
    return row["series"], row["variable"], row["origin"], row["lead"]


def errors(loop: Fleet, name: str, target: str) -> dict[tuple, float]:
    rows = loop.edges.store.records("settled").iter_rows(named=True)
    return {key(r): abs(r["point"] - r["truth"]) for r in rows if (r["nowcaster"], r["variable"]) == (name, target)}


def mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


def on_pairs(loop: Fleet, name: str, other: str, target: str) -> tuple[float, float]:
    mine, theirs = errors(loop, name, target), errors(loop, other, target)
    both = [k for k in mine if k in theirs]
    return mean([mine[k] for k in both]), mean([theirs[k] for k in both])


def spent(loop: Fleet, name: str) -> float:
    return sum(r["cpu_s"] for r in loop.edges.store.records("costs").iter_rows(named=True) if r["nowcaster"] == name)


def row_of(loop: Fleet, name: str) -> Row:
    return summarise(loop).row(by_predicate=pl.col("nowcaster") == name, named=True)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["persistence", "level.full.always", "level.last.on_drift", "alone"])
def test_errors_and_skill(ran, name, target) -> None:
    row, (mine, theirs) = row_of(ran, name), on_pairs(ran, name, "persistence", target)
    assert row[f"mae/{target}"] == pytest.approx(mean(list(errors(ran, name, target).values())))
    assert row[f"skill/{target}"] == pytest.approx(1 - mine / theirs, abs=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_coverage_counts_truths_inside(ran, target) -> None:
    rows = ran.edges.store.records("settled").filter(nowcaster="persistence", variable=target).to_dicts()
    inside = [r["q0.1"] <= r["truth"] <= r["q0.9"] for r in rows]
    assert row_of(ran, "persistence")[f"coverage80/{target}"] == pytest.approx(mean(inside))


@pytest.mark.parametrize(
    ("levels", "told"), [((0.05, 0.25, 0.5, 0.75, 0.95), "90"), ((0.25, 0.5, 0.75), "50"), ((0.5,), "")]
)
def test_coverage_is_named_by_the_interval_there_is(tmp_path, levels, told) -> None:
    loop = crew(tmp_path, members()[:1], task=replace(TASK, levels=levels))
    for slot in slots(5):
        tick(loop, slot)
    table = summarise(loop)
    expected = [f"coverage{told}/{target}" for target in TARGETS] if told else []
    assert [c for c in table.columns if c.startswith("coverage")] == expected
    log_curves(loop)
    logged = {key for _, metrics, _ in loop.edges.tracker.logged for key in metrics}
    labels = {key.split("/")[1] for key in logged if key.startswith("lead/")}
    assert labels == {"mae", "crps", *([f"coverage{told}", f"width{told}"] if told else [])}
    drawn = Console(width=200, record=True)
    drawn.print(render(table))
    assert ("in " + told + " %" in drawn.export_text()) is bool(told)


def test_cost_error_and_their_ratio(ran) -> None:
    name, reference = "level.last.on_drift", "level.full.always"
    row, cost = row_of(ran, name), spent(ran, name) / spent(ran, reference)
    error = mean([mine / theirs for mine, theirs in (on_pairs(ran, name, reference, t) for t in TARGETS)])
    assert row["cpu_s"] == pytest.approx(spent(ran, name))
    assert row["dC"] == pytest.approx(100 * (cost - 1))
    assert row["dE"] == pytest.approx(100 * (error - 1))
    assert row["ENC"] == pytest.approx(cost * error)


def test_the_reference_is_its_own_measure(ran) -> None:
    row = row_of(ran, "level.full.always")
    assert (row["dC"], row["dE"], row["ENC"]) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("name", ["persistence", "alone", "broken.full.always", "broken.full.never"])
def test_without_a_reference_that_forecasts_there_is_no_ratio(ran, name) -> None:
    row = row_of(ran, name)
    assert (row["dC"], row["dE"], row["ENC"]) == (None, None, None)


def test_trainings_are_counted(ran) -> None:
    decisions = ran.edges.store.records("decisions").filter(nowcaster="level.last.on_drift").to_dicts()
    trained = [r for r in decisions if r["action"] == "retrain"]
    row = row_of(ran, "level.last.on_drift")
    assert (row["retrains"], row["promotions"]) == (len(trained), sum(r["promoted"] for r in trained))
    assert row["rows"] == mean([r["rows"] for r in trained]) == 100
    assert row["slots"] == 12
    assert row_of(ran, "level.full.always")["retrains"] == 12


def test_overhead_is_nobodys(ran) -> None:
    table = summarise(ran)
    assert table["nowcaster"].to_list() == [m.name for m in members()]
    assert spent(ran, OVERHEAD) > 0


def test_no_pair_in_common_is_no_number(tmp_path) -> None:
    """Two nowcasters whose forecasts never answer the same question cannot be compared."""
    store = MemoryStore(VARIABLES)
    made = [
        labelled(member("a", Always(), LEVEL), "m", "full", "always"),
        labelled(member("b", Never(), LEVEL), "m", "full", "never"),
    ]
    loop = crew(tmp_path, made, store=store)
    for slot in slots(5):
        tick(loop, slot)
    settled = store.records("settled")
    apart = settled.filter((pl.col("nowcaster") == "a") == (pl.col("lead") == 1))
    store._tables["settled"] = [apart]
    row = row_of(loop, "b")
    assert (row["dE"], row["ENC"]) == (None, None)
    assert row["dC"] is not None


def test_nothing_settled_is_an_empty_table(tmp_path) -> None:
    loop = crew(tmp_path, members())
    assert summarise(loop).is_empty()
    tick(loop, FIRST)
    assert summarise(loop).is_empty()


def test_figures_do_not_depend_on_the_order_of_rows(ran) -> None:
    store = ran.edges.store
    before = summarise(ran)
    kept = store._tables["settled"]
    rng = np.random.default_rng(0)
    rows = store.records("settled")
    store._tables["settled"] = [rows[rng.permutation(rows.height)]]
    try:
        assert summarise(ran).equals(before)
    finally:
        store._tables["settled"] = kept
