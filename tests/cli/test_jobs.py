"""The jobs as a user meets them: what they print, leave behind and answer."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.slots import RunLock
from pipelines.stores.delta import DeltaStore
from tests.cli.conftest import process

START = "clock.start=2013-05-21T00:00Z"
PLAIN = ("model=persistence", "policy=always", "executor=serial", "tracker=none")
SHORT = (*PLAIN, START, "clock.days=0.125")


def test_replay_reports_and_the_same_command_again_has_nothing_to_do(forecast, tmp_path) -> None:
    first = forecast("replay", *SHORT)
    assert first.code == 0, first.err
    report = tmp_path / "runs" / "default" / "report.html"
    assert str(report) in first.out
    assert report.exists()
    assert "nowcast: 3 slots" in first.out
    again = forecast("replay", *SHORT)
    assert again.code == 0
    assert "nothing to do: all 3 slots are done" in again.out
    assert "nowcast: 3 slots" in again.out
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]


def test_an_interrupted_replay_goes_on_where_it_was(forecast, tmp_path) -> None:
    assert forecast("replay", *PLAIN, START, "clock.days=0.05").code == 0
    assert forecast("replay", *SHORT).code == 0
    whole = forecast("replay", *SHORT, "run=whole")
    assert whole.code == 0
    first, second = (records(tmp_path / "runs" / run, "forecasts") for run in ("default", "whole"))
    assert first.equals(second)


def test_replay_without_a_start_begins_after_the_history(forecast, tmp_path) -> None:
    said = forecast("replay", *PLAIN, "store=memory", "history=240", "clock.days=0.125")
    assert said.code == 0, said.err
    state = json.loads((tmp_path / "runs/default/state.json").read_text())
    assert state["slot"] == "2013-01-11T08:00:00+00:00"


def test_nowcast_is_done_once(forecast) -> None:
    first = forecast("nowcast", *PLAIN, "clock.now=2013-05-21T13:10Z")
    assert first.code == 0, first.err
    assert "slot 2013-05-21 12:00" in first.out
    assert "humidity" in first.out
    again = forecast("nowcast", *PLAIN, "clock.now=2013-05-21T13:50Z")
    assert (again.code, again.out) == (0, "nothing to do: slot 2013-05-21 12:00 is done\n")


def test_nowcast_without_fresh_data_is_3(forecast) -> None:
    said = forecast("nowcast", *PLAIN)
    assert said.code == 3
    assert "the newest row is of 2013-12-30 23:00" in said.err
    assert "clock.now=TIME" in said.err


def test_train_leaves_the_slot_to_nowcast(forecast, tmp_path) -> None:
    trained = forecast("train", *PLAIN, "clock.now=2013-05-21T13:10Z")
    assert trained.code == 0, trained.err
    assert str(tmp_path / "runs/default/models/persistence/20130521T1200") in trained.out
    said = forecast("nowcast", *PLAIN, "clock.now=2013-05-21T13:10Z")
    assert said.code == 0
    assert "slot 2013-05-21 12:00" in said.out
    past = forecast("train", *PLAIN, "clock.now=2013-05-20T13:10Z")
    assert past.code == 2
    assert "run=NAME" in past.err


def test_a_model_that_never_trains_is_4_and_says_why(forecast) -> None:
    words = ("model=seasonal_naive", "reducer=full", *SHORT[1:])
    why = "SeasonalNaive looks 24 rows back"
    for said in (forecast("replay", *words), forecast("nowcast", *words, "clock.now=2013-05-21T05:00Z")):
        assert said.code == 4
        assert "1 of 2 nowcasters failed, the others went on" in said.err
        assert "seasonal_naive.full.always has no model: SchemaError: " + why in said.err
    status = forecast("status")
    assert "no model" in status.out
    assert forecast("train", *words, "clock.now=2013-05-21T05:00Z").code == 4


def test_a_damaged_model_fails_alone(forecast, tmp_path) -> None:
    words = ("model=climatology", "reducer=full", "policy=every", *PLAIN[2:])
    assert forecast("nowcast", *words, "clock.now=2013-05-21T13:10Z").code == 0
    (damaged,) = tmp_path.glob("runs/default/models/climatology*/*/*.safetensors")
    damaged.write_bytes(b"garbage")
    said = forecast("nowcast", *words, "clock.now=2013-05-21T14:10Z")
    assert said.code == 4
    assert f"'{damaged.name}' in model folder {damaged.parent} was altered" in said.err
    assert "persistence" in said.out
    assert "CorruptModelError" in forecast("status").out.replace("\n", "")
    assert forecast("train", *words, "clock.now=2013-05-21T14:10Z").code == 0
    assert forecast("nowcast", *words, "clock.now=2013-05-21T15:10Z").code == 0


def test_status(forecast, tmp_path) -> None:
    early = forecast("status")
    assert early.code == 2
    assert "there is no run in" in early.err
    assert list(tmp_path.iterdir()) == []
    assert forecast("replay", *SHORT, "model=climatology", "run=a").code == 0
    said = forecast("status", "run=a")
    assert said.code == 0
    for word in ("L_now", "L_ref", "persistence", "climatology.variance_horizon.always", "every slot", "05-21 03:00"):
        assert word in said.out
    assert max(map(len, said.out.splitlines())) <= 140
    assert "run=a" in forecast("status", "run=b").err
    (tmp_path / "runs/a/state.json").write_text('{"slot": 3')
    broken = forecast("status", "run=a")
    assert broken.code == 2
    assert "state.json is damaged" in broken.err


def test_two_runs_in_one_folder(forecast, tmp_path) -> None:
    with RunLock(tmp_path / "runs/default/run.lock"):
        said = forecast("replay", *SHORT)
    assert said.code == 4
    assert "is held by process" in said.err
    assert "wait for that run to end" in said.err


@pytest.mark.parametrize("override", ["folder=file/runs", "store.folder=file/store", "tracker.folder_or_uri=file/x"])
def test_a_place_that_cannot_be_written(forecast, tmp_path, override: str) -> None:
    (tmp_path / "file").touch()
    tracker = ("tracker=mlflow",) if override.startswith("tracker") else ()
    said = forecast("replay", *SHORT, *tracker, override)
    assert said.code == 2
    assert "file" in said.err
    assert "Traceback" not in said.err


def test_jobs_that_look_need_runs_and_make_nothing(forecast, tmp_path) -> None:
    for job in ("compare", "ui"):
        said = forecast(job)
        assert said.code == 2
        assert "there are no runs in" in said.err
        assert forecast(job, "tracker=none").code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_sweep_makes_one_run_each_and_compare_sets_them_side_by_side(forecast, tmp_path) -> None:
    words = ("model=climatology", "reducer=full", "policy=always,every", "executor=serial", "register=false")
    said = forecast("replay", "-m", *words, START, "clock.days=0.25")
    assert said.code == 0, said.err
    names = {p.name for p in (tmp_path / "runs/default").iterdir()}
    assert names == {"policy-always", "policy-every"}
    told = forecast("compare")
    assert told.code == 0, told.err
    table = pl.read_csv(tmp_path / "runs/compare-nowcast.csv")
    assert table.height == 3
    rows = {(r["reducer"], r["policy"]): r for r in table.iter_rows(named=True) if r["model"] == "climatology"}
    reference, other = rows["full", "always"], rows["full", "every"]
    assert reference["ENC"] == 1
    error = sum(other[c] / reference[c] for c in table.columns if c.startswith("mae/")) / 3
    assert other["dE"] == pytest.approx(100 * (error - 1))
    assert other["dC"] == pytest.approx(100 * (other["cpu_s"] / reference["cpu_s"] - 1))
    assert other["ENC"] == pytest.approx(error * other["cpu_s"] / reference["cpu_s"])
    assert {p.name for p in tmp_path.iterdir()} == {"runs"}


@pytest.mark.slow
def test_mlflow_knows_a_run_again(forecast, tmp_path) -> None:
    words = (*PLAIN[:3], "register=false")
    for hour in (13, 14):
        assert forecast("nowcast", *words, f"clock.now=2013-05-21T{hour}:10Z").code == 0
    from pipelines.trackers.mlflow import MlflowTracker

    assert MlflowTracker(tmp_path / "runs/mlflow", "nowcast").runs().height == 2
    said = forecast("replay", *words, "clock.start=2013-05-21T13:00Z", "clock.days=0.125")
    assert said.code == 0, said.err
    assert f"ui folder={tmp_path}/runs fleet=nowcast" in said.out
    assert "persistence" in forecast("compare").out


@pytest.mark.slow
def test_a_replay_is_what_single_calls_would_have_done(tmp_path) -> None:
    """Six hours in one process, and a process for each hour: the same forecasts and decisions."""
    words = ("model=climatology", "reducer=full", "policy=on_drift", "policy.limits.min_age=1h", *PLAIN[2:])
    made = process("replay", *words, START, "clock.days=0.25", "run=replay", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    for hour in range(6):
        live = process("nowcast", *words, f"clock.now=2013-05-21T{hour + 1:02d}:07Z", "run=live", cwd=tmp_path)
        assert live.returncode == 0, live.stderr
    replayed, single = (tmp_path / "runs" / run for run in ("replay", "live"))
    for table in ("forecasts", "decisions", "settled"):
        assert records(replayed, table).equals(records(single, table)), table
    assert records(replayed, "forecasts")["slot"].n_unique() == 6


def records(folder: Path, table: str) -> pl.DataFrame:
    rows = DeltaStore(folder / "store", []).records(table)
    assert rows.height
    assert rows["slot"].max() - rows["slot"].min() >= timedelta(hours=1)
    return rows
