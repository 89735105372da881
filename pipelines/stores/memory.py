"""A store in memory: the twin of the Delta store, for tests and for backtests that keep nothing."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from forecast.frame import empty
from forecast.schema import Variable
from pipelines.stores.base import BaseStore, same_types


class MemoryStore(BaseStore):
    """Observations and records of one process.

    Args:
        variables: what the columns mean.

    >>> from datetime import UTC, datetime
    >>> store = MemoryStore([Variable("temperature", "degC")])
    >>> row = {"series": ["EWR"], "time": [datetime(2013, 1, 1, tzinfo=UTC)], "temperature": [3.9]}
    >>> store.append(pl.DataFrame(row), {"replay": 1}), store.append(pl.DataFrame(row), {"replay": 1})
    (True, False)
    >>> store.read()["temperature"].to_list()
    [3.9]
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        super().__init__(variables)
        self._commits: list[pl.DataFrame] = [empty(v.name for v in self.variables)]
        self._positions: dict[str, int] = {}
        self._tables: dict[str, list[pl.DataFrame]] = {}
        self._keys: dict[str, int] = {}
        self._version = 0

    def positions(self) -> dict[str, int]:
        return dict(self._positions)

    def version(self) -> int:
        return self._version

    def compact(self) -> None:
        self._commits = [pl.concat(self._commits)]

    def _append(self, rows: pl.DataFrame, positions: dict[str, int]) -> bool:
        grown = {key: at for key, at in positions.items() if key not in self._positions or at > self._positions[key]}
        if not grown:
            return False
        self._commits.append(rows)
        self._positions.update(grown)
        self._version += 1
        return True

    def _rows(self, where: pl.Expr) -> pl.DataFrame:
        self.compact()
        return self._commits[0].filter(where)

    def _record(self, table: str, rows: pl.DataFrame, key: int) -> bool:
        if table in self._keys and key <= self._keys[table]:
            return False
        for known in self._tables.get(table, []):
            same_types(table, known.schema, rows)
        self._tables.setdefault(table, []).append(rows)
        self._keys[table] = key
        return True

    def _records(self, table: str, where: pl.Expr) -> pl.DataFrame:
        if table not in self._tables:
            return pl.DataFrame()
        self._tables[table] = [pl.concat(self._tables[table], how="diagonal")]
        return self._tables[table][0].filter(where)
