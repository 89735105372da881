"""The loop under bad models, bad data and crashes: what fails fails alone, what is not known is null, nothing leaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from forecast.detect import Ratio
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.frame import canonical
from forecast.panel import Panel
from forecast.policy import Action, Always, Decision, Every, Limits, Never, OnDrift, Policy, Situation
from forecast.reduce import VarianceHorizon
from forecast.schema import Task, Variable
from models.persistence import Persistence
from pipelines.executors import Pool
from pipelines.fleet import Fleet
from pipelines.protocols import Batch, NullTracker
from pipelines.slot import Slot
from pipelines.state import load_state
from pipelines.stores.memory import MemoryStore
from pipelines.tick import tick
from pipelines.training import TrainingJob, backtest_errors, scaled_loss, train
from tests.loop.planted import Refusing
from tests.loop.world import (
    FIRST,
    HOUR,
    PERSISTENCE,
    TASK,
    VARIABLES,
    World,
    crew,
    everything,
    fleet,
    member,
    slots,
    weather,
)

LEVEL = {"_target_": "tests.loop.planted.Level"}
TABLES = ("forecasts", "settled", "decisions")


def fragile(step: str, hour: int, error: str = "KeyError") -> dict:
    since = f"{FIRST + hour * HOUR:%Y-%m-%dT%H:%M}"
    return {"_target_": "tests.loop.planted.Fragile", "step": step, "since": since, "error": error}


def on_drift(source: str = "live", max_age: str = "12h", check_window: int = 8) -> OnDrift:
    return OnDrift(Ratio(0.05, 6, 3), check_window, source, Limits("3h", max_age, 3))  # type: ignore[arg-type]


def run(loop: Fleet, count: int, first: int = 0) -> list[Slot]:
    done = [tick(loop, slot) for slot in slots(count)[first:]]
    assert None not in done
    return done  # type: ignore[return-value]


def of(table: pl.DataFrame, name: str) -> pl.DataFrame:
    return table.filter(pl.col("nowcaster") == name)


def records(loop: Fleet, *tables: str) -> list[pl.DataFrame]:
    return [loop.edges.store.records(table) for table in tables]


def same_tables(one: Fleet, other: Fleet, name: str | None = None) -> None:
    for table, mine, theirs in zip(TABLES, records(one, *TABLES), records(other, *TABLES), strict=True):
        pair = (of(mine, name), of(theirs, name)) if name else (mine, theirs)
        assert pair[0].equals(pair[1]), table


# ---- what fails fails alone


@pytest.mark.parametrize("error", ["KeyError", "ValueError", "TypeError", "MemoryError", "AssertionError"])
def test_a_failing_training_leaves_its_champion_running(tmp_path, error) -> None:
    loop = crew(tmp_path / "a", [member("good", Always()), member("bad", Always(), fragile("fit", 2, error))])
    alone = crew(tmp_path / "b", [member("good", Always())])
    done = run(loop, 5)
    run(alone, 5)
    assert [slot.failed for slot in done] == [[], [], ["bad"], ["bad"], ["bad"]]
    decisions, forecasts = (of(table, "bad") for table in records(loop, "decisions", "forecasts"))
    assert decisions["promoted"].to_list() == [True, True, False, False, False]
    assert all(f"{error}: " in why and "planted.py, line " in why for why in decisions["outcome"][2:])
    assert decisions["version"].n_unique() == 2
    assert forecasts.group_by("slot").len()["len"].to_list() == [12] * 5
    assert forecasts.filter(pl.col("slot") >= FIRST + HOUR)["version"].n_unique() == 1
    assert (loop.state.of("bad").failures, loop.state.of("bad").retrains) == (3, 5)
    same_tables(loop, alone, "good")


def test_a_failing_forecast_ends_the_slot_for_nobody_else(tmp_path) -> None:
    loop = crew(tmp_path / "a", [member("bad", Never(), fragile("predict", 2)), member("good", Always())])
    alone = crew(tmp_path / "b", [member("good", Always())])
    done = run(loop, 4)
    run(alone, 4)
    assert [slot.failed for slot in done] == [[], [], ["bad"], ["bad"]]
    decisions, forecasts = (of(table, "bad") for table in records(loop, "decisions", "forecasts"))
    assert "forecast: KeyError: 'planted'" in decisions["outcome"][2]
    assert forecasts["slot"].unique().sort().to_list() == slots(2)
    assert "forecast: KeyError" in load_state(tmp_path / "a").of("bad").last["outcome"]
    same_tables(loop, alone, "good")


def test_a_model_that_fails_its_first_training_is_tried_again_with_back_off(tmp_path) -> None:
    loop = crew(tmp_path, [member("bad", on_drift(), fragile("fit", -99)), member("good", Never())])
    done = run(loop, 10)
    assert [slot.slot for slot in done if slot.failed] == [slots(10)[k] for k in (0, 3, 9)]
    assert set(records(loop, "forecasts")[0]["nowcaster"]) == {"good"}


def test_a_damaged_champion_is_told_and_replaced(tmp_path) -> None:
    store = MemoryStore(VARIABLES)
    members = lambda: [member("drift", on_drift(max_age="4h")), member("good", Never())]  # noqa: E731
    run(crew(tmp_path, members(), store=store), 2)
    for file in (tmp_path / "models" / "drift").rglob("*.safetensors"):
        file.write_bytes(b"damaged")
    done = run(crew(tmp_path, members(), store=store), 6, first=2)
    assert [slot.failed for slot in done] == [["drift"], [], [], []]
    assert "CorruptModelError" in done[0].faults["drift"]
    assert done[0].outcomes["drift"].why == "first model"
    for name in ("drift", "good"):
        assert of(store.records("forecasts"), name)["slot"].n_unique() == 6


@pytest.mark.parametrize("policy", [Never, Always, lambda: Every("7d"), lambda: on_drift(max_age="7d")])
def test_a_nowcaster_with_a_damaged_champion_forecasts_in_every_slot(tmp_path, policy) -> None:
    store = MemoryStore(VARIABLES)
    run(crew(tmp_path, [member("m", policy())], store=store), 1)
    for file in (tmp_path / "models" / "m").rglob("*.safetensors"):
        file.unlink()
    done = run(crew(tmp_path, [member("m", policy())], store=store), 6, first=1)
    assert done[0].decisions["m"].why == "no model yet"
    assert [slot.forecasts.height for slot in done] == [12] * 5


def test_a_failing_reducer_fails_for_its_users_alone(tmp_path) -> None:
    shared = Refusing()
    users = [member("a", Always(), reducer=shared), member("b", Always(), reducer=shared)]
    (done,) = run(crew(tmp_path, [*users, member("good", Always())]), 1)
    assert done.failed == ["a", "b"]
    assert "ZeroDivisionError: planted" in done.outcomes["a"].why
    assert set(done.forecasts["nowcaster"]) == {"good"}


@pytest.mark.slow
def test_a_worker_that_dies_fails_its_own_training_alone(tmp_path) -> None:
    pool, deadly = Pool(1), {"_target_": "tests.loop.planted.Deadly"}
    loop = crew(tmp_path, [member("good", Always()), member("bad", Always(), deadly)], executor=pool)
    try:
        (done,) = run(loop, 1)
    finally:
        pool.close()
    assert done.failed == ["bad"]
    assert "BrokenProcessPool" in done.outcomes["bad"].why
    assert set(done.forecasts["nowcaster"]) == {"good"}


def test_names_are_unique(tmp_path) -> None:
    for names in (["a", "a"], ["overhead"]):
        with pytest.raises(SchemaError, match=names[0]):
            crew(tmp_path, [member(name, Never()) for name in names])


# ---- what is not known is null


def statuses(done: list[Slot], series: str) -> list[str]:
    rows = [slot.forecasts.filter(pl.col("series") == series) for slot in done]
    for frame in rows:
        assert frame["status"].n_unique() == 1
        for column in ("point", "q0.1", "q0.5", "q0.9"):
            assert frame[column].is_not_null().all() if frame["status"][0] == "ok" else frame[column].is_null().all()
    return [frame["status"][0] for frame in rows]


def test_a_silent_series_becomes_stale_then_missing_and_comes_back(tmp_path) -> None:
    silent = (pl.col("series") == "JFK") & pl.col("time").is_between(FIRST + HOUR, FIRST + 5 * HOUR)
    frame = weather(holes=False)
    done = run(crew(tmp_path / "a", [member("m", Never())], frame.filter(~silent)), 10)
    alone = run(crew(tmp_path / "b", [member("m", Never())], frame), 10)
    # last value at hour 0, patience 2 rows, context 4 rows
    assert statuses(done, "JFK") == ["ok", "ok", "ok", "stale", "missing", "missing", "missing", "ok", "ok", "ok"]
    assert statuses(done, "EWR") == ["ok"] * 10
    for mine, theirs in zip(done, alone, strict=True):
        pair = [slot.forecasts.filter(pl.col("series") == "EWR") for slot in (mine, theirs)]
        assert pair[0].equals(pair[1])


def test_all_series_silent_is_no_crash(tmp_path) -> None:
    silent = pl.col("time").is_between(FIRST + HOUR, FIRST + 6 * HOUR)
    loop = crew(
        tmp_path, [member("a", Always()), member("d", on_drift("holdout"))], weather(holes=False).filter(~silent)
    )
    done = run(loop, 12)
    assert statuses(done[4:7], "JFK") == ["missing"] * 3
    assert statuses(done[8:], "JFK") == ["ok"] * 4
    assert not any(slot.failed for slot in done)


def test_a_fleet_that_starts_with_no_data(tmp_path) -> None:
    members = [member("always", Always(), reducer=VarianceHorizon(test_size=20)), member("drift", on_drift())]
    loop = crew(tmp_path, members, weather(holes=False).filter(pl.col("time") > FIRST + 2 * HOUR))
    done = run(loop, 22)
    assert [slot.forecasts.height for slot in done[:3]] == [0, 0, 0]
    assert done[0].failed == ["always", "drift"]
    assert set(done[-1].forecasts["nowcaster"]) == {"always", "drift"}
    assert statuses(done[-1:], "JFK") == ["ok"]
    assert done[-1].failed == []


def test_an_input_that_is_mostly_or_all_missing(tmp_path) -> None:
    pressure, gone = Variable("pressure", "hPa", 800, 1100), Variable("gone")
    task = Task(VARIABLES, horizon=3, context=4, past=(pressure, gone))
    rng, frame = np.random.default_rng(0), weather()
    known = pl.Series(np.where(rng.random(frame.height) < 0.6, rng.normal(1013, 5, frame.height), np.nan)).fill_nan(
        None
    )
    frame = canonical(frame.with_columns(pressure=known, gone=pl.lit(None, pl.Float64)), task.variables)
    loop = crew(tmp_path, [member("a", Always(), reducer=VarianceHorizon(test_size=60))], frame, task=task)
    done = run(loop, 3)
    assert not any(slot.failed for slot in done)
    assert set(done[-1].forecasts["variable"]) == {"temperature", "wind"}
    assert done[-1].forecasts["point"].is_not_null().all()


def test_a_series_that_appears_in_mid_run(tmp_path) -> None:
    frame = weather(holes=False)
    late = frame.filter((pl.col("series") == "EWR") & (pl.col("time") >= FIRST + 3 * HOUR))
    frame = pl.concat([frame, late.with_columns(series=pl.lit("LGA"))])
    done = run(crew(tmp_path, [member("a", Always()), member("once", Never())], frame), 8)
    assert [slot.forecasts["series"].n_unique() for slot in done] == [2, 2, 2, 3, 3, 3, 3, 3]
    assert statuses(done[3:], "LGA") == ["missing", "ok", "ok", "ok", "ok"]  # half of the context must be known
    assert set(done[-1].matured["series"]) == {"EWR", "JFK", "LGA"}


def test_a_series_whose_first_slot_was_cut_short_is_not_forgotten(tmp_path) -> None:
    """It came in a slot that crashed and was never repeated, since the next slot was due already."""
    frame = weather(holes=False)
    once = frame.filter((pl.col("series") == "EWR") & pl.col("time").is_between(FIRST - 3 * HOUR, FIRST + 2 * HOUR))
    seen = pl.lit(FIRST + 2.5 * HOUR).alias("seen")
    frame = pl.concat([frame, once.unique("time").with_columns(seen, series=pl.lit("LGA"))])
    store = MemoryStore(VARIABLES)

    def probe(step: str) -> None:
        if step == "append" and store.read(series=["LGA"]).height:
            raise Crash

    run(crew(tmp_path, [member("a", Never())], frame, store=store), 2)
    with pytest.raises(Crash):
        tick(crew(tmp_path, [member("a", Never())], frame, store=store, probe=probe), slots(3)[2])
    done = tick(crew(tmp_path, [member("a", Never())], frame, store=store), slots(4)[3])
    assert done is not None
    assert "LGA" in set(done.forecasts["series"])


def test_hours_that_were_missed(tmp_path) -> None:
    """After 30 hours without a slot the loop goes on; rows that matured meanwhile settle, older ones are given up."""
    loop = crew(tmp_path, [member("a", Always()), member("d", on_drift())])
    run(loop, 4)
    done = tick(loop, FIRST + 33 * HOUR)
    assert done is not None
    assert not done.failed
    assert set(done.forecasts["nowcaster"]) == {"a", "d"}
    assert done.matured.height > 0


def test_what_a_source_rejects_is_recorded_once(tmp_path) -> None:
    class Fussy(World):
        def poll(self, positions, until):
            batch = super().poll(positions, until)
            fresh = batch.frame.filter(pl.col("series") == "EWR")
            thrown = fresh.select(
                "series", "time", "seen", variable=pl.lit("wind"), value=pl.lit("x"), reason=pl.lit("no")
            )
            return Batch(batch.frame.filter(pl.col("series") != "EWR"), batch.positions, thrown)

    frame = weather().filter((pl.col("series") == "EWR") | (pl.col("time") < FIRST))  # later batches hold no good row
    loop = crew(tmp_path, [member("a", Never())], source=Fussy(frame))
    run(loop, 4)
    rejected = records(loop, "rejected")[0]
    assert rejected.height == rejected.unique(["time", "seen"]).height
    assert rejected.height == frame.filter((pl.col("series") == "EWR") & (pl.col("seen") <= FIRST + 4 * HOUR)).height


def test_a_store_may_know_variables_that_a_source_does_not_report(tmp_path) -> None:
    """They are null; a variable of the task that is not reported is told."""
    cloud = Variable("cloud", "okta", 0, 8)
    wide, plain = MemoryStore((*VARIABLES, cloud)), MemoryStore(VARIABLES)
    loops = [crew(tmp_path / f"{k}", [member("a", Never())], store=store) for k, store in enumerate((wide, plain))]
    for loop in loops:
        run(loop, 3)
    same_tables(*loops)
    assert wide.read()["cloud"].null_count() == wide.read().height > 0
    asking = crew(tmp_path / "c", [member("a", Never())], store=MemoryStore((*VARIABLES, cloud)),
                  task=Task(VARIABLES, horizon=3, context=4, past=(cloud,)))  # fmt: skip
    with pytest.raises(UnknownNameError, match="cloud"):
        tick(asking, FIRST)


def test_rows_off_the_grid_are_rejected_and_the_fleet_goes_on(tmp_path) -> None:
    frame = weather()
    special = frame.filter((pl.col("series") == "EWR") & (pl.col("time") >= FIRST)).with_columns(
        time=pl.col("time") + timedelta(minutes=13)
    )
    loop = crew(tmp_path / "a", [member("m", Always())], canonical(pl.concat([frame, special]), VARIABLES))
    alone = crew(tmp_path / "b", [member("m", Always())], frame)
    done = run(loop, 4)
    run(alone, 4)
    assert not any(slot.failed for slot in done)
    same_tables(loop, alone)
    rejected = records(loop, "rejected")[0]
    assert set(rejected["reason"]) == {"off the 1h grid"}
    assert set(rejected["variable"]) == {"temperature", "wind"}
    assert set(rejected["time"].dt.minute()) == {13}


# ---- champion and challenger


def by_hand(model: Forecaster, frame: pl.DataFrame, now, after) -> dict[tuple, float]:
    """Errors of a saved `Level` by (series, variable, origin, lead), one by one."""
    found = {}
    known = frame.filter(pl.col("seen") <= now + HOUR).sort("seen").group_by("series", "time").last()
    for row in known.filter((pl.col("time") > after) & (pl.col("time") <= now)).iter_rows(named=True):
        for lead in (1, 2, 3):
            for c, variable in enumerate(TASK.target_names):
                if row[variable] is not None:
                    key = (row["series"], variable, row["time"] - lead * HOUR, lead)
                    found[key] = float(model.level_[c]) - row[variable]  # type: ignore[attr-defined]
    return found


def mean_loss(errors: dict[tuple, float], scale: np.ndarray) -> float:
    groups = [[abs(e) for key, e in errors.items() if key[1] == name] for name in TASK.target_names]
    return float(np.mean([np.mean(group) / s for group, s in zip(groups, scale, strict=True)]))


@pytest.mark.parametrize("ending", ["promoted", "refused"])
def test_champion_and_challenger_meet_on_identical_pairs(tmp_path, ending) -> None:
    """Both losses, and L_ref of the winner in its own scale, computed by hand from the recorded rows."""
    frame, window = weather(holes=False, revised=False), 4
    if ending == "promoted":  # it has become windy, and stays so until the check window begins
        odd = pl.col("time").is_between(FIRST - 23 * HOUR, FIRST + 6 * HOUR - window * HOUR)
        frame = frame.with_columns(pl.when(odd).then(pl.col("wind") + 9).otherwise(pl.col("wind")).alias("wind"))
    limits = Limits("1h", "6h", 1)
    policy = OnDrift(Ratio(9.0, 6, 3), window, limits=limits)
    loop = crew(tmp_path, [member("m", policy, LEVEL)], frame)
    done = run(loop, 7)
    outcome, now = done[6].outcomes["m"], FIRST + 6 * HOUR
    start = now - window * HOUR
    champion = Forecaster.load(loop.model_folder("m", f"{FIRST:%Y%m%dT%H%M}"), loop.settings.allowed)
    history = frame.filter((pl.col("time") <= start) & (pl.col("time") > now - 250 * HOUR))
    spread = history.group_by("series").agg(pl.col(TASK.target_names).std(ddof=0))
    scale = spread.select(pl.col(TASK.target_names).mean()).row(0)
    newest = history.filter(pl.col("time") > start - 24 * HOUR).select(pl.col(TASK.target_names).mean()).row(0)
    challenger = Forecaster.load(loop.model_folder("m", f"{FIRST:%Y%m%dT%H%M}"), loop.settings.allowed)
    challenger.level_ = np.array(newest)  # type: ignore[attr-defined]
    settled = records(loop, "settled")[0].filter(pl.col("time") > start)
    issued = {tuple(r[k] for k in ("series", "variable", "origin", "lead")): r["error"] for r in settled.to_dicts()}
    theirs, mine = by_hand(champion, frame, now, start), by_hand(challenger, frame, now, start)
    pairs = issued.keys() & mine.keys()
    assert len(pairs) == 2 * 2 * 3 * window
    assert max(abs(theirs[key] - issued[key]) for key in pairs) < 1e-9
    losses = [mean_loss({key: errors[key] for key in pairs}, np.array(scale)) for errors in (mine, issued)]
    assert [outcome.challenger_loss, outcome.champion_loss] == pytest.approx(losses, rel=1e-9)
    assert outcome.promoted == (losses[0] < losses[1]) == (ending == "promoted")
    winner = loop.model("m")
    assert winner is not None
    assert outcome.reference == pytest.approx(mean_loss(mine if outcome.promoted else issued, winner.scale_), rel=1e-9)


class Clockwork(Policy):
    """Retrains at the hours it is given, against a champion, and remembers the errors it is told."""

    challenges = True
    check_window = 3

    def __init__(self, hours: tuple[int, ...], source: str = "live") -> None:
        self.hours, self.source, self.errors = hours, source, []

    def _decide(self, now: Situation) -> Decision:
        self.errors.append(now.error)
        due = (now.slot - FIRST) / HOUR in self.hours
        return Decision(Action.RETRAIN if due else Action.KEEP, "by the clock")


def rising() -> pl.DataFrame:
    """Values that rise from hour to hour: of two `Level` models the younger one is always better."""
    frame, hours = weather(holes=False, revised=False), (pl.col("time") - FIRST).dt.total_hours()
    return frame.with_columns(wind=30 + hours / 20 + hours % 5 / 100, temperature=hours / 20)


def test_rows_of_a_predecessor_are_not_the_champions(tmp_path) -> None:
    """Right after a promotion the rows that mature are the old model's: they neither count as error nor defend it."""
    policy = Clockwork((5, 9))
    done = run(crew(tmp_path, [member("m", policy, LEVEL)], rising()), 10)
    assert [slot.outcomes["m"].promoted for slot in (done[0], done[5], done[9])] == [True] * 3
    version = f"{slots(6)[5]:%Y%m%dT%H%M}"
    model = Forecaster.load(tmp_path / "models" / "m" / version, ("forecast", "tests.loop"))

    def loss(rows: pl.DataFrame, scale: np.ndarray) -> float:
        own = rows.filter(pl.col("version") == version)
        assert own.height < rows.height
        errors = {(r["series"], r["variable"], r["origin"], r["lead"]): r["error"] for r in own.to_dicts()}
        return mean_loss(errors, scale)

    assert policy.errors[5] == pytest.approx(loss(done[6].matured, model.scale_))  # of slot 6; slot 0 asks nothing
    in_window = pl.concat([slot.matured for slot in done[7:10]])
    loop = crew(tmp_path, [member("m", Clockwork(()), LEVEL)], rising())
    until = loop.edges.source.poll({}, FIRST + 9 * HOUR).frame  # type: ignore[attr-defined]
    history = until.filter(pl.col("time").is_between(FIRST + (9 - 249) * HOUR, FIRST + 6 * HOUR))
    scale = np.array(history.select(pl.col(TASK.target_names).std(ddof=0)).row(0))
    assert done[9].outcomes["m"].champion_loss == pytest.approx(loss(in_window, scale))


