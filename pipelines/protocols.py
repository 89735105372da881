"""The edges of the loop: where observations come from, where they stay, where results are shown.

Each has an in-memory twin, so that the loop is tested without a disk or a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import polars as pl


@dataclass(frozen=True, eq=False)
class Batch:
    """What one poll brought.

    Args:
        frame: canonical rows (`series, time, seen`, Float64 columns), faulty cells already null.
        positions: where the source stands after these rows, per partition key; integers that only grow.
        rejected: what could not be taken: `series, time, seen, variable, value, reason`.
    """

    frame: pl.DataFrame
    positions: Mapping[str, int]
    rejected: pl.DataFrame


@runtime_checkable
class Source(Protocol):
    """A stream that can be asked again from any position."""

    name: str

    def poll(self, positions: Mapping[str, int], until: datetime) -> Batch:
        """Rows after `positions` that were seen by `until`. The same question has the same answer."""
        ...


@runtime_checkable
class Store(Protocol):
    """An append-only table of observations, and append-only tables of records beside it."""

    def append(self, frame: pl.DataFrame, positions: Mapping[str, int]) -> bool:
        """Add rows and move the positions in one commit. False, and nothing is written, if no position would grow."""
        ...

    def read(
        self,
        *,
        as_of: datetime | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        series: Sequence[str] | None = None,
        vintages: bool = False,
    ) -> pl.DataFrame:
        """Rows with start <= time <= end seen by `as_of`; the newest of each (series, time) unless `vintages`."""
        ...

    def positions(self) -> dict[str, int]: ...

    def version(self) -> int:
        """Grows with each commit of observations. Old ones open for 30 days; `read(as_of=)` has no limit."""
        ...

    def record(self, table: str, rows: pl.DataFrame, key: int) -> bool:
        """Append `rows` to a record table once per key; False, and nothing written, unless `key` grows."""
        ...

    def records(self, table: str, *, since: datetime | None = None) -> pl.DataFrame:
        """A record table in the order written, `slot` >= `since`. Empty, without columns, if never written."""
        ...

    def compact(self) -> None: ...


@runtime_checkable
class Tracker(Protocol):
    """Where runs are shown and models registered."""

    def open(self, fleet: str, config: Mapping[str, Any], nowcasters: Mapping[str, Mapping[str, Any]]) -> None:
        """Open, or find again after a restart, a run for the fleet and a child run per nowcaster."""
        ...

    def log(self, nowcaster: str, metrics: Mapping[str, float], step: int) -> None:
        """Metrics of one nowcaster at a slot (or lead). Buffered; `flush` writes."""
        ...

    def artifact(self, path: Path, nowcaster: str | None = None) -> None: ...

    def register(self, nowcaster: str, folder: Path, tags: Mapping[str, str]) -> None:
        """Register a model folder as a new version and make it the champion; the former one becomes `previous`."""
        ...

    def flush(self) -> None: ...

    def close(self, status: str = "FINISHED") -> None: ...


@dataclass
class NullTracker:
    """Tracks nothing; keeps what it was told, for tests."""

    logged: list[tuple[str, dict[str, float], int]] = field(default_factory=list)
    registered: list[str] = field(default_factory=list)

    def open(self, fleet: str, config: Mapping[str, Any], nowcasters: Mapping[str, Mapping[str, Any]]) -> None: ...

    def log(self, nowcaster: str, metrics: Mapping[str, float], step: int) -> None:
        self.logged.append((nowcaster, dict(metrics), step))

    def artifact(self, path: Path, nowcaster: str | None = None) -> None: ...

    def register(self, nowcaster: str, folder: Path, tags: Mapping[str, str]) -> None:
        self.registered.append(nowcaster)

    def flush(self) -> None: ...

    def close(self, status: str = "FINISHED") -> None: ...
