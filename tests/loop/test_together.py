"""A fleet trained together decides, forecasts and pays as one trained one by one; what fails in company fails alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from forecast.panel import Panel
from forecast.policy import Always
from forecast.schema import Variable
from models.persistence import Persistence
from pipelines.executors import Pool, Serial
from pipelines.fleet import Fleet, Nowcaster
from pipelines.retrain import bundles
from pipelines.tick import tick
from pipelines.training import TrainingJob, train, train_together
from tests.loop.planted import Sociable
from tests.loop.test_tick import LEVEL, on_drift, records, run
from tests.loop.world import FIRST, HOUR, PERSISTENCE, TASK, World, crew, fleet, member, slots, weather

SOCIABLE = {"_target_": "tests.loop.planted.Sociable"}
NUMBERS = ["point", "q0.1", "q0.5", "q0.9"]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    Sociable.passes.clear()
    yield
    Sociable.passes.clear()


def members(model: dict) -> list[Nowcaster]:
    return [member(f"m{k}", Always() if k < 3 else on_drift(max_age="4h"), model) for k in range(5)]


def close(one: Fleet, other: Fleet) -> None:
    """The same decisions and versions, and forecasts and losses to 1e-4."""
    for table in ("forecasts", "decisions"):
        mine, theirs = (loop.edges.store.records(table) for loop in (one, other))
        numbers = [c for c, kind in mine.schema.items() if kind == pl.Float64]
        assert mine.drop(numbers).equals(theirs.drop(numbers)), table
        for name in numbers:
            np.testing.assert_allclose(mine[name].to_numpy(), theirs[name].to_numpy(), rtol=1e-4, atol=1e-4)


def test_a_fleet_trained_together_is_one_trained_one_by_one(tmp_path) -> None:
    together, alone = crew(tmp_path / "a", members(SOCIABLE)), crew(tmp_path / "b", members(LEVEL))
    for loop in (together, alone):
        run(loop, 9)
    close(together, alone)
    assert Sociable.passes[0] == 5  # the first slot trains all of them in one pass
    assert max(Sociable.passes[2:]) > 3  # and later challengers go with those that take over unchallenged
    outcomes = records(together, "decisions")[0]["outcome"].drop_nulls()
    assert "the challenger does not beat the champion" in set(outcomes) or len(set(outcomes)) > 1


@pytest.mark.slow
def test_with_a_pool_the_group_is_divided_over_the_workers(tmp_path) -> None:
    pool = Pool(2)
    divided, alone = crew(tmp_path / "a", members(SOCIABLE), executor=pool), crew(tmp_path / "b", members(LEVEL))
    try:
        for loop in (divided, alone):
            run(loop, 5)
    finally:
        pool.close()
    close(divided, alone)


def job(name: str, spec: dict, rows: int = 200, **more) -> TrainingJob:
    panel = _panel().tail(rows)
    return TrainingJob(name, spec, ("forecast", "models", "tests.loop"), panel, TASK, _folder(name), **more)


def _panel() -> Panel:
    frame = World(weather(holes=False, revised=False)).poll({}, FIRST).frame
    return Panel.from_frame(frame, HOUR, TASK.names)


def _folder(name: str):
    from pathlib import Path
    from tempfile import gettempdir

    return Path(gettempdir()) / "never_written" / name


def test_bundles_are_equal_parts_of_alike_jobs() -> None:
    alike, others = [job(f"a{k}", SOCIABLE) for k in range(7)], [job(f"b{k}", LEVEL) for k in range(3)]
    short = [job(f"c{k}", {**SOCIABLE, "seed": k}, rows=100) for k in range(2)]
    made = bundles([*alike, *others, *short], 2)
    assert sorted(len(part) for part in made) == [1, 1, 1, 1, 1, 3, 4]
    assert {len({j.rows for j in part}) for part in made} == {1}
    assert sorted(j.nowcaster for part in made for j in part) == sorted(j.nowcaster for j in [*alike, *others, *short])
    assert [len(part) for part in bundles(alike, 1)] == [7]
    assert [len(part) for part in bundles(alike[:1], 2)] == [1]
    assert [len(part) for part in made] == sorted((len(part) for part in made), reverse=True)


def test_models_that_differ_in_more_than_the_seed_are_apart() -> None:
    jobs = [job("a", {**SOCIABLE, "seed": 1}), job("b", {**SOCIABLE, "seed": 2}), job("c", {**SOCIABLE, "breaks": "X"})]
    assert sorted(sorted(j.nowcaster for j in part) for part in bundles(jobs, 1)) == [["a", "b"], ["c"]]


def test_the_culprit_fails_alone(tmp_path) -> None:
    """One that breaks the common pass, one that is too short, one that is no model: the others are as without them."""
    good = [replace(job(f"g{k}", SOCIABLE), folder=tmp_path / f"g{k}") for k in range(2)]
    bad = replace(job("bad", {**SOCIABLE, "breaks": "KeyError"}), folder=tmp_path / "bad")
    short = replace(job("short", SOCIABLE, rows=4), folder=tmp_path / "short")
    nothing = replace(job("nothing", {"_target_": "tests.loop.planted.Nothing"}), folder=tmp_path / "nothing")
    done = {o.nowcaster: o for o in train_together([good[0], bad, short, nothing, good[1]]).outcomes}
    assert [name for name, outcome in done.items() if outcome.failed] == ["bad", "short", "nothing"]
    assert done["bad"].why.startswith("KeyError: 'planted' (planted.py, line ")
    assert "needs at least" in done["short"].why
    assert "Nothing" in done["nothing"].why
    assert done["g0"].promoted
    assert (tmp_path / "g1" / "manifest.json").exists()
    assert not (tmp_path / "bad").exists()
    assert replace(train(good[0]), why="") == replace(done["g0"], why="")


def test_a_pass_is_charged_in_proportion_to_rows(tmp_path) -> None:
    """Three take part: of 200, 100 and 50 rows; the meter knows nothing else to tell them apart."""
    sizes = {"a": 200, "b": 100, "c": 50}
    jobs = [replace(job(name, SOCIABLE, rows), folder=tmp_path / name) for name, rows in sizes.items()]
    ticks = iter(range(10_000))
    import forecast.meter as metering
    from pipelines import training

    real = training.Meter
    training.Meter = lambda: real(lambda: metering.Reading(float(next(ticks)), 0.0, 0.0, 0.0))  # type: ignore[misc, assignment]
    try:
        record = train_together(jobs).record
    finally:
        training.Meter = real  # type: ignore[misc]
    spent = {row["owner"]: row["cpu_s"] for row in record["charges"] if row["phase"] == "fit"}
    assert spent["a"] - 1 == pytest.approx(200 / 350)  # one tick each to begin with, one tick of the pass shared
    assert spent["b"] - 1 == pytest.approx(100 / 350)
    assert spent["c"] - 1 == pytest.approx(50 / 350)


@pytest.mark.slow
def test_a_worker_that_dies_in_company_fails_alone(tmp_path) -> None:
    """A bundle whose process is killed is done again one by one, so that it breaks for the culprit alone."""
    pool = Pool(2)
    deadly = {"_target_": "tests.loop.planted.Deadly"}
    loop = crew(tmp_path, [*members(SOCIABLE), member("bad", Always(), deadly)], executor=pool)
    try:
        (done,) = run(loop, 1)
    finally:
        pool.close()
    assert done.failed == ["bad"]
    assert set(done.forecasts["nowcaster"]) == {f"m{k}" for k in range(5)}


def test_all_cpu_is_charged(tmp_path) -> None:
    """What the passes cost is the nowcasters', not overhead, and adds up to no more than the process used."""
    loop = crew(tmp_path, members(SOCIABLE), executor=Serial())
    for slot in slots(3):
        tick(loop, slot)
    table = loop.meter.table()
    fits = table.filter(pl.col("phase") == "fit")
    assert set(fits["owner"]) == {f"m{k}" for k in range(5)}
    assert fits["cpu_s"].min() > 0  # type: ignore[operator]
    assert table.filter(pl.col("cpu_s") < 0).is_empty() or table["cpu_s"].min() > -0.05  # type: ignore[operator]