def test_holdout_errors_are_of_the_present_champion_on_rows_new_to_it(tmp_path) -> None:
    frame, policy = weather(holes=False, revised=False), Clockwork((), "holdout")
    loop = crew(tmp_path, [member("m", policy)], frame)
    run(loop, 4)
    model = loop.model("m")
    assert model is not None
    value = {(r["series"], r["time"], v): r[v] for r in frame.to_dicts() for v in TASK.target_names}
    for slot, error in zip(slots(4)[1:], policy.errors, strict=True):
        leads = [k for k in (1, 2, 3) if slot - k * HOUR >= FIRST]  # the model knew the rows up to its own slot
        misses = {
            (s, v, k): value[s, slot - k * HOUR, v] - value[s, slot, v]
            for s in ("EWR", "JFK")
            for v in TASK.target_names
            for k in leads
        }
        assert error == pytest.approx(mean_loss(misses, model.scale_), rel=1e-9)


def test_a_champion_is_not_checked_on_rows_it_was_trained_on(tmp_path) -> None:
    """It forecasts again from its data end on; with no row left, no challenger takes over."""
    panel = Panel.from_frame(weather(holes=False, revised=False), HOUR)
    for new, known in ((8, 8), (3, 3), (0, 0)):
        champion = Persistence().fit(panel.until(panel.end - new * HOUR), TASK)
        champion.save(tmp_path / "champion")
        allowed = ("forecast", "models")
        job = TrainingJob("m", PERSISTENCE, allowed, panel, TASK, tmp_path / "new", tmp_path / "champion", check_rows=8)
        outcome = train(job)
        first = panel.end - known * HOUR
        errors = backtest_errors(champion, panel, panel.end - 8 * HOUR).filter(pl.col("origin") >= first)
        challenger = Persistence().fit(panel.until(panel.end - 8 * HOUR), TASK)
        assert outcome.champion_loss == pytest.approx(scaled_loss(errors, challenger), nan_ok=True)
        assert not outcome.promoted  # persistence never beats persistence
        assert outcome.why.startswith("the challenger does not" if new else "no row to compare")


