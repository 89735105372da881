"""A run is one configuration and goes forward: what would mix two, or bring the future into the past, is refused."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from pipelines.stores.delta import DeltaStore

MODEL = ("model=climatology", "reducer=full", "policy=never", "executor=serial", "tracker=none", "history=240")
START = ("clock.start=2013-05-21T00:00Z", "clock.days=0.125")
RUN = Path("runs/default")


def at(hour: int) -> str:
    """The real time at which slot `hour` of the day is acted on."""
    return f"clock.now=2013-05-21T{hour + 1:02d}:05Z"


@pytest.mark.parametrize("job", [("replay", *START), ("nowcast", at(2))])
def test_a_model_of_the_future_does_not_forecast_the_past(forecast, job) -> None:
    assert forecast("train", *MODEL, at(6)).code == 0
    said = forecast(job[0], *MODEL, *job[1:])
    assert said.code == 2
    assert "a model of this run was trained at 2013-05-21 06:00: it knows what came later" in said.err
    assert forecast("train", *MODEL, at(5)).code == 2
    assert forecast("nowcast", *MODEL, at(6)).code == 0


def test_train_skips_no_slot(forecast) -> None:
    assert forecast("nowcast", *MODEL, at(2)).code == 0
    said = forecast("train", *MODEL, at(4))
    assert said.code == 2
    assert "open slots from 2013-05-21 03:00 on: run `forecast nowcast` first" in said.err
    assert forecast("train", *MODEL, at(3)).code == 0


def test_what_train_spent_is_recorded_by_the_next_slot(forecast, tmp_path) -> None:
    for _ in range(2):
        assert forecast("train", *MODEL, at(2)).code == 0
    owed = json.loads((tmp_path / RUN / "state.json").read_text())["owed"]
    fits = [row for row in owed if (row["owner"], row["phase"]) == ("climatology.full.never", "fit")]
    assert [row["calls"] for row in fits] == [4], "two trainings, each begun and passed"
    assert forecast("replay", *MODEL, "clock.start=2013-05-21T02:00Z", "clock.days=0.125").code == 0
    costs = DeltaStore(tmp_path / RUN / "store", []).records("costs")
    recorded = costs.filter(pl.col("nowcaster") == "climatology.full.never", pl.col("phase") == "fit")
    assert recorded["cpu_s"].sum() == pytest.approx(fits[0]["cpu_s"])
    assert json.loads((tmp_path / RUN / "state.json").read_text())["owed"] == []
    assert json.loads((tmp_path / RUN / "accounting.json").read_text())["share"] < 1.1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("task.horizon=5",), "task.horizon = 6, now it is 5"),
        (("history=241",), "history = 240, now it is 241"),
        (("late=48h",), "late = 86400s, now it is 172800s"),
        (("series=[JFK]",), "series = [], now it is ['JFK']"),
        (("+model.shrinkage=3",), "unknown key"),
        (("policy=every",), "nowcasters = ['climatology.full.never', 'persistence'], now it is"),
        (("model=seasonal_naive",), "now it is ['persistence', 'seasonal_naive.full.never']"),
    ],
)
def test_a_run_keeps_its_configuration(forecast, tmp_path, words, told) -> None:
    assert forecast("nowcast", *MODEL, at(2)).code == 0
    before = (tmp_path / RUN / "state.json").read_bytes()
    said = forecast("nowcast", *MODEL, at(3), *words)
    assert said.code == 2
    assert told in said.err
    assert told == "unknown key" or "run=NAME" in said.err
    assert (tmp_path / RUN / "state.json").read_bytes() == before
    assert forecast("nowcast", *MODEL, at(3), *words, "run=other").code in (0, 2 if told == "unknown key" else 4)


def test_the_spec_of_a_nowcaster_is_part_of_its_run(forecast) -> None:
    words = ("model=persistence", "reducer=last", "policy=every", *MODEL[3:])
    assert forecast("nowcast", *words, at(2)).code == 0
    assert "persistence.last.every.reducer.rows = 1200, now it is 100" in (
        forecast("nowcast", *words, at(3), "reducer.rows=100").err
    )
    assert "persistence.last.every.policy.period = 86400s, now it is" in (
        forecast("nowcast", *words, at(3), "policy.period=2h").err
    )


def test_what_changes_no_forecast_may_change(forecast) -> None:
    words = ("model=xgboost", "model.trees.rounds=2", *MODEL[1:])
    assert forecast("nowcast", *words, at(2)).code == 0
    free = ("threads.per_worker=2", "threads.workers=1", "port=5001", "executor=pool", "latency=60m", "catchup=all")
    assert forecast("nowcast", *words, at(3), *free).code == 0


def test_a_wrong_first_word_leaves_the_run_free(forecast) -> None:
    assert forecast("replay", *MODEL, "clock.start=2030-05-21T00:00Z", "history=100").code == 2
    assert forecast("replay", *MODEL, *START).code == 0


def test_a_state_that_is_gone_while_the_store_is_not(forecast, tmp_path) -> None:
    assert forecast("replay", *MODEL, *START).code == 0
    (tmp_path / RUN / "state.json").unlink()
    said = forecast("replay", *MODEL, *START)
    assert said.code == 2
    assert "the store has records up to 2013-05-21 02:00" in said.err
    assert f"delete the whole folder {tmp_path / RUN}" in said.err
    (tmp_path / RUN / "state.json").write_text("{")
    assert "delete the whole folder" in forecast("replay", *MODEL, *START).err


@pytest.mark.parametrize("damage", ["parquet", "log", "gone"])
def test_a_damaged_store_is_told_in_a_line(forecast, tmp_path, damage) -> None:
    assert forecast("replay", *MODEL, *START).code == 0
    table = tmp_path / RUN / "store/observations"
    for path in table.glob("_delta_log/*.json" if damage == "log" else "*.parquet"):
        path.write_bytes(b"garbage") if damage != "gone" else path.unlink()
    said = forecast("replay", *MODEL, START[0], "clock.days=0.25")
    assert said.code == 2
    assert "as a store: " in said.err
    assert "run=NAME" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("job", ["nowcast", "train"])
def test_an_unknown_series_is_told_before_the_slot(forecast, tmp_path, job) -> None:
    said = forecast(job, *MODEL, at(2), "series=[JFK,EWT]")
    assert said.code == 2
    assert "unknown series 'EWT': did you mean 'EWR'?" in said.err
    assert not list(tmp_path.rglob("state.json"))
    assert forecast(job, *MODEL, at(2), "series=[JFK,EWR]").code == 0


@pytest.mark.parametrize("key", ["clock", "threads", "task", "variables", "source", "store", "tracker", "model"])
def test_a_choice_that_is_none(forecast, key) -> None:
    said = forecast("replay", *MODEL, *START, f"{key}=null") if key != "clock" else forecast("train", "clock=null")
    assert said.code == 2
    assert key in said.err
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) == 1


def test_status_of_a_run_that_has_only_trained(forecast) -> None:
    assert forecast("train", *MODEL, at(2)).code == 0
    said = forecast("status")
    assert said.code == 0
    assert "20130521T0200" in said.out
    assert "models are trained, no slot is done yet" in said.out
