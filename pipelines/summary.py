"""What a run showed: error, skill, cost and their ratio, per nowcaster, from what the store recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from forecast.metrics import Efficiency, scores, skill
from pipelines.fleet import Fleet, Nowcaster
from pipelines.protocols import Store

BASELINE = "persistence"
REFERENCE = {"reducer": "full", "policy": "always"}
PLACE = ("series", "target")  # labels of nowcasters that do not ask for everything
RATIOS = ("dC", "dE", "ENC")


def summarise(fleet: Fleet) -> pl.DataFrame:
    """One row per nowcaster: labels, `mae/<target>`, `skill/<target>`, `coverage<n>/<target>`, `cpu_s`, `dC`, `dE`, ...

    Error and cost are compared with the same model, of the same series and target, retrained in every slot on the full
    history; null where the fleet has no such nowcaster. `series` and `target` are columns where any nowcaster does not
    ask for everything. Coverage is that of the widest interval, n its nominal per cent: 80 for the levels
    0.1 and 0.9; absent without an interval. E is the mean over targets of MAE against that reference, on identical
    pairs.
    """
    store = fleet.edges.store
    settled = store.records("settled")
    if settled.is_empty():
        return pl.DataFrame()
    table = _labels(fleet.nowcasters.values())
    for part in (_errors(settled, fleet.task.target_names), _costs(store), _trainings(store)):
        table = table.join(part, on="nowcaster", how="left", maintain_order="left")
    return _efficiency(table, settled)


def _labels(nowcasters: Iterable[Nowcaster]) -> pl.DataFrame:
    made = list(nowcasters)
    keys = ("model", "reducer", "policy", *(k for k in PLACE if any(n.labels.get(k) for n in made)))
    return pl.DataFrame([{"nowcaster": n.name, **{k: n.labels.get(k, "") for k in keys}} for n in made])


def _errors(settled: pl.DataFrame, targets: Sequence[str]) -> pl.DataFrame:
    names = set(settled["nowcaster"].unique())
    found = scores(settled, by=["nowcaster", "variable"])
    nominal = percent(found)
    if BASELINE in names:
        gains = skill(settled, BASELINE, by=["variable"]).select("nowcaster", "variable", skill="skill_mae")
        found = found.join(gains, on=["nowcaster", "variable"], how="left", maintain_order="left")
    columns = {"mae": "mae", "coverage": f"coverage{nominal}", "skill": "skill"}
    wide = found.select("nowcaster").unique(maintain_order=True)
    for column, prefix in columns.items():
        for target in targets:
            if column in found.columns:
                one = found.filter(pl.col("variable") == target).select(
                    "nowcaster", pl.col(column).alias(f"{prefix}/{target}")
                )
                wide = wide.join(one, on="nowcaster", how="left", maintain_order="left")
    return wide


def percent(scored: pl.DataFrame) -> str:
    """Nominal coverage of the widest interval among `scores`, in per cent; empty if there is none.

    >>> percent(pl.DataFrame({"nominal": [0.9, 0.9]}))
    '90'
    """
    return f"{100 * scored['nominal'][0]:g}" if "nominal" in scored.columns and scored.height else ""


def _costs(store: Store) -> pl.DataFrame:
    return (
        store.records("costs")
        .group_by("nowcaster", maintain_order=True)
        .agg(pl.col("cpu_s").sum(), pl.col("wall_s").sum())
    )


def _trainings(store: Store) -> pl.DataFrame:
    trained = pl.col("action") == "retrain"
    return (
        store.records("decisions")
        .group_by("nowcaster", maintain_order=True)
        .agg(
            retrains=trained.sum(),
            promotions=pl.col("promoted").sum(),
            rows=pl.col("rows").filter(trained).mean(),
            slots=pl.len(),
        )
    )


def _efficiency(table: pl.DataFrame, settled: pl.DataFrame) -> pl.DataFrame:
    found, forecasting = [], set(settled["nowcaster"].unique())
    for row in table.iter_rows(named=True):
        reference = _reference(table.drop_nulls("cpu_s"), row)
        if reference is not None and {row["nowcaster"], reference["nowcaster"]} <= forecasting:
            found.append(_ratios(row, reference, settled))
        else:
            found.append(dict.fromkeys(RATIOS))
    ratios = pl.DataFrame(found, schema=dict.fromkeys(RATIOS, pl.Float64))
    return table.hstack(ratios.with_columns(pl.all().fill_nan(None)))


def _reference(table: pl.DataFrame, row: Mapping[str, object]) -> dict[str, Any] | None:
    alike = ("model", *(k for k in PLACE if k in row))
    same = table.filter(*(pl.col(k) == row[k] for k in alike), *(pl.col(k) == v for k, v in REFERENCE.items()))
    return same.row(0, named=True) if same.height else None


def _ratios(row: Mapping[str, Any], reference: Mapping[str, Any], settled: pl.DataFrame) -> dict[str, float | None]:
    both = settled.filter(pl.col("nowcaster").is_in([row["nowcaster"], reference["nowcaster"]]))
    ratios = skill(both, reference["nowcaster"], by=["variable"]).filter(pl.col("nowcaster") == row["nowcaster"])
    shares = (ratios["mae"] / ratios["mae_ref"]).drop_nulls()
    error = float(shares.mean()) if shares.len() else float("nan")  # type: ignore[arg-type]  # no pair in common
    e = Efficiency(error, 1.0, row["cpu_s"], reference["cpu_s"])
    return {"dC": e.d_cost, "dE": e.d_error, "ENC": e.enc}