def test_equal_models_tie_where_rows_come_late(tmp_path) -> None:
    """What the champion issued was made without the newest rows; that is no merit of the challenger."""
    late = weather(holes=False, revised=False).with_columns(seen=pl.col("time") + 2.5 * HOUR)
    policy = OnDrift(Ratio(9.0, 6, 3), 12, limits=Limits("3h", "10h", 3))
    loop = crew(tmp_path, [member("m", policy)], late)
    done = run(loop, 40)
    first, *others = [slot.outcomes["m"] for slot in done if slot.outcomes]
    assert first.promoted
    assert len(others) >= 2
    assert not any(outcome.promoted for outcome in others)
    assert all(outcome.challenger_loss == outcome.champion_loss > 0 for outcome in others)
    live = [decision.loss for slot in done if not np.isnan((decision := slot.decisions["m"]).loss)]
    assert live[-1] > others[-1].reference  # L_now stays that of the forecasts as issued


# ---- nothing leaks


def poisoned(frame: pl.DataFrame, bad: pl.Expr) -> pl.DataFrame:
    wind, temperature = pl.col("wind"), pl.col("temperature")
    return frame.with_columns(
        pl.when(bad).then(70.0).otherwise(wind).alias("wind"),
        pl.when(bad).then(-50.0).otherwise(temperature).alias("temperature"),
    )


