"""Scores and skill of settled forecasts, as tables: polars throughout, the same bits for any order of the rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from forecast.errors import SchemaError, UnknownNameError

PAIR = ("origin", "series", "variable", "lead")  # what makes two forecasts answer the same question
BY = ("nowcaster", "variable", "lead")
Columns = dict[str, pl.Expr]


def scores(settled: pl.DataFrame, by: Sequence[str] = BY) -> pl.DataFrame:
    """Errors per group.

    Args:
        settled: long frame with `truth`, `point`, quantiles `q0.1`, `q0.5`, ... if any, and the columns of `by`;
            null or NaN where not known.
        by: columns that make the groups; none for one row over everything.

    Returns:
        Sorted by `by`: n (pairs with truth and point), left_out (rows without), mae, rmse, bias; with quantiles also
        n_quantiles, pinball_<level>, crps (an approximation, see `quantile_crps`); of the widest central interval
        nominal, coverage, width; of narrower ones coverage_<per cent>, width_<per cent>. In the variable's unit: group
        by `variable` unless all share one. Null where a group has no pair.

    Raises:
        SchemaError: a column is missing, or holds infinite values.

    >>> frame = pl.DataFrame({"lead": [1, 1, 2], "truth": [1.0, 2.0, None], "point": [2.0, 4.0, 1.0]})
    >>> scores(frame, by=["lead"]).select("lead", "n", "mae").rows()
    [(1, 2, 1.5), (2, 0, None)]
    """
    by, levels = list(dict.fromkeys(by)), quantile_levels(settled)
    _check(settled, ["truth", "point", *by], levels)
    clean = _clean(settled, by, levels)
    point, spread = _point_losses(""), _quantile_losses("", levels)
    aggregates = {
        "n": point["mae"].count(),
        "left_out": point["mae"].null_count(),
        **_means({**point, "bias": pl.col("point") - pl.col("truth")}),
        **({"n_quantiles": spread["crps"].count()} if levels else {}),
        **_means(spread),
        **_intervals(levels),
    }
    return _grouped(clean, by, aggregates)


def skill(settled: pl.DataFrame, reference: str = "persistence", by: Sequence[str] = BY) -> pl.DataFrame:
    """Skill of every nowcaster against one of them, 1 - E / E_ref, on identical pairs.

    Args:
        settled: as for `scores`, with `nowcaster`, `origin`, `series`, `variable`, `lead`.
        reference: the nowcaster that skill is measured against.
        by: columns that make the groups; `nowcaster` always is one.

    Returns:
        Sorted by group: n (pairs both have), left_out (rows of the nowcaster without such a pair), and for mae, rmse
        and, with quantiles, crps: the error, `<error>_ref`, `skill_<error>`. Both errors are against the nowcaster's
        own truth. Null where the reference makes no error or there is no pair.

    Raises:
        SchemaError: a column is missing, infinite values, or a forecast that was settled twice.
        UnknownNameError: no such reference.

    >>> same = {"origin": 0, "series": "EWR", "variable": "temperature", "lead": 1, "truth": 0.0}
    >>> frame = pl.DataFrame([same | {"nowcaster": n, "point": p} for n, p in [("lstm", 1.0), ("persistence", 4.0)]])
    >>> skill(frame).select("nowcaster", "n", "skill_mae").rows()
    [('lstm', 1, 0.75), ('persistence', 1, 0.0)]
    """
    by, levels = list(dict.fromkeys(["nowcaster", *by])), quantile_levels(settled)
    _check(settled, ["truth", "point", *PAIR, *by], levels)
    pairs = _paired(settled, reference, by, levels)
    own, other = _point_losses(""), _point_losses("_ref")
    if levels:
        own["crps"], other["crps"] = _quantile_losses("", levels)["crps"], _quantile_losses("_ref", levels)["crps"]
    own, other = _both(own, other), _both(other, own)
    aggregates: Columns = {"n": own["mae"].count(), "left_out": own["mae"].null_count()}
    for name, mine, theirs in zip(own, _means(own).values(), _means(other).values(), strict=True):
        ratio = pl.when(theirs > 0).then(1 - mine / theirs)
        aggregates |= {name: mine, f"{name}_ref": theirs, f"skill_{name}": ratio}
    return _grouped(pairs, by, aggregates)


def quantile_levels(frame: pl.DataFrame) -> dict[str, float]:
    """Column -> level of every quantile column (`q0.1`, ...), by increasing level."""
    found = {c: float(c[1:]) for c in frame.columns if re.fullmatch(r"q\d*\.?\d+(e-?\d+)?", c)}
    return dict(sorted(((c, level) for c, level in found.items() if 0 < level < 1), key=lambda item: item[1]))


def _check(frame: pl.DataFrame, needed: list[str], levels: dict[str, float]) -> None:
    missing = [c for c in dict.fromkeys(needed) if c not in frame.columns]
    if missing:
        raise SchemaError(f"settled forecasts lack the columns {missing}: given are {frame.columns}")
    for name in ("truth", "point", *levels):
        bad = frame.select(pl.col(name).cast(pl.Float64).is_infinite().sum()).item()
        if bad:
            raise SchemaError(
                f"column '{name}' has {bad} infinite values: use null for what is not known, mend the rest"
            )


def _clean(frame: pl.DataFrame, by: list[str], levels: dict[str, float]) -> pl.DataFrame:
    """NaN to null, and one order of rows, so that sums repeat to the last bit."""
    numbers = ["truth", "point", *levels]
    keys = [c for c in (*by, "nowcaster", *PAIR, *numbers) if c in frame.columns]
    filled = frame.with_columns(pl.col(*numbers).cast(pl.Float64).fill_nan(None))
    return filled.sort(list(dict.fromkeys(keys)), nulls_last=True)


def _paired(settled: pl.DataFrame, reference: str, by: list[str], levels: dict[str, float]) -> pl.DataFrame:
    names = settled["nowcaster"].unique().to_list()
    if reference not in names:
        raise UnknownNameError("nowcaster", reference, [str(name) for name in names])
    twice = settled.select(pl.struct("nowcaster", *PAIR).is_duplicated().sum()).item()
    if twice:
        raise SchemaError(f"{twice} rows share nowcaster, {', '.join(PAIR)} with another: a forecast settles once")
    clean = _clean(settled, by, levels)
    columns = [pl.col(c).alias(f"{c}_ref") for c in ("point", *levels)]
    other = clean.filter(pl.col("nowcaster") == reference).select(*PAIR, *columns)
    return clean.join(other, on=list(PAIR), how="left", maintain_order="left")


def _point_losses(suffix: str) -> Columns:
    gap = pl.col(f"point{suffix}") - pl.col("truth")
    return {"mae": gap.abs(), "rmse": gap**2}


def _quantile_losses(suffix: str, levels: dict[str, float]) -> Columns:
    losses: Columns = {}
    for column, level in levels.items():
        gap = pl.col("truth") - pl.col(f"{column}{suffix}")
        losses[f"pinball_{level:g}"] = pl.when(gap >= 0).then(level * gap).otherwise((level - 1) * gap)
    if losses:
        losses["crps"] = 2 * pl.sum_horizontal(*losses.values(), ignore_nulls=False) / len(losses)
    return losses


def _intervals(levels: dict[str, float]) -> Columns:
    """Coverage and width of every central interval, the widest first and without a suffix."""
    found: Columns = {}
    names = list(levels)
    for low in names[: len(names) // 2]:
        high = [c for c in names if abs(levels[c] + levels[low] - 1) < 1e-9]
        if not high:
            continue
        nominal = round(1 - 2 * levels[low], 9)
        suffix = f"_{100 * nominal:g}" if found else ""
        if not found:
            found["nominal"] = pl.lit(nominal)
        inside = pl.col("truth").is_between(pl.col(low), pl.col(high[0]))
        known = pl.col("truth").is_not_null() & pl.col(low).is_not_null() & pl.col(high[0]).is_not_null()
        found[f"coverage{suffix}"] = pl.when(known).then(inside.cast(pl.Float64)).mean()
        found[f"width{suffix}"] = pl.when(known).then(pl.col(high[0]) - pl.col(low)).mean()
    return found


def _both(losses: Columns, others: Columns) -> Columns:
    """Losses, null wherever the other side has none."""
    return {name: pl.when(others[name].is_not_null()).then(loss) for name, loss in losses.items()}


def _means(losses: Columns) -> Columns:
    return {name: loss.mean().sqrt() if name == "rmse" else loss.mean() for name, loss in losses.items()}


def _grouped(frame: pl.DataFrame, by: list[str], aggregates: Columns) -> pl.DataFrame:
    columns = [expression.alias(name) for name, expression in aggregates.items()]
    if not by:
        return frame.lazy().select(columns).collect(engine="in-memory")
    return frame.lazy().group_by(by, maintain_order=True).agg(columns).collect(engine="in-memory")
