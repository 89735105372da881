"""What the abstract of arXiv 2309.15207 claims, beside what a run measured.

E and C are ours to define (docs: ENC = (E / E_ref)(C / C_ref)); the data, the sizes of the networks and the retraining
rule are not the paper's. So this is a comparison of kinds, not a replication of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from rich.table import Table

from pipelines.console import plain_table

CLAIMS = {
    ("variance_horizon", "always"): "compute down by more than 50 %, error up 0 to 15 %",
    ("full", "on_drift"): "compute down by up to 90 %, error down by up to 10 %",
    ("variance_horizon", "on_drift"): "up to 99.7 % better error per compute",
}
BASELINES = "never"


def claims(table: pl.DataFrame) -> Table | None:
    """The claims and each model's dC, dE and 100 (1 - ENC); None where the run has not all four configurations.

    Args:
        table: one row per configuration, as from `per_configuration`.
    """
    rows = {(r["model"], r["reducer"], r["policy"]): r for r in table.iter_rows(named=True)}
    models = list(dict.fromkeys(m for m, _, p in rows if p != BASELINES))
    known = [m for m in models if all(rows.get((m, *c), {}).get("ENC") is not None for c in CLAIMS)]
    if not known:
        return None
    out = plain_table("claims of arXiv 2309.15207, and dC / dE / ENC improvement here, in %")
    for name in ("configuration", "claim"):
        out.add_column(name, no_wrap=name != "claim")
    for model in known:
        out.add_column(model, justify="right", no_wrap=True)
    for (reducer, policy), claim in CLAIMS.items():
        found = [_figures(rows[m, reducer, policy]) for m in known]
        out.add_row(f"{reducer} · {policy}".replace("_", " "), claim, *found)
    return out


def _figures(row: Mapping[str, Any]) -> str:
    return f"{row['dC']:+.1f} / {row['dE']:+.1f} / {100 * (1 - row['ENC']):+.1f}"
