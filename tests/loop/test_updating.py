"""Champions that take in new rows: a replay with updates forecasts as one refitted in every slot, restarts included."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from forecast.forecaster import Forecaster
from forecast.panel import Panel
from forecast.policy import Always, Never
from forecast.region import Region
from forecast.schema import Task
from pipelines.fleet import Fleet
from pipelines.jobs.status import _table
from pipelines.state import load_state
from pipelines.stores.memory import MemoryStore
from pipelines.tick import tick
from tests.loop.planted import Drifting
from tests.loop.test_tick import STEPS, Crash, of, on_drift, records, run
from tests.loop.world import FIRST, HOUR, VARIABLES, crew, everything, member, slots, weather

DRIFTING = {"_target_": "tests.loop.planted.Drifting"}
NUMBERS = ["point", "q0.1", "q0.5", "q0.9"]


def timely() -> pl.DataFrame:
    """Gaps, but no row that comes late or is revised."""
    return weather(revised=False).with_columns(seen=pl.col("time") + HOUR / 2)


def history(count: int) -> int:
    """So long that the first row stays in the history of every slot."""
    return 301 + count


def loop_of(folder: Path, policy, **more) -> Fleet:
    made = crew(folder, [member("m", policy, DRIFTING)], timely(), **more)
    made.settings = replace(made.settings, history=history(12))
    return made


def test_updating_each_slot_is_refitting_each_slot(tmp_path) -> None:
    updated, refitted = loop_of(tmp_path / "a", Never()), loop_of(tmp_path / "b", Always())
    done = run(updated, 12)
    run(refitted, 12)
    mine, theirs = (records(loop, "forecasts")[0] for loop in (updated, refitted))
    assert mine["status"].to_list() == theirs["status"].to_list()
    np.testing.assert_allclose(mine.select(NUMBERS).to_numpy(), theirs.select(NUMBERS).to_numpy(), rtol=1e-9)
    assert mine["version"].n_unique() == 1
    assert theirs["version"].n_unique() == 12
    assert sum(slot.updated.get("m", 0) for slot in done) == 11
    assert updated.state.of("m").data_end == slots(12)[-1]
    assert updated.state.of("m").trained_at == FIRST
    phases = updated.edges.store.records("costs").filter(nowcaster="m").group_by("phase").agg(pl.col("calls").sum())
    assert dict(phases.rows())["update"] == 11


def test_without_updates_the_forecasts_would_be_others(tmp_path, monkeypatch) -> None:
    """Else the test before could not fail."""
    updated = loop_of(tmp_path / "a", Never())
    run(updated, 12)
    monkeypatch.setattr(Drifting, "traits", replace(Drifting.traits, updates=False))
    frozen = loop_of(tmp_path / "b", Never())
    run(frozen, 12)
    mine, theirs = (records(loop, "forecasts")[0] for loop in (updated, frozen))
    same = np.isclose(mine["point"].to_numpy(), theirs["point"].to_numpy(), rtol=1e-9)
    first = (mine["slot"] == FIRST).to_numpy()
    assert same[first].all()
    assert not same[~first].any()


@pytest.mark.parametrize("step", [s for s in STEPS if s != "rejected"] + ["update"])
def test_stopped_anywhere_and_started_again(tmp_path, step) -> None:
    """Killed after a step of some slots, and one process per slot: what was taken in before is taken in again."""
    policies = lambda: [member("n", Never(), DRIFTING), member("d", on_drift("holdout", "8h"), DRIFTING)]  # noqa: E731
    whole = crew(tmp_path / "whole", policies(), timely())
    run(whole, 10)
    store, todo = MemoryStore(VARIABLES), [2, 5, 9]

    def probe(name: str) -> None:
        if name == step and todo and slot == slots(10)[todo[0]]:
            todo.pop(0)
            raise Crash

    for slot in slots(10):
        for _ in range(2):
            try:
                tick(crew(tmp_path / "parts", policies(), timely(), store=store, probe=probe), slot)
                break
            except Crash:
                pass
    assert not todo
    before, after = everything(whole.edges.store), everything(store)
    for name in ("forecasts", "settled", "decisions"):
        numbers = [c for c, kind in before[name].schema.items() if kind == pl.Float64]
        assert before[name].drop(numbers).equals(after[name].drop(numbers)), name
        for column in numbers:  # sums in another order: the last bits may differ
            np.testing.assert_allclose(before[name][column], after[name][column], rtol=1e-9, atol=1e-12)


def test_a_challenger_meets_a_champion_that_knows_as_much(tmp_path) -> None:
    """Champion and challenger of equal kind and equal rows tie, so the champion stays: nothing to win by a refit."""
    loop = crew(tmp_path, [member("d", on_drift(max_age="10h"), DRIFTING)], timely())
    loop.settings = replace(loop.settings, history=history(14))
    done = run(loop, 14)
    outcome = next(slot.outcomes["d"] for slot in done[9:] if slot.outcomes)
    assert not outcome.promoted
    assert outcome.challenger_loss == pytest.approx(outcome.champion_loss, rel=1e-9)


def test_a_failing_update_is_told_and_the_champion_goes_on(tmp_path, monkeypatch) -> None:
    """It forecasts with what it knows; when the trouble is over it has missed nothing."""
    loop, alone = loop_of(tmp_path / "a", Never()), loop_of(tmp_path / "b", Never())
    run(alone, 6)
    run(loop, 2)

    def fails(self: Forecaster, panel: Panel, task: Task) -> None:
        raise OSError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(Drifting, "_update", fails)
        done = run(loop, 4, first=2)
    assert [slot.failed for slot in done] == [["m"], ["m"]]
    assert "update: OSError: planted" in done[0].faults["m"]
    assert of(done[1].forecasts, "m")["point"].is_not_null().all()
    assert loop.state.of("m").data_end == slots(2)[-1]
    done = run(loop, 6, first=4)
    assert done[0].updated["m"] == 3
    mine, theirs = (records(made, "forecasts")[0].filter(pl.col("slot") >= slots(5)[-1]) for made in (loop, alone))
    np.testing.assert_allclose(mine["point"], theirs["point"], rtol=1e-9)


def test_status_shows_that_the_data_end_moves_on(tmp_path) -> None:
    run(loop_of(tmp_path, Never()), 4)
    state = load_state(tmp_path)
    assert json.loads((tmp_path / "state.json").read_text())["nowcasters"]["m"]["data_end"] == slots(4)[-1].isoformat()
    row = [list(column.cells) for column in _table(state, HOUR).columns]
    assert any(f"{slots(4)[-1]:%m-%d %H:%M}" in cell for column in row for cell in column)
    assert any("kept fresh by updates" in cell for column in row for cell in column)


def test_a_regional_nowcaster_is_updated_too(tmp_path) -> None:
    one = replace(member("m", Never(), DRIFTING), region=Region("JFK", ("wind",)))
    loop = crew(tmp_path, [one], timely())
    done = run(loop, 6)
    assert [slot.updated.get("m", 0) for slot in done] == [0, 1, 1, 1, 1, 1]


def test_after_a_restart_the_rows_are_read_once_for_all(tmp_path) -> None:
    """As many reads for six champions as for one: a process that runs a single slot would pay for each of them."""
    reads = []
    for count in (1, 6):
        store, made = Counting(VARIABLES), lambda n=count: [member(f"m{k}", Never(), DRIFTING) for k in range(n)]
        run(crew(tmp_path / str(count), made(), timely(), store=store), 3)
        store.reads = 0
        again = crew(tmp_path / str(count), made(), timely(), store=store)
        (done,) = run(again, 4, first=3)
        assert set(done.updated.values()) == {1}
        reads.append(store.reads)
        updates = again.meter.table().filter(pl.col("phase") == "update")
        assert updates["calls"].to_list() == [2] * count  # what it knew, and the new row
    assert reads[0] == reads[1]


class Counting(MemoryStore):
    reads = 0

    def read(self, *args, **more) -> pl.DataFrame:
        self.reads += 1
        return super().read(*args, **more)
