"""Ledger: what was promised and how it turned out. Append-only; each row settles once.

A forecast for six hours ahead is known six hours later; until then its rows are pending.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

KEY = ("nowcaster", "series", "variable", "origin", "lead")


class Ledger:
    """Pending forecast rows of a fleet.

    Args:
        variables: targets, the columns of `truth` to settle against.
        patience: how long after its time a row waits for a late truth before it is given up.
    """

    def __init__(self, variables: Sequence[str], patience: timedelta) -> None:
        self.variables = tuple(variables)
        self.patience = patience
        self.pending: pl.DataFrame | None = None

    def issue(self, rows: pl.DataFrame) -> None:
        """Add forecast rows (`nowcaster, version, series, origin, time, lead, variable, status, point, q...`).

        Rows without a number (stale or missing series) promise nothing and are not kept.
        """
        rows = rows.filter(pl.col("point").is_not_null())
        self.pending = rows if self.pending is None else pl.concat([self.pending, rows])

    def settle(self, truth: pl.DataFrame, now: datetime) -> pl.DataFrame:
        """Rows whose truth is known now, with `truth` and `error = point - truth`, in the unit; they leave the ledger.

        Args:
            truth: canonical observations (`series, time`, one column per variable), null where unknown.
            now: rows older than `now - patience` that are still unknown are given up.
        """
        if self.pending is None:
            return pl.DataFrame()
        known = truth.unpivot(self.variables, index=["series", "time"], variable_name="variable", value_name="truth")
        joined = self.pending.join(
            known.filter(pl.col("truth").is_not_null()),
            on=["series", "time", "variable"],
            how="left",
            maintain_order="left",
        )
        matured = joined.filter(pl.col("truth").is_not_null()).with_columns(error=pl.col("point") - pl.col("truth"))
        waiting = pl.col("truth").is_null() & (pl.col("time") > now - self.patience)
        self.pending = joined.filter(waiting).drop("truth")
        return matured

    def reload(self, issued: pl.DataFrame, settled: pl.DataFrame, now: datetime) -> None:
        """Rebuild the pending rows after a restart from what the store recorded.

        Args:
            issued: forecast rows with their `slot`; those of slots after `now` will be issued again and are left out.
            settled: settled rows.
            now: the last finished slot.
        """
        self.pending = None
        if issued.is_empty():
            return
        promised = pl.col("point").is_not_null() & (pl.col("slot") <= now)
        rows = issued.filter(promised & (pl.col("time") > now - self.patience))
        if not settled.is_empty():
            rows = rows.join(settled.select(KEY), on=list(KEY), how="anti", maintain_order="left")
        self.pending = rows
