"""What MLflow gets to see of a backtest: a parent run, a child per contestant, curves with step = lead."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.backtest.scores import MEAN
from pipelines.protocols import Tracker

CURVES = ("mae", "rmse", "mase", "crps", "coverage", "width", "skill_mae", "skill_crps")
FINAL = ("mae", "rmse", "mase", "crps", "coverage", "skill_mae", "skill_crps", "sd_mae")
COUNTS = ("fits", "promotions", "refusals", "failures")
NAMES = {"skill_mae": "skill"}


def log(tracker: Tracker, table: pl.DataFrame, costs: pl.DataFrame, nominal: float) -> None:
    """Log curves by lead, means over the leads and costs; of several horizons each under `h<horizon>/`.

    `costs` are of one seed of each contestant, see `pipelines.backtest.about.per_seed`.
    """
    horizons = table["horizon"].unique().sort().to_list()
    for row in table.iter_rows(named=True):
        place = f"h{row['horizon']}/" if len(horizons) > 1 else ""
        if row["lead"] == MEAN:
            found = _named(row, FINAL, place, nominal)
            tracker.log(row["label"], found, 0)
        else:
            tracker.log(row["label"], _named(row, CURVES, f"{place}lead/", nominal), row["lead"])
    for (label,), rows in costs.group_by("label", maintain_order=True):
        spent = {c: float(rows[c].sum()) for c in rows.columns if c.endswith("_cpu_s")}
        total = {"cpu_s": sum(spent.values()), "rows": float(rows["rows"].mean())}  # type: ignore[arg-type]
        counts = {c: float(rows[c].fill_null(0).sum()) for c in COUNTS if c in rows.columns}
        tracker.log(str(label), {**spent, **total, **counts}, 0)


def _named(row: dict, names: Sequence[str], place: str, nominal: float) -> dict[str, float]:
    found = {}
    for name in names:
        if row.get(name) is not None:
            shown = f"{name}{100 * nominal:g}" if name in ("coverage", "width") else NAMES.get(name, name)
            found[f"{place}{shown}/{row['variable']}"] = float(row[name])
    return found
