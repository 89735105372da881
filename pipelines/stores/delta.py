"""The store on disk: Delta tables (deltalake, polars), the embedded default and the one that scales out.

Each micro-batch is one commit, and the positions of its source travel in the same commit as application
transactions: a crash leaves both or neither. Readers are never locked out; writers of other processes are
met by trying again. There are no partitions: the time statistics of each file skip the rest, and every
50th commit folds the small files, so that neither a commit nor a read grows with age.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import polars as pl
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from forecast.errors import SchemaError
from forecast.frame import empty
from forecast.schema import Variable
from pipelines.stores.base import BaseStore, StoreError, same_types

OBSERVATIONS, KEYS_SEEN = "observations", "position_keys"
FOLD_EVERY = 50  # commits; a read opens at most this many small files
FILE_BYTES = 16 * 1024**2  # a file this large is not rewritten again
GROUP_ROWS = 65_536  # rows that one entry of time statistics inside a file covers
KEEP_DAYS = 30  # how long an old version can be opened; without an end, listing the log would slow every commit
ATTEMPTS = 50  # each failed one means that another process got on
ORDER = ("_key", "_row")  # how a record table remembers the order written


class DeltaStore(BaseStore):
    """Observations and records in one folder, shared by any number of processes.

    Args:
        folder: made on the first write; a path, or a URL such as s3://bucket/weather.
        variables: what the columns mean; must be those the folder was made with.

    Raises:
        StoreError: the folder cannot be made, read or written.
        SchemaError: the folder holds other columns.

    Source: Armbrust et al., "Delta Lake", PVLDB 13(12), 2020, section 3; the transaction action is in the
    Delta protocol, "Transaction Identifiers".

    >>> import tempfile
    >>> from datetime import UTC, datetime
    >>> store = DeltaStore(tempfile.mkdtemp(), [Variable("temperature", "degC")])
    >>> row = {"series": ["EWR"], "time": [datetime(2013, 1, 1, tzinfo=UTC)], "temperature": [3.9]}
    >>> store.append(pl.DataFrame(row), {"replay": 1}), store.append(pl.DataFrame(row), {"replay": 1})
    (True, False)
    >>> store.positions(), store.read()["temperature"].to_list()
    ({'replay': 1}, [3.9])
    """

    def __init__(self, folder: str | Path, variables: Sequence[Variable]) -> None:
        super().__init__(variables)
        self.folder = str(folder).rstrip("/")
        self._handles: dict[str, DeltaTable] = {}
        self._registered: set[str] = set()

    def positions(self) -> dict[str, int]:
        table = self._open(OBSERVATIONS)
        if table is None:
            return {}
        with self._told():
            found = {key: table.transaction_version(key) for key in self._position_keys()}
        return {key: at for key, at in found.items() if at is not None}

    def version(self) -> int:
        """Version of the observations table, 0 before the first row.

        `DeltaTable(folder + "/observations", version=n)` reads it again for 30 days; `read(as_of=...)` for ever.
        """
        table = self._open(OBSERVATIONS)
        return 0 if table is None else table.version()

    def compact(self) -> None:
        """Fold the small files of every table, free those superseded for 30 days, and write checkpoints."""
        found = {f"records/{path.name}" for path in Path(self.folder, "records").glob("*")}  # of a URL: those opened
        for name in sorted({OBSERVATIONS, *found, *self._handles}):
            table = self._open(name)
            if table is not None:
                with self._told():
                    _fold(table)
                    table.vacuum(retention_hours=24 * KEEP_DAYS, dry_run=False, full=True)
                    table.create_checkpoint()

    def _append(self, rows: pl.DataFrame, positions: dict[str, int]) -> bool:
        self._register(positions)
        return self._commit(OBSERVATIONS, rows, positions)

    def _rows(self, where: pl.Expr) -> pl.DataFrame:
        table = self._open(OBSERVATIONS)
        if table is None:
            return empty(v.name for v in self.variables)
        with self._told():
            return pl.scan_delta(table).filter(where).collect(engine="in-memory")

    def _record(self, table: str, rows: pl.DataFrame, key: int) -> bool:
        name = f"records/{table}"
        known = self._open(name)
        if known is not None:
            with self._told():
                kinds = pl.scan_delta(known).collect_schema()
            same_types(table, kinds, rows)
        ordered = rows.with_row_index("_row").select(pl.lit(key).cast(pl.Int64).alias("_key"), pl.all())
        return self._commit(name, ordered.with_columns(pl.col("_row").cast(pl.Int64)), {"record": key})

    def _records(self, table: str, where: pl.Expr) -> pl.DataFrame:
        known = self._open(f"records/{table}")
        if known is None:
            return pl.DataFrame()
        with self._told():
            rows = pl.scan_delta(known).filter(where).collect(engine="in-memory")
        return rows.sort(ORDER).drop(ORDER)

    def _commit(self, name: str, rows: pl.DataFrame, wanted: Mapping[str, int]) -> bool:
        """One commit of `rows` and every transaction of `wanted` that grows; False if none does."""
        with self._told():
            for _ in range(ATTEMPTS):
                table = self._open(name) or self._create(name, rows)
                grown = [Transaction(app, at) for app, at in wanted.items() if _grows(table, app, at)]
                if wanted and not grown:
                    return False
                try:
                    self._write(table, rows, grown)
                except CommitFailedError:
                    continue  # another process moved one of these positions: look again
                if table.version() % FOLD_EVERY == 0:
                    _fold(table)
                return True
        raise StoreError(f"'{self.folder}/{name}': {ATTEMPTS} commits in a row met another writer; run fewer at once")

    def _write(self, table: DeltaTable, rows: pl.DataFrame, grown: list[Transaction]) -> None:
        same = {field.name for field in table.schema().fields} == set(rows.columns)
        properties = CommitProperties(app_transactions=grown)
        mode: Literal["merge"] | None = None if same else "merge"  # records: new columns come, absent ones are null
        write_deltalake(table, rows, mode="append", commit_properties=properties, schema_mode=mode)

    def _open(self, name: str) -> DeltaTable | None:
        """The table at its newest version, or None before its first write."""
        with self._told():
            if name in self._handles:
                self._handles[name].update_incremental()
            elif DeltaTable.is_deltatable(f"{self.folder}/{name}"):
                self._keep(name, DeltaTable(f"{self.folder}/{name}"))
        return self._handles.get(name)

    def _create(self, name: str, rows: pl.DataFrame) -> DeltaTable:
        schema = Schema.from_arrow(rows.schema)
        durations = ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration")
        keep: dict[str, str | None] = dict.fromkeys(durations, f"interval {KEEP_DAYS} days")
        try:
            table = DeltaTable.create(f"{self.folder}/{name}", schema, mode="ignore", configuration=keep)
        except DeltaError:  # another process was faster, or the folder is no folder: opening tells
            table = DeltaTable(f"{self.folder}/{name}")
        return self._keep(name, table)

    def _keep(self, name: str, table: DeltaTable) -> DeltaTable:
        if name == OBSERVATIONS:
            stored = [field.name for field in table.schema().fields]
            given = empty(v.name for v in self.variables).columns
            if set(stored) != set(given):
                raise SchemaError(
                    f"the store '{self.folder}' has columns {stored}, the variables ask for {given}: "
                    "use the variables it was made with, or another folder"
                )
        return self._handles.setdefault(name, table)

    def _register(self, positions: Mapping[str, int]) -> None:
        """Remember the names of position keys, before their first commit: a name without a position is harmless."""
        if not self._registered >= positions.keys():
            fresh = sorted(positions.keys() - self._position_keys())
            if fresh:
                self._commit(KEYS_SEEN, pl.DataFrame({"key": fresh}), {})
            self._registered.update(positions)

    def _position_keys(self) -> list[str]:
        table = self._open(KEYS_SEEN)
        with self._told():
            return [] if table is None else sorted(set(pl.scan_delta(table).collect(engine="in-memory")["key"]))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (StoreError, SchemaError, pl.exceptions.ColumnNotFoundError):
            raise
        except (DeltaError, OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise self._unusable(error) from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # what Rust ends with on a damaged file
                raise
            raise self._unusable(error) from error

    def _unusable(self, error: BaseException) -> StoreError:
        what = next(iter(str(error).splitlines()), type(error).__name__)
        return StoreError(
            f"cannot use '{self.folder}' as a store: {what}. Give a folder that this user can write; where a file in "
            "it is damaged or gone, restore it, or delete the whole run, or take another run=NAME"
        )


def _grows(table: DeltaTable, app: str, at: int) -> bool:
    before = table.transaction_version(app)
    return before is None or at > before


def _fold(table: DeltaTable) -> None:
    """Rewrite the small files as few large ones; if another process does so at this moment, leave it to that one."""
    properties = WriterProperties(compression="ZSTD", max_row_group_size=GROUP_ROWS)
    try:
        table.optimize.compact(target_size=FILE_BYTES, writer_properties=properties)
    except CommitFailedError:
        table.update_incremental()
