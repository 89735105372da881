"""Slots: when a run is due, which runs were missed, and the lock that keeps two runs apart.

A slot is the time of the newest row a run may use. It falls due `latency` later, when that row has arrived:
the run of slot 12:00 with a latency of 20 minutes falls due at 12:20.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal

from filelock import FileLock, Timeout

from forecast.errors import ForecastError, SchemaError, UnknownNameError
from forecast.panel import EPOCH

Catchup = Literal["latest", "all", "none"]
CATCHUP = ("all", "latest", "none")


class LockedError(ForecastError, RuntimeError):
    """Another run holds the lock; this one did nothing."""

    exit_code = 4


def slot_of(now: datetime, step: timedelta, latency: timedelta = timedelta(0)) -> datetime:
    """The newest slot that is due: floor((now - latency) / step) * step, counted from 1970-01-01 UTC.

    Raises:
        SchemaError: naive `now`, or a step that is not positive.

    >>> from datetime import UTC
    >>> slot_of(datetime(2013, 1, 1, 12, 10, tzinfo=UTC), timedelta(hours=1), timedelta(minutes=20)).hour
    11
    """
    if now.tzinfo is None:
        raise SchemaError(f"{now} has no zone: give an aware datetime, e.g. tzinfo=UTC")
    if step <= timedelta(0):
        raise SchemaError(f"step is {step}: it must be positive")
    return EPOCH + (now - latency - EPOCH) // step * step


def due(
    last_done: datetime | None,
    now: datetime,
    step: timedelta,
    latency: timedelta = timedelta(0),
    catchup: Catchup = "latest",
    grace: timedelta | None = None,
) -> list[datetime]:
    """Slots to run now, oldest first; none where the newest is done, or the clock stands before `last_done`.

    Args:
        last_done: newest slot done, None before the first.
        catchup: "all" runs every slot missed since `last_done`; "latest" only the newest; "none" only the newest,
            and only while it is on time, at most `grace` after it fell due.
        grace: for "none"; half a step by default.

    >>> from datetime import UTC
    >>> done, now = datetime(2013, 1, 1, 9, tzinfo=UTC), datetime(2013, 1, 1, 12, 50, tzinfo=UTC)
    >>> [[s.hour for s in due(done, now, timedelta(hours=1), catchup=c)] for c in CATCHUP]
    [[10, 11, 12], [12], []]
    """
    if catchup not in CATCHUP:
        raise UnknownNameError("catchup", str(catchup), CATCHUP)
    newest = slot_of(now, step, latency)
    if last_done is not None and last_done >= newest:
        return []
    late = now - latency - newest
    if catchup == "none":
        return [newest] if late <= (step / 2 if grace is None else grace) else []
    if catchup == "latest" or last_done is None:
        return [newest]
    missed = (newest - slot_of(last_done, step)) // step
    return [newest - step * back for back in reversed(range(missed))]


class RunLock:
    """At most one run at a time; the operating system frees the lock when its holder dies, however it dies.

    Args:
        path: lock file; beside it `<path>.holder` says who holds it.

    Raises:
        LockedError: on entering, at once, naming the holder.

    >>> import tempfile
    >>> with RunLock(Path(tempfile.mkdtemp()) / "fleet.lock") as lock:
    ...     lock.holder() == f"process {os.getpid()} on {socket.gethostname()}"
    True
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._note = Path(f"{self.path}.holder")
        self._lock = FileLock(self.path)

    def holder(self) -> str:
        """Who took the lock last."""
        return self._note.read_text() if self._note.exists() else "an unknown process"

    def __enter__(self) -> RunLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise LockedError(
                f"'{self.path}' is held by {self.holder()}: wait for that run to end, or end it"
            ) from error
        self._note.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()
