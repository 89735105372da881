"""Meter: exclusive, exhaustive, honest about children; CPU is compared, wall time never."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

import forecast.meter
from forecast.errors import SchemaError, UnknownNameError
from forecast.meter import Meter, Reading, read_clocks

BURN = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"


class Clocks:
    """Clocks that a test moves by hand."""

    def __init__(self) -> None:
        self.cpu = self.child = self.wall = 0.0
        self.peak = 1.0

    def __call__(self) -> Reading:
        return Reading(float(self.cpu), float(self.child), float(self.wall), self.peak)

    def fail_after(self, cpu_s: float) -> None:
        self.cpu += cpu_s
        raise ZeroDivisionError


def burn(cpu_s: float) -> None:
    end = time.process_time() + cpu_s
    while time.process_time() < end:
        pass


def rows(meter: Meter, *columns: str) -> list[tuple]:
    return meter.table().select("owner", "phase", *columns).rows()


def test_inner_phases_are_not_charged_to_the_outer() -> None:
    clocks = Clocks()
    meter = Meter(clocks)
    with meter.charge("a", "fit"):
        clocks.cpu += 1
        with meter.charge("a", "features"):
            clocks.cpu, clocks.wall = clocks.cpu + 2, clocks.wall + 5
            with meter.charge("b", "log"):
                clocks.cpu += 4
        clocks.cpu += 8
    clocks.cpu += 100  # nobody's
    assert rows(meter, "cpu_s", "wall_s", "calls") == [
        ("a", "features", 2, 5, 1),
        ("a", "fit", 9, 0, 1),
        ("b", "log", 4, 0, 1),
    ]
    assert meter.total_cpu_s == 15


def test_charges_add_up_to_the_cpu_of_the_process() -> None:
    meter, start = Meter(), time.process_time()
    for _ in range(3):
        with meter.charge("a", "fit"):
            burn(0.03)
            with meter.charge("a", "save"):
                burn(0.02)
    assert meter.total_cpu_s == pytest.approx(time.process_time() - start, rel=0.05)
    cpu = {phase: cpu_s for _, phase, cpu_s in rows(meter, "cpu_s")}
    assert cpu["fit"] == pytest.approx(0.09, rel=0.1)
    assert cpu["save"] == pytest.approx(0.06, rel=0.1)


def test_threads_of_the_block_are_counted() -> None:
    meter = Meter()
    with meter.charge("a", "fit"):
        before = time.process_time()
        worker = threading.Thread(target=sum, args=(range(3_000_000),))
        worker.start()
        worker.join()
        used = time.process_time() - before
    assert meter.total_cpu_s == pytest.approx(used, rel=0.05)


def test_children_are_counted_when_they_end() -> None:
    meter = Meter()
    with meter.charge("a", "fit"):
        subprocess.run([sys.executable, "-c", BURN], check=True)
    assert meter.total_cpu_s >= 0.19
    assert meter.table()["peak_mb"].item() > 1


def test_a_child_that_reports_itself_is_counted_once() -> None:
    code = (
        "import json\nfrom forecast.meter import Meter\nmeter = Meter()\n"
        f"with meter.charge('b', 'fit'):\n    exec({BURN!r})\nprint(json.dumps(meter.record()))"
    )
    meter, before = Meter(), read_clocks().child_cpu_s
    with meter.charge("fleet", "overhead"):
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        meter.absorb(json.loads(done.stdout))
    children = read_clocks().child_cpu_s - before
    cpu = {owner: cpu_s for owner, _, cpu_s in rows(meter, "cpu_s")}
    assert cpu["b"] >= 0.19
    assert meter.total_cpu_s == pytest.approx(children, rel=0.1)


@pytest.mark.parametrize("ends_first", [True, False])
def test_credit_for_reports_in_either_order(ends_first: bool) -> None:
    clocks, worker = Clocks(), Clocks()
    remote = Meter(worker)
    with remote.charge("b", "fit"):
        worker.cpu += 10
    meter = Meter(clocks)
    with meter.charge("fleet", "overhead"):
        if ends_first:
            clocks.child += 12
        meter.absorb(remote.record())
        if not ends_first:
            clocks.child += 12
    clocks.child += 3
    with meter.charge("fleet", "log"):
        clocks.child += 1
    assert rows(meter, "cpu_s") == [("b", "fit", 10), ("fleet", "log", 1), ("fleet", "overhead", 2)]


def test_foreign_records_give_no_credit() -> None:
    clocks, foreign = Clocks(), Clocks()
    remote = Meter(foreign)
    with remote.charge("b", "fit"):
        foreign.cpu, foreign.peak = 10, 500.0
    meter = Meter(clocks)
    for _ in range(2):
        meter.absorb(json.loads(json.dumps(remote.record())), child=False)
    with meter.charge("a", "fit"):
        clocks.child += 3
    assert rows(meter, "cpu_s", "calls", "peak_mb") == [("a", "fit", 3, 1, 1.0), ("b", "fit", 20, 2, 500.0)]


def test_shared_charges_split_equally() -> None:
    clocks = Clocks()
    meter = Meter(clocks)
    with meter.charge_shared(["a", "b", "b", "c"], "reduce"):
        clocks.cpu, clocks.wall = 6, 3
    assert rows(meter, "cpu_s", "wall_s", "calls") == [(o, "reduce", 2, 1, 1) for o in "abc"]


def test_a_block_that_raises_is_charged_and_closed() -> None:
    clocks = Clocks()
    meter = Meter(clocks)
    with meter.charge("a", "fit"):
        with pytest.raises(ZeroDivisionError), meter.charge("a", "save"):
            clocks.fail_after(2)
        clocks.cpu += 1
    clocks.cpu += 50
    assert rows(meter, "cpu_s") == [("a", "fit", 1), ("a", "save", 2)]


def test_open_charges_are_in_the_table() -> None:
    clocks = Clocks()
    meter = Meter(clocks)
    with meter.charge("a", "fit"):
        clocks.cpu += 1
        assert meter.total_cpu_s == 1
        clocks.cpu += 1
    assert meter.total_cpu_s == 2
    assert Meter(clocks).table().height == 0


def test_another_thread_is_refused() -> None:
    meter, seen = Meter(), []

    def intrude() -> None:
        try:
            with meter.charge("b", "fit"):
                pass
        except RuntimeError as error:
            seen.append(str(error))

    with meter.charge("a", "fit"):
        worker = threading.Thread(target=intrude)
        worker.start()
        worker.join()
    assert len(seen) == 1
    assert "another thread" in seen[0]
    assert rows(meter, "calls") == [("a", "fit", 1)]


def enter(meter: Meter, owners: list[str], phase: str) -> None:
    with meter.charge_shared(owners, phase):
        pass


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda m: enter(m, ["a"], "fitt"), UnknownNameError, "did you mean 'fit'"),
        (lambda m: enter(m, [], "fit"), SchemaError, "at least one owner"),
        (lambda m: m.absorb({"version": 9, "charges": []}), SchemaError, "version 9"),
    ],
)
def test_wrong_input_is_refused_in_words(wrong: Callable[[Meter], None], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        wrong(Meter())


def test_examples_run() -> None:
    assert doctest.testmod(forecast.meter).failed == 0


def test_shares_follow_the_weights() -> None:
    now = [0.0]
    meter = Meter(clocks=lambda: Reading(now[0], 0.0, now[0], 0.0))
    with meter.charge_shared(["a", "b", "c"], "fit", [3, 1, 0]):
        now[0] += 8.0
    assert {row["owner"]: row["cpu_s"] for row in meter.record()["charges"]} == {"a": 6.0, "b": 2.0, "c": 0.0}
    with meter.charge_shared(["a", "b", "a"], "save", [1, 2, 1]):  # named twice: both weights are a's
        now[0] += 8.0
    saved = [row for row in meter.record()["charges"] if row["phase"] == "save"]
    assert {row["owner"]: row["cpu_s"] for row in saved} == {"a": 4.0, "b": 4.0}
    for weights in ([1], [0, 0, 0], [2, -1, 1]):
        with pytest.raises(SchemaError, match="do not share"), meter.charge_shared(["a", "b", "c"], "fit", weights):
            pass
