"""Killed between any two steps and started again: nothing lost, nothing doubled, the same decisions and forecasts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.stores.delta import DeltaStore
from pipelines.tick import tick
from tests.loop.world import VARIABLES, everything, fleet, slots

ROOT = Path(__file__).parents[2]
STEPS = ["append", "ingest", "settle", "decide", "retrain", "predict", "issue", "log", "save"]
WITHIN = ["0:series", "1:append", "2:decisions", "3:costs"]  # between two commits of one step
COUNT = 10


def lives(folder: Path, *how: str) -> list[int]:
    words = [sys.executable, "-m", "tests.loop.child", str(folder), str(COUNT), *how]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> tuple[dict, dict]:
    folder = tmp_path_factory.mktemp("whole")
    loop = fleet(folder)
    for slot in slots(COUNT):
        tick(loop, slot)
    return everything(loop.edges.store), json.loads((folder / "state.json").read_text())


def same(folder: Path, whole: tuple[dict, dict]) -> None:
    tables, state = whole
    for name, table in everything(DeltaStore(folder / "store", VARIABLES)).items():
        assert table.equals(tables[name]), name
    assert json.loads((folder / "state.json").read_text()) == state


@pytest.mark.slow
def test_killed_after_every_step(tmp_path, uninterrupted) -> None:
    kills = [f"{k}:{step}" for k, step in enumerate(STEPS)]
    assert lives(tmp_path, *kills) == [-signal.SIGKILL] * len(STEPS) + [0]
    same(tmp_path, uninterrupted)


@pytest.mark.slow
def test_killed_between_two_commits_of_a_step(tmp_path, uninterrupted) -> None:
    assert lives(tmp_path, *WITHIN) == [-signal.SIGKILL] * len(WITHIN) + [0]
    same(tmp_path, uninterrupted)


@pytest.mark.slow
def test_one_process_per_hour_is_the_replay(tmp_path, uninterrupted) -> None:
    assert lives(tmp_path, "hourly") == [0] * COUNT
    same(tmp_path, uninterrupted)


def test_repeating_a_slot_changes_nothing(tmp_path) -> None:
    loop = fleet(tmp_path)
    for slot in slots(4):
        tick(loop, slot)
    before = everything(loop.edges.store)
    assert tick(loop, slots(4)[-1]) is None
    after = everything(loop.edges.store)
    assert all(after[name].equals(before[name]) for name in before)


def test_two_runs_give_the_same_figures(tmp_path, uninterrupted) -> None:
    loop = fleet(tmp_path / "again")
    for slot in slots(COUNT):
        tick(loop, slot)
    same(tmp_path / "again", uninterrupted)
