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
COUNT = 12


def child(folder: Path, kills: str, only: int | None = None) -> int:
    words = [sys.executable, "-m", "tests.loop.child", str(folder), str(COUNT), kills, *([str(only)] if only is not None else [])]
    return subprocess.run(words, cwd=ROOT, check=False, capture_output=True, timeout=120).returncode


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
    kills = ",".join(f"{k + 1}:{step}" for k, step in enumerate(STEPS))
    codes = []
    while not codes or codes[-1] != 0:
        codes.append(child(tmp_path, kills))
        assert len(codes) <= len(STEPS) + 1, codes
    assert codes == [-signal.SIGKILL] * len(STEPS) + [0]
    same(tmp_path, uninterrupted)


@pytest.mark.slow
def test_one_process_per_hour_is_the_replay(tmp_path, uninterrupted) -> None:
    for only in range(COUNT):
        assert child(tmp_path, "-", only) == 0
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