COUNT = 6
LAST = FIRST + (COUNT - 1) * HOUR
BAD: dict[str, Callable[[], pl.Expr]] = {
    "seen later": lambda: pl.col("seen") > LAST + HOUR,
    "after the slot": lambda: pl.col("time") > LAST,
}


@pytest.mark.parametrize("why", BAD)
def test_what_could_not_be_known_changes_nothing(tmp_path, why) -> None:
    """The source hands out everything at once; only `seen` and `time` say what could be known."""
    late = (
        weather()
        .filter(pl.col("time").is_between(LAST - 3 * HOUR, LAST))
        .with_columns(pl.lit(LAST + 2 * HOUR).alias("seen"))
    )
    frame, bad = canonical(pl.concat([weather(), late]), VARIABLES), BAD[why]()
    assert frame.filter(bad).height > 0
    members = lambda: [member("always", Always(), LEVEL), member("drift", on_drift(), reducer=VarianceHorizon(60))]  # noqa: E731
    honest = crew(tmp_path / "a", members(), source=World(frame, eager=True))
    leaky = crew(tmp_path / "b", members(), source=World(poisoned(frame, bad), eager=True))
    hourly = crew(tmp_path / "c", members(), source=World(frame))
    for loop in (honest, leaky, hourly):
        run(loop, COUNT)
    same_tables(honest, leaky)
    same_tables(honest, hourly)


