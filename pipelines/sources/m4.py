"""M4: the series of the M4 competition, which know no dates, on one grid that ends where each of them ends.

The competition's tables number the values of each series from 1, with the test values apart and numbered anew. Where a
series began in time was not published: the last value for training stands at one hour for all, the test follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import polars as pl

from forecast.errors import SchemaError, UnknownNameError
from forecast.frame import canonical
from forecast.panel import stamp
from forecast.schema import Variable, duration
from pipelines.protocols import Batch
from pipelines.sources.mapping import REJECTED
from pipelines.sources.replay import locate, read_table

COLUMNS = ("series", "t", "value")
END = datetime(2000, 1, 1, tzinfo=UTC)  # made up, as any would be: where training ends


class M4:
    """Two tables with the columns `series, t, value`, training and test, as one source.

    Args:
        train, test: the tables, as in `Replay`.
        variable: what the values are called. step: between two values.
        name: key of the position. origin: where the tables can be had, for whoever lacks them.

    Raises:
        MissingTableError, SchemaError, UnknownNameError: at the first poll, if there are no such tables.
    """

    def __init__(
        self,
        train: str,
        test: str,
        variable: Variable,
        step: timedelta | str = "1h",
        name: str = "m4",
        origin: str = "",
    ) -> None:
        self.train = train
        self.test = test
        self.variable = variable
        self.step = duration(step)
        self.name = name
        self.origin = origin

    def poll(self, positions: Mapping[str, int], until: datetime) -> Batch:
        """Rows after the position, in microseconds since 1970, and by `until`."""
        if until.tzinfo is None:
            raise SchemaError(f"until is {until}, without a zone: give an aware datetime, e.g. tzinfo=UTC")
        after, last = positions.get(self.name), int(stamp(until).astype(np.int64))
        micros = self._rows["seen"].cast(pl.Int64)
        wanted = (micros <= last) & (micros > after if after is not None else pl.repeat(True, len(micros), eager=True))
        frame = self._rows.filter(wanted)
        moved = {self.name: int(frame["seen"].cast(pl.Int64).max())} if frame.height else {}  # type: ignore[arg-type]
        return Batch(frame, {**positions, **moved}, pl.DataFrame(schema=REJECTED))

    @cached_property
    def _rows(self) -> pl.DataFrame:
        """Every value as a canonical row; training ends at END, the test begins one step later."""
        train, test = self._table(self.train), self._table(self.test)
        train = train.with_columns(ahead=pl.col("t") - pl.col("t").max().over("series"))
        rows = pl.concat([train, test.with_columns(ahead=pl.col("t"))])
        width = int(self.step / timedelta(microseconds=1))
        time = pl.lit(END) + pl.duration(microseconds=pl.col("ahead") * width)
        return canonical(
            rows.select("series", time=time.cast(pl.Datetime("us", "UTC")), **{self.variable.name: pl.col("value")}),
            [self.variable],
        )

    def _table(self, path: str) -> pl.DataFrame:
        table = read_table(locate(path, self.origin))
        for column in COLUMNS:
            if column not in table.columns:
                raise UnknownNameError("column of the table", column, table.columns)
        return table.select(pl.col("series").cast(pl.String), pl.col("t").cast(pl.Int64), pl.col("value").cast(float))
