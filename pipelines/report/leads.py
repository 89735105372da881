"""Error by lead: how far ahead each nowcaster is worth listening to."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from pipelines.report.style import colours, figure, label, lines

RESAMPLES, BLOCK_H, SEED = 200, 12, 0


def error_by_lead(settled: pl.DataFrame, table: pl.DataFrame, units: dict[str, str]) -> Figure:
    """MAE by lead for each target, one line per nowcaster; the best of each model with a 90 % interval.

    Args:
        settled: matured forecasts. table: `nowcaster, model, reducer, policy`. units: target -> unit.
    """
    targets = list(units)
    made, axes = figure(4.2 * len(targets), 4.3, 1, len(targets))
    hue = colours(table["model"].to_list())
    learnt = table.filter(pl.col("model") != "persistence")
    dash = lines([f"{r} · {p}" for r, p in learnt.select("reducer", "policy").rows()])
    for axis, target in zip(axes[0], targets, strict=True):
        banded = _best_of_each(table, f"mae/{target}")
        for row in table.iter_rows(named=True):
            one = settled.filter((pl.col("nowcaster") == row["nowcaster"]) & (pl.col("variable") == target))
            if one.is_empty():
                continue
            leads, mae, low, high = by_lead(one)
            style = "-" if row["model"] == "persistence" else dash[f"{row['reducer']} · {row['policy']}"]
            if row["nowcaster"] in banded:
                axis.fill_between(leads, low, high, color=hue[row["model"]], alpha=0.15, linewidth=0)
            axis.plot(leads, mae, style, color=hue[row["model"]], label=label(row), linewidth=1.6)
        axis.set(title=target.replace("_", " "), xlabel="lead, h", ylabel=f"MAE, {units[target]}")
        axis.set_ylim(bottom=0)
    handles, labels = axes[0][0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8.5, frameon=False)
    return made


def by_lead(settled: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Leads (H,), MAE (H,), and its 5 % and 95 % quantiles (H,) by circular block bootstrap over origins.

    Source: Politis and Romano (1992), blocks of 12 origins.
    """
    mean = settled.group_by("origin", "lead").agg(pl.col("error").abs().mean()).sort("origin", "lead")
    wide = mean.pivot(on="lead", index="origin", values="error").sort("origin").drop("origin")
    leads = np.array(sorted(int(c) for c in wide.columns))  # (H,)
    errors = wide.select([str(k) for k in leads]).to_numpy()  # (O, H)
    rng = np.random.default_rng(SEED)
    blocks = max(1, len(errors) // BLOCK_H)
    starts = rng.integers(0, len(errors), (RESAMPLES, blocks))  # (R, K)
    rows = (starts[:, :, None] + np.arange(BLOCK_H)).reshape(RESAMPLES, -1) % len(errors)  # (R, K * 12), a circle
    drawn = np.nanmean(errors[rows], axis=1)  # (R, H)
    low, high = np.nanquantile(drawn, [0.05, 0.95], axis=0)  # (H,), (H,)
    return leads, np.nanmean(errors, axis=0), low, high


def _best_of_each(table: pl.DataFrame, column: str) -> set[str]:
    """Of each model the nowcaster with the least error."""
    return set(table.sort(column, nulls_last=True).unique("model", keep="first", maintain_order=True)["nowcaster"])