def test_the_poison_would_be_noticed(tmp_path) -> None:
    frame = weather()
    for name, bad in {"a": pl.lit(value=False), "b": pl.col("time") == LAST}.items():
        run(crew(tmp_path / name, [member("m", Never())], poisoned(frame, bad)), COUNT)
    ends = [load_state(tmp_path / name).slot for name in "ab"]
    assert ends == [LAST, LAST]
    one, other = (
        crew(tmp_path / n, [member("m", Never())], poisoned(frame, b))
        for n, b in {"c": pl.lit(value=False), "d": pl.col("time") == LAST}.items()
    )
    assert not run(one, COUNT)[-1].forecasts.equals(run(other, COUNT)[-1].forecasts)


# ---- the same again


def test_the_order_of_nowcasters_is_nothing(tmp_path) -> None:
    members = lambda: [member("a", Always()), member("b", on_drift(), LEVEL), member("c", Every("3h"), LEVEL)]  # noqa: E731
    one, other = crew(tmp_path / "a", members()), crew(tmp_path / "b", members()[::-1])
    run(one, 8)
    run(other, 8)
    for name in "abc":
        same_tables(one, other, name)


@pytest.mark.slow
def test_a_pool_gives_the_same_tables(tmp_path) -> None:
    pool = Pool(2)
    one, other = (
        fleet(tmp_path / "a", MemoryStore(VARIABLES)),
        fleet(tmp_path / "b", MemoryStore(VARIABLES), executor=pool),
    )
    try:
        run(one, 6)
        run(other, 6)
    finally:
        pool.close()
    same_tables(one, other)


