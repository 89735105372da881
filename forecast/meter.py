"""Meter: charges CPU seconds, wall seconds and peak memory to whoever caused them.

A stack of open charges cuts time into slices; each slice belongs to the innermost charge alone, so that the charges add
up to what the process used, never to more. CPU covers all threads of the process, and child processes once they are
waited for.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, final

import polars as pl

from forecast.errors import SchemaError, UnknownNameError

VERSION = 1  # of the record


class Phase(StrEnum):
    """What compute is spent on."""

    INGEST = "ingest"
    REDUCE = "reduce"
    CHECK = "check"
    FEATURES = "features"
    FIT = "fit"
    UPDATE = "update"
    SAVE = "save"
    PREDICT = "predict"
    SETTLE = "settle"
    LOG = "log"
    OVERHEAD = "overhead"


@dataclass(frozen=True)
class Reading:
    """The clocks at one moment: CPU of the process and of its ended children, wall, highest resident memory so far."""

    cpu_s: float
    child_cpu_s: float
    wall_s: float
    peak_mb: float


def read_clocks() -> Reading:
    """The clocks of this process (Unix). Peak memory is the larger of its own and of its largest ended child's."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
    return Reading(
        time.process_time(),
        children.ru_utime + children.ru_stime,
        time.perf_counter(),
        max(own.ru_maxrss, children.ru_maxrss) / unit,
    )


@dataclass
class Charge:
    """What one owner spent on one phase; `wall_s` of parallel workers adds up, `peak_mb` is the whole process's."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    calls: int = 0
    peak_mb: float = 0.0


@final
class Meter:
    """Accounts of compute by (owner, phase), for one process and one thread; workers have their own and are absorbed.

    Args:
        clocks: reads the clocks; another one in tests.

    >>> ticks = iter(range(100))
    >>> meter = Meter(clocks=lambda: Reading(float(next(ticks)), 0.0, 0.0, 0.0))
    >>> with meter.charge("lstm|full|always", "fit"):
    ...     with meter.charge("lstm|full|always", "features"):
    ...         pass
    >>> meter.table().select("phase", "cpu_s", "calls").rows()
    [('features', 1.0, 1), ('fit', 2.0, 1)]
    """

    def __init__(self, clocks: Callable[[], Reading] = read_clocks) -> None:
        self.clocks = clocks
        self.charges: dict[tuple[str, Phase], Charge] = {}  # by (owner, phase)
        self._open: list[tuple[dict[str, float], Phase]] = []  # share of each owner
        self._thread = 0
        self._last = clocks()
        self._credit_s = 0.0  # CPU of children that reported it themselves, not yet seen in the children's clock

    @contextmanager
    def charge(self, owner: str, phase: Phase | str) -> Iterator[None]:
        """Charges the block to `owner`, less what inner blocks are charged; also when it raises.

        Raises:
            UnknownNameError: no such phase.
            RuntimeError: another thread has a charge open; threads of the block itself are counted anyway.
        """
        with self.charge_shared([owner], phase):
            yield

    @contextmanager
    def charge_shared(
        self, owners: Sequence[str], phase: Phase | str, weights: Sequence[float] | None = None
    ) -> Iterator[None]:
        """Charges the block to owners that all use its result; each counts one call.

        Args:
            owners: who, an owner named twice once. weights: in proportion to what, one for each name, those of an owner
                named twice added up; in equal parts without.

        Raises:
            SchemaError: no owner, or weights that are no shares. And as `charge`.
        """
        entry = (_shares(owners, phase, weights), _phase(phase))
        self._check_thread()
        self._mark()
        for owner in entry[0]:
            self._account(owner, entry[1]).calls += 1
        self._open.append(entry)
        try:
            yield
        finally:
            self._mark()
            self._open.pop()

    def absorb(self, record: dict[str, Any], *, child: bool = True) -> None:
        """Adds the record of another meter.

        Args:
            record: as `record()` gives it, also after JSON; it holds totals, so a worker uses a fresh meter per job.
            child: True where it comes from a child process of this one: the operating system reports that CPU a second
                time when the child ends, and the report is then not charged again. Absorb in the block that waits for
                the child, or before it ends. False for other machines, for foreign workers and for saved records.

        Raises:
            SchemaError: a record of another version. UnknownNameError: an unknown phase.
        """
        if record.get("version") != VERSION:
            raise SchemaError(f"meter record has version {record.get('version')}, known is {VERSION}")
        for row in record["charges"]:
            account = self._account(row["owner"], _phase(row["phase"]))
            account.cpu_s += row["cpu_s"]
            account.wall_s += row["wall_s"]
            account.calls += row["calls"]
            account.peak_mb = max(account.peak_mb, row["peak_mb"])
            self._credit_s += row["cpu_s"] if child else 0.0

    def record(self) -> dict[str, Any]:
        """All charges up to now, open ones included, as plain JSON-able values."""
        self._mark()
        rows = [{"owner": o, "phase": str(p), **asdict(c)} for (o, p), c in sorted(self.charges.items())]
        return {"version": VERSION, "charges": rows}

    def table(self) -> pl.DataFrame:
        """owner, phase, cpu_s, wall_s, calls, peak_mb; sorted by owner and phase."""
        kinds = {"cpu_s": pl.Float64, "wall_s": pl.Float64, "calls": pl.Int64, "peak_mb": pl.Float64}
        return pl.DataFrame(self.record()["charges"], schema={"owner": pl.String, "phase": pl.String, **kinds})

    @property
    def total_cpu_s(self) -> float:
        """CPU seconds of all charges up to now."""
        return sum(row["cpu_s"] for row in self.record()["charges"])

    def _account(self, owner: str, phase: Phase) -> Charge:
        return self.charges.setdefault((owner, phase), Charge())

    def _check_thread(self) -> None:
        if self._open and self._thread != threading.get_ident():
            raise RuntimeError(
                "another thread has a charge open on this meter, and CPU time is counted for the whole process: "
                "charge around the threads, or give worker processes meters of their own and absorb their records"
            )
        self._thread = threading.get_ident()

    def _mark(self) -> None:
        """Ends the slice: what it used goes to the innermost open charge, or to nobody."""
        last, self._last = self._last, self.clocks()
        children = self._last.child_cpu_s - last.child_cpu_s
        known = min(children, self._credit_s)
        self._credit_s -= known
        if not self._open:
            return
        shares, phase = self._open[-1]
        for owner, share in shares.items():
            account = self._account(owner, phase)
            account.cpu_s += (self._last.cpu_s - last.cpu_s + children - known) * share
            account.wall_s += (self._last.wall_s - last.wall_s) * share
            account.peak_mb = max(account.peak_mb, self._last.peak_mb)


def _shares(owners: Sequence[str], phase: Phase | str, weights: Sequence[float] | None) -> dict[str, float]:
    """Share of each owner; they add up to 1."""
    if not owners:
        raise SchemaError(f"a shared charge of phase '{phase}' needs at least one owner")
    if weights is None:
        return dict.fromkeys(owners, 1 / len(set(owners)))
    total = sum(weights)
    if len(weights) != len(owners) or not total > 0 or min(weights) < 0:
        raise SchemaError(f"weights {list(weights)[:5]} do not share a charge among {len(owners)} owners")
    shares = dict.fromkeys(owners, 0.0)
    for owner, weight in zip(owners, weights, strict=True):
        shares[owner] += weight / total
    return shares


def _phase(name: Phase | str) -> Phase:
    try:
        return Phase(name)
    except ValueError:
        raise UnknownNameError("phase", str(name), [str(phase) for phase in Phase]) from None