def test_old_folders_go_and_champions_stay(tmp_path) -> None:
    """Of a nowcaster that retrains each slot the newest three stay; of one whose champion stands, the champion too."""
    loop = crew(tmp_path, [member("always", Always()), member("drift", on_drift(max_age="4h"), LEVEL)])
    run(loop, 7)
    kept = sorted(p.name for p in (tmp_path / "models" / "always").iterdir())
    assert kept == [f"{slot:%Y%m%dT%H%M}" for slot in slots(7)[-3:]]
    assert (tmp_path / "models" / "drift" / loop.state.of("drift").version).is_dir()
    loop.settings = replace(loop.settings, keep_models=0)
    run(loop, 9, first=7)
    assert len(list((tmp_path / "models" / "always").iterdir())) == 5


def test_pruning_never_touches_what_it_did_not_write(tmp_path) -> None:
    loop = fleet(tmp_path)
    mine = tmp_path / "models" / "always" / "mine"
    mine.mkdir(parents=True)
    run(loop, 5)
    assert mine.is_dir()
    assert len(list((tmp_path / "models" / "always").iterdir())) == 4


def test_a_champion_that_fails_on_the_check_rows_has_to_go(tmp_path) -> None:
    """It wants a variable that is gone; were the training to fail with it, the nowcaster could never forecast again."""
    panel, gone = _panel(), Variable("gone")
    wider = replace(
        panel, values=np.append(panel.values, panel.values[..., :1], -1), variables=(*panel.variables, "gone")
    )
    Persistence().fit(wider, replace(TASK, past=(gone,))).save(tmp_path / "old")
    asked = replace(job("m", PERSISTENCE), folder=tmp_path / "new", champion=tmp_path / "old", check_rows=8)
    outcome = train(asked)
    assert outcome.promoted
    assert "fails on the check rows: UnknownNameError" in outcome.why
    assert outcome.challenger_loss > 0
    assert np.isnan(outcome.champion_loss)


def test_a_reducer_that_keeps_no_row_is_told_as_a_short_history(tmp_path) -> None:
    asked = job("m", SOCIABLE)
    nothing = replace(asked, panel=asked.panel.with_keep(np.zeros(len(asked.panel.times), bool)))
    assert "ShortHistoryError" in train(nothing).why