class Crash(BaseException):
    """Not an Exception: nothing in the loop may catch it."""


STEPS = (
    "rejected",
    "append",
    "ingest",
    "settle",
    "decide",
    "retrain",
    "predict",
    "issue",
    "decisions",
    "costs",
    "log",
    "save",
)


@pytest.mark.parametrize("step", STEPS)
def test_stopped_after_a_step_in_any_slot_and_started_again(tmp_path, step) -> None:
    """The quick twin of the test that kills processes: the store stays, all else is built anew."""
    frame = pl.concat([weather(), weather(seed=5).filter(pl.col("time") >= FIRST).with_columns(pl.col("series") + "2")])
    odd = frame.filter(pl.col("time") >= FIRST).with_columns(time=pl.col("time") + HOUR / 4)
    frame = pl.concat([frame, odd.filter(pl.col("series") == "EWR")])
    whole = fleet(tmp_path / "whole", MemoryStore(VARIABLES), frame=frame)
    run(whole, 5)
    assert records(whole, "rejected")[0].height > 0
    store, todo = MemoryStore(VARIABLES), [0, 2, 3]

    def probe(name: str) -> None:
        if name == step and todo and slot == slots(5)[todo[0]]:
            todo.pop(0)
            raise Crash

    for slot in slots(5):
        for _ in range(2):
            try:
                tick(fleet(tmp_path / "parts", store, probe=probe, frame=frame), slot)
                break
            except Crash:
                pass
    assert not todo
    before, after = everything(whole.edges.store), everything(store)
    for name in before:
        assert_frame_equal(before[name], after[name], check_exact=True)
    states = [json.loads((tmp_path / n / "state.json").read_text()) for n in ("whole", "parts")]
    assert states[0] == states[1]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"nowcasters": []}', '{"nowcasters": {}, "slot": "soon", "series": []}', '{"nowcasters": {}}'],
)
def test_a_damaged_state_is_told(tmp_path, text) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(SchemaError, match=r"state\.json is damaged"):
        load_state(tmp_path)


