"""Configurations: a fleet of one model for many stations and targets, seen as {model} x {reducer} x {policy}.

144 rows tell nobody anything; sixteen do.
"""

from __future__ import annotations

import polars as pl

from pipelines.summary import PLACE, RATIOS

CONFIGURATION = ("model", "reducer", "policy")
SUMS = ("cpu_s", "wall_s")


def placed(table: pl.DataFrame) -> bool:
    """Whether nowcasters of the `summarise` table ask for single series or targets."""
    return any(name in table.columns for name in PLACE)


def per_configuration(table: pl.DataFrame) -> pl.DataFrame:
    """One row per configuration of a `summarise` table; itself where every nowcaster asks for everything.

    dC, dE and ENC are geometric means over series and targets, each against its own reference; CPU and wall seconds
    are sums; errors, skills, coverage, trainings and rows are means. `nowcasters` says how many a row stands for.
    """
    if not placed(table):
        return table
    means = [c for c, kind in table.schema.items() if kind.is_numeric() and c not in (*RATIOS, *SUMS, "slots")]
    grown = {"dC": 1 + pl.col("dC") / 100, "dE": 1 + pl.col("dE") / 100, "ENC": pl.col("ENC")}
    rows = (
        _configured(table)
        .group_by("configuration", *CONFIGURATION, maintain_order=True)
        .agg(
            pl.col(means).mean(),
            pl.col(SUMS).sum(),
            pl.col("slots").max(),
            *(value.log().mean().exp().alias(name) for name, value in grown.items()),
            nowcasters=pl.len(),
        )
        .with_columns(dC=100 * (pl.col("dC") - 1), dE=100 * (pl.col("dE") - 1), nowcaster="configuration")
    )
    return rows.select(*(c for c in table.columns if c not in PLACE), "nowcasters")


def by_configuration(rows: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """Record rows under the names of `per_configuration`: forecasts of all series and targets of one side by side."""
    if not placed(table):
        return rows
    names = _configured(table).select("nowcaster", "configuration")
    joined = rows.join(names, on="nowcaster", how="left", maintain_order="left")
    return joined.with_columns(nowcaster="configuration").drop("configuration")


def of_one_place(rows: pl.DataFrame, table: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Record rows of the nowcasters of the first series and target, and of those that ask for everything; which."""
    if not placed(table):
        return rows, ""
    places = [c for c in table.columns if c in PLACE]
    asking = table.filter(pl.any_horizontal(pl.col(places) != ""))
    first = asking.row(0, named=True)
    chosen = pl.all_horizontal(pl.col(places) == "") | pl.all_horizontal(pl.col(k) == first[k] for k in places)
    names = table.filter(chosen).select("nowcaster")
    where = " ".join(first[k] for k in places)
    return rows.join(names, on="nowcaster", how="semi", maintain_order="left"), where


def _configured(table: pl.DataFrame) -> pl.DataFrame:
    """`table` with the name of each row's configuration; a nowcaster that has one to itself keeps its own name."""
    joined = pl.concat_str(CONFIGURATION, separator=".")
    alone = pl.len().over(CONFIGURATION) == 1
    return table.with_columns(configuration=pl.when(alone).then("nowcaster").otherwise(joined))
