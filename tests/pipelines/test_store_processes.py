"""The Delta store beside other processes, and through sudden death: rows and positions stay together."""

from __future__ import annotations

import multiprocessing
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import polars as pl
from deltalake import DeltaTable

from forecast.schema import Variable
from pipelines.stores.delta import DeltaStore

COUNT = Variable("count")
START = datetime(2013, 1, 1, tzinfo=UTC)


def counted(series, number):
    """One row, `number` hours after the start."""
    time = START + timedelta(hours=number)
    return pl.DataFrame({"series": [series], "time": [time], "count": [float(number)]})


def _write_many(folder, own, gate):
    """Appends under a key of its own and under a shared one, from the folder's creation on."""
    gate.wait()
    store = DeltaStore(folder, [COUNT])
    for hour in range(12):
        store.append(counted(own, hour), {own: hour + 1})
        store.append(counted("shared", hour), {"shared": hour + 1})
        store.record("costs", pl.DataFrame({"hour": [hour]}), hour)


def test_two_processes_create_and_append_at_once(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    gate = spawn.Barrier(2)
    writers = [spawn.Process(target=_write_many, args=(tmp_path, own, gate)) for own in ("one", "two")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    store = DeltaStore(tmp_path, [COUNT])
    found = DeltaTable(tmp_path / "observations").to_pyarrow_table()
    assert store.positions() == {"one": 12, "two": 12, "shared": 12}
    assert found.num_rows == store.read(vintages=True).height == 36
    assert store.records("costs")["hour"].to_list() == list(range(12))


WRITER = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
import polars as pl
import pipelines.stores.delta as delta
from forecast.schema import Variable

folder, kind, die_at, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
honest, writes = delta.write_deltalake, 0

def write_then_die(*args, **kwargs):
    global writes
    writes += 1
    honest(*args, **kwargs)
    if writes == die_at:
        os.kill(os.getpid(), signal.SIGKILL)

class Split(delta.DeltaStore):  # planted: rows and positions in two commits
    def _write(self, table, rows, grown):
        super()._write(table, rows, [])
        super()._write(table, rows.head(0), grown)

delta.write_deltalake = write_then_die
store = {"honest": delta.DeltaStore, "split": Split}[kind](folder, [Variable("count")])
at = store.positions().get("a", 0)
while at < last:
    at += 1
    time = datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=at)
    store.append(pl.DataFrame({"series": ["a"], "time": [time], "count": [float(at)]}), {"a": at})
    print(at, flush=True)
"""


def _write_until_death(folder, kind="honest", *, die_at=0, kill_after=None, last=150):
    """Run a writer that dies after its `die_at`-th write, or is killed (lines to wait for, seconds more); its exit."""
    code = [sys.executable, "-c", WRITER, str(folder), kind, str(die_at), str(last)]
    child = subprocess.Popen(code, stdout=subprocess.PIPE)
    assert child.stdout is not None
    if kill_after is not None:
        for _ in range(kill_after[0]):
            child.stdout.readline()
        time.sleep(kill_after[1])
        child.send_signal(signal.SIGKILL)
    child.communicate()
    return child.returncode


def _rows_and_position(folder):
    table = str(folder / "observations")
    written = DeltaTable(table).to_pyarrow_table().num_rows if DeltaTable.is_deltatable(table) else 0
    return written, DeltaStore(folder, [COUNT]).positions().get("a", 0)


def test_rows_and_positions_survive_sudden_death_together(tmp_path):
    chance = random.Random(7)
    moments = [(chance.randrange(1, 15), chance.uniform(0, 0.02)) for _ in range(2)]
    deaths = [{"die_at": 1}, {"die_at": 2}, {"die_at": 5}, *({"kill_after": moment} for moment in moments)]
    for death in deaths:
        assert _write_until_death(tmp_path, **death) == -signal.SIGKILL
        written, position = _rows_and_position(tmp_path)
        assert written == position
    assert _write_until_death(tmp_path) == 0
    assert DeltaStore(tmp_path, [COUNT]).read(vintages=True)["count"].to_list() == list(range(1, 151))


def test_a_store_of_two_commits_would_not_survive(tmp_path):
    assert _write_until_death(
        tmp_path, "split", die_at=3
    )  # the first two writes name the position key == -signal.SIGKILL
    assert _rows_and_position(tmp_path) == (1, 0)