def test_the_state_is_strict_json(tmp_path) -> None:
    run(crew(tmp_path, [member("a", Always()), member("d", on_drift())]), 2)
    refuse = lambda word: pytest.fail(f"{word} is no JSON")  # noqa: E731
    raw = json.loads((tmp_path / "state.json").read_text(), parse_constant=refuse)
    assert raw["nowcasters"]["a"]["last"]["loss"] is None


def test_the_tracker_sees_each_slot(tmp_path) -> None:
    loop = crew(tmp_path, [member("a", Always()), member("n", Never())])
    run(loop, 3)
    tracker = loop.edges.tracker
    assert isinstance(tracker, NullTracker)
    assert [step for name, _, step in tracker.logged if name == "a"] == [loop.key(slot) for slot in slots(3)]
    assert tracker.registered == ["a", "n", "a", "a"]
    assert {"live/mae/temperature", "cost/cpu_s", "retrain", "drift/loss"} <= set(tracker.logged[-1][1])


def test_models_of_a_step_below_a_minute_have_names_of_their_own(tmp_path: Path) -> None:
    step = timedelta(seconds=20)
    moved = FIRST + (pl.col("time") - FIRST) / 180, FIRST + (pl.col("seen") - FIRST) / 180
    frame = weather().with_columns(time=moved[0], seen=moved[1])
    loop = crew(tmp_path, [member("a", Always())], frame, task=Task(VARIABLES, step, horizon=3, context=4))
    for k in range(4):
        tick(loop, FIRST + k * step)
    assert records(loop, "decisions")[0]["version"].n_unique() == 4
