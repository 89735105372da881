"""Slots against a slow count, catch-up in words, the clock, and a lock whose holder dies."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.errors import SchemaError, UnknownNameError
from pipelines.clock import Clock, LiveClock, ReplayClock
from pipelines.slots import LockedError, RunLock, due, slot_of

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
moments = st.datetimes(datetime(1969, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
minutes = st.integers(1, 3000).map(lambda n: n * MINUTE)


@given(moments, minutes, minutes)
def test_slot_is_the_newest_whole_step_that_has_arrived(now, step, latency):
    slot = slot_of(now, step, latency)
    assert slot + latency <= now < slot + latency + step
    assert (slot - datetime(1970, 1, 1, tzinfo=UTC)) % step == timedelta(0)


def test_slot_falls_due_when_its_row_has_arrived():
    before, at = NOON + timedelta(minutes=19, seconds=59), NOON + 20 * MINUTE
    assert [slot_of(now, HOUR, 20 * MINUTE) for now in (before, at)] == [NOON - HOUR, NOON]


@pytest.mark.parametrize(
    ("catchup", "hours"), [("all", [9, 10, 11, 12]), ("latest", [12]), ("none", [12]), ("none late", [])]
)
def test_missed_slots(catchup, hours):
    now = NOON + (40 if "late" in catchup else 10) * MINUTE
    found = due(NOON - 4 * HOUR, now, HOUR, catchup=catchup.split()[0])
    assert [slot.hour for slot in found] == hours


@pytest.mark.parametrize("catchup", ["all", "latest", "none"])
def test_nothing_is_due_twice_nor_before_what_is_done(catchup):
    assert due(NOON, NOON + MINUTE, HOUR, catchup=catchup) == []
    assert due(NOON + HOUR, NOON, HOUR, catchup=catchup) == []


@given(moments, minutes, st.lists(st.integers(0, 500), max_size=8))
def test_catching_up_does_every_slot_once_whenever_asked(start, step, waits):
    done, now = [slot_of(start, step)], start
    for wait in waits:
        now += wait * MINUTE
        done += due(done[-1], now, step, catchup="all")
    assert done == [done[0] + i * step for i in range(len(done))]
    assert done[-1] == slot_of(now, step)


def test_first_run_has_only_the_newest_slot():
    assert due(None, NOON, HOUR, catchup="all") == [NOON]


def test_what_slots_refuse():
    with pytest.raises(SchemaError, match="no zone"):
        slot_of(datetime(2013, 1, 1), HOUR)  # noqa: DTZ001
    with pytest.raises(SchemaError, match="positive"):
        slot_of(NOON, timedelta(0))
    with pytest.raises(UnknownNameError, match="latest"):
        due(None, NOON, HOUR, catchup="last")


def test_clocks():
    clock = ReplayClock(NOON)
    assert isinstance(clock, Clock)
    assert isinstance(LiveClock(), Clock)
    assert (clock.advance(HOUR), clock.now(), clock.now()) == (NOON + HOUR,) * 3
    with pytest.raises(SchemaError, match="go back"):
        clock.set(NOON)
    first = LiveClock().now()
    assert first.tzinfo is UTC
    assert LiveClock().now() >= first


def test_lock_names_its_holder_and_outlives_nobody(tmp_path):
    path = tmp_path / "locks" / "fleet.lock"
    code = (
        "import sys, time; from pipelines.slots import RunLock; lock = RunLock(sys.argv[1]); lock.__enter__(); "
        "print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    with pytest.raises(LockedError, match=f"process {child.pid} on") as caught:
        RunLock(path).__enter__()
    assert caught.value.exit_code == 4
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    for _ in range(2):
        with RunLock(path):
            pass
