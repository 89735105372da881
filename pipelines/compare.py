"""The comparison of nowcasters: what accuracy each configuration reached, and what it cost."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl
from rich import box
from rich.table import Table
from rich.text import Text

from forecast.errors import SchemaError
from pipelines.efficiency import PERIOD, with_efficiency

NAMES = ("experiment", "fleet", "nowcaster")
CHOICES = ("model", "reducer", "policy")
PER_TARGET = ("mae/", "skill/", "coverage")
TOTALS = ("cpu_s", "dC", "dE", "ENC", "retrains", "rows")
LOW_IS_GOOD = ("mae/", "cpu_s", "dC", "dE", "ENC")
HIGH_IS_GOOD = ("skill",)
HEADINGS = {"retrains": "re-/trains", "dC": "dC %", "dE": "dE %"}
WHOLE = ("retrains", "rows", "slots")


def compare(runs: pl.DataFrame) -> pl.DataFrame:
    """One row per configuration, best skill first.

    Args:
        runs: from `MlflowTracker.runs`, of one or many experiments. Of runs with the same experiment, fleet, nowcaster
            and parameters the newest counts that has any final figures.

    Returns:
        `experiment`, `fleet`, `nowcaster` where they differ, `model, reducer, policy`, every other parameter that
        differs, then the metrics that any run has of `mae/<target>, skill/<target>, coverage<n>/<target>, cpu_s, dC,
        dE, ENC, retrains, rows`, then `first_slot, slots` where the runs went over different stretches. Null where a
        run has none. dC, dE and ENC of runs made apart are computed here, see `with_efficiency`.

    Raises:
        SchemaError: there are no runs.
    """
    if runs.is_empty():
        raise SchemaError("there are no runs to compare: run a job first, or name the experiment it logged to")
    params = [c for c in runs.columns if c.startswith("params.")]
    newest = with_efficiency(_newest(runs, [*NAMES, *params]))
    chosen = [f"params.{c}" for c in CHOICES if f"params.{c}" in params]
    differing = [c for c in params if c not in chosen and newest[c].n_unique() > 1]
    where = [c for c in NAMES if newest[c].n_unique() > 1 and not _told_by(newest, c, chosen + differing)]
    metrics = [f"metrics.{m}" for m in final_metrics(newest.columns)]
    table = newest.select(where + chosen + differing + metrics, *_stretch(newest))
    return _best_first(table.rename(lambda c: c.removeprefix("params.").removeprefix("metrics.")))


def render(table: pl.DataFrame, title: str = "") -> Table:
    """`table` for the console: the best of each column in bold.

    Skill and coverage are means over targets; parameters that are not needed to tell the rows apart are left out.
    """
    short = _condensed(table)
    out = Table(title=title or None, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name, kind in short.schema.items():
        if kind.is_numeric():
            out.add_column(_heading(name), justify="right", no_wrap=True)
        else:
            out.add_column(name, overflow="ellipsis")
    best = {name: _best(short[name]) for name in short.columns}
    for row in short.iter_rows(named=True):
        out.add_row(*(_cell(name, value, best[name]) for name, value in row.items()))
    return out


def _newest(runs: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    figures = [f"metrics.{m}" for m in final_metrics(runs.columns)]
    finished = pl.any_horizontal(pl.col(figures).is_not_null()) if figures else pl.lit(value=False)
    order = runs.sort(finished, "started", descending=True, maintain_order=True)
    return order.unique(keys, keep="first", maintain_order=True)


def _stretch(runs: pl.DataFrame) -> list[pl.Expr]:
    """Which slots a run went over, where that is not the same for all."""
    if not set(PERIOD) <= set(runs.columns) or runs.drop_nulls(PERIOD).select(PERIOD).n_unique() < 2:
        return []
    first = pl.from_epoch(pl.col("metrics.first_slot").cast(pl.Int64)).dt.strftime("%Y-%m-%d %H:%M")
    return [first.alias("first_slot"), pl.col("metrics.slots").alias("slots")]


def final_metrics(columns: Sequence[str]) -> list[str]:
    """The metrics to compare among the columns of `MlflowTracker.runs`, in the order to show them."""
    found = [c.removeprefix("metrics.") for c in columns if c.startswith("metrics.")]
    per_target = [m for prefix in PER_TARGET for m in found if m.startswith(prefix)]
    return per_target + [m for m in TOTALS if m in found]


def _told_by(frame: pl.DataFrame, name: str, others: Sequence[str]) -> bool:
    """Whether the other columns say already which `name` a row belongs to."""
    return bool(others) and frame.select(others).n_unique() == frame.select(*others, name).n_unique()


def _best_first(table: pl.DataFrame) -> pl.DataFrame:
    skills = [c for c in table.columns if c.startswith("skill/")]
    errors = [c for c in table.columns if c.startswith("mae/")]
    if not skills and not errors:
        return table
    order = pl.mean_horizontal(skills) if skills else -pl.mean_horizontal(errors)
    return table.sort(order, descending=True, nulls_last=True, maintain_order=True)


def _condensed(table: pl.DataFrame) -> pl.DataFrame:
    means = dict.fromkeys(c.split("/")[0] + "/" for c in table.columns if c.startswith(("skill/", "coverage")))
    for prefix in means:
        columns = [c for c in table.columns if c.startswith(prefix)]
        if len(columns) > 1:
            table = table.with_columns(pl.mean_horizontal(columns).alias(columns[0])).drop(columns[1:])
            table = table.rename({columns[0]: prefix + "mean"})
    words = [c for c in table.columns if table[c].dtype == pl.String]
    enough = [c for c in words if c in (*NAMES, *CHOICES)]
    if enough and table.select(enough).is_unique().all():
        table = table.drop(c for c in words if c not in enough)
    return table


def _best(column: pl.Series) -> float | None:
    if column.null_count() == len(column) or column.n_unique() == 1 or not column.dtype.is_numeric():
        return None
    if column.name.startswith(LOW_IS_GOOD):
        return column.min()  # type: ignore[return-value]
    return column.max() if column.name.startswith(HIGH_IS_GOOD) else None  # type: ignore[return-value]


def _heading(name: str) -> str:
    """Header "mae/temperature" on two lines, long words cut, so that four targets fit."""
    words = re.sub(r"^coverage([\d.]+)", r"in \1 %", HEADINGS.get(name, name)).split("/")
    return "\n".join(word if len(word) <= 7 or "%" in word else word[:5] + "." for word in words)


def _cell(name: str, value: object, best: float | None) -> Text:
    if value is None:
        return Text("-", style="dim")
    if not isinstance(value, float):
        return Text(str(value))
    text = f"{value:,.0f}" if name in WHOLE or abs(value) >= 1000 else f"{value or 0.0:#.3g}".rstrip(".")
    return Text(text, style="bold green" if value == best else "")
