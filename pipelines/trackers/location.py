"""Where MLflow keeps its runs: a folder with a SQLite database and artifacts, or a server's address.

A new database is migrated once, beside its place and under a file lock, then renamed: several processes may
start at once, and a process killed half way leaves nothing half made.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock

DATABASE = "mlflow.db"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)


@dataclass(frozen=True)
class Location:
    """One place for runs, metrics, artifacts and registered models.

    Args:
        place: a folder (made absolute, so that no later change of directory matters), or a URI with "://".

    >>> Location("http://127.0.0.1:5000").uri
    'http://127.0.0.1:5000'
    """

    place: str | Path

    @cached_property
    def folder(self) -> Path | None:
        """The absolute folder; None for a server."""
        return None if "://" in str(self.place) else Path(self.place).expanduser().resolve()

    @property
    def uri(self) -> str:
        """What MLflow calls tracking URI and registry URI; set MLFLOW_TRACKING_URI to it to load models."""
        return str(self.place) if self.folder is None else f"sqlite:///{self.folder / DATABASE}"

    @property
    def artifacts(self) -> str | None:
        """Root of the artifacts; None leaves it to the server."""
        return None if self.folder is None else str(self.folder / "artifacts")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One process at a time; a server needs no lock."""
        if self.folder is None:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".mlflow.lock"):
            yield

    def ensure(self) -> None:
        """Make the database if there is none."""
        if self.folder is None or (self.folder / DATABASE).exists():
            return
        with self.lock():
            if not (self.folder / DATABASE).exists():
                self._migrate(self.folder)

    def _migrate(self, folder: Path) -> None:
        quiet_logs()
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        fresh = folder / (DATABASE + ".new")
        fresh.unlink(missing_ok=True)
        store = SqlAlchemyStore(f"sqlite:///{fresh}", self.artifacts)
        store.engine.dispose()
        SqlAlchemyStore._engine_map.pop(f"sqlite:///{fresh}", None)
        with closing(sqlite3.connect(fresh)) as database:
            database.execute("PRAGMA journal_mode=WAL")  # the pages read while the loop writes
        fresh.rename(folder / DATABASE)


def quiet_logs() -> None:
    """Warnings and errors of MLflow and its migrations only."""
    import logging

    import mlflow  # noqa: F401  (its import sets the levels)

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
