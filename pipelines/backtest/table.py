"""The tables of a backtest, best model first: printed, and as Markdown with the command that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
from rich.console import Console

from forecast.evaluation import stars
from forecast.evaluation.columns import ALWAYS
from forecast.evaluation.sheet import Sheet
from pipelines.backtest.scores import ALL, MEAN
from pipelines.console import plain_table

GAP = 2  # columns of the console between two of the table
NOTE = (
    "Skill is 1 - E/E({reference}) on identical pairs; * p < 0.05, ** p < 0.01, *** p < 0.001: Diebold-Mariano with "
    "the correction of Harvey, Leybourne and Newbold, on means over {block}, two-sided, each for itself; the report "
    "adjusts them for the number of contestants."
)

SEEDS = (
    "Of a model with seeds, errors, tests and CPU seconds are of the mean over {seeds} trainings; sd MAE is the "
    "deviation between them, mean over leads."
)
LEARNING = ("reduce_cpu_s", "check_cpu_s", "fit_cpu_s", "update_cpu_s", "save_cpu_s")


def show(sheet: Sheet, console: Console) -> None:
    """Print it, in several parts where the console is too narrow for all columns."""
    for k, columns in enumerate(_parts(sheet, console.width)):
        table = plain_table("" if k else sheet.title)
        for c in columns:
            table.add_column(_broken(sheet.head[c]), justify="right" if c else "left", no_wrap=True)
        for row in sheet.rows:
            table.add_row(*(row[c] for c in columns))
        console.print(table)


def _parts(sheet: Sheet, width: int) -> list[list[int]]:
    """Columns of each part; the first column stands in all of them."""
    wide = [
        max(map(len, (*_broken(name).split("\n"), *(row[c] for row in sheet.rows)))) + GAP
        for c, name in enumerate(sheet.head)
    ]
    parts, left = [[0]], width - wide[0]
    for c in range(1, len(sheet.head)):
        if wide[c] > left and len(parts[-1]) > 1:
            parts.append([0])
            left = width - wide[0]
        parts[-1].append(c)
        left -= wide[c]
    return parts


def _broken(name: str) -> str:
    """A heading on two lines, so that many columns fit beside each other."""
    before, _, last = name.rpartition(" ")
    return f"{before}\n{last}"


def sheets(
    table: pl.DataFrame,
    costs: pl.DataFrame,
    leads: Sequence[int],
    nominal: float,
    about: Mapping[str, Mapping[str, str]] | None = None,
    *,
    scaled: bool = False,
) -> list[Sheet]:
    """Per horizon and variable one sheet with the leads side by side; without leads one sheet for all horizons.

    Args:
        table: from `scores`, with skill. costs: horizon, label, fit_cpu_s, predict_cpu_s, rows.
        leads: to show; none: the means over all leads. nominal: coverage of the interval, 0 without one.
        about: label -> words by heading, put behind the numbers; see `pipelines.backtest.about`.
        scaled: values are standardised, so that MSE and MAE are what is published, and RMSE is left out.
    """
    names = table["variable"].unique(maintain_order=True).to_list()
    horizons = table["horizon"].unique().sort().to_list()
    if leads:
        found = [
            _by_lead(table, costs, h, v, leads, nominal)
            for h in horizons
            for v in names
            if v != ALL or len(names) != 2  # the mean over one variable is that variable
        ]
    else:
        shown = [ALL] if ALL in names else names
        found = [_by_horizon(table, costs, v, horizons, scaled=scaled) for v in shown]
    return [with_words(sheet, about) for sheet in found] if about else found


def with_words(sheet: Sheet, about: Mapping[str, Mapping[str, str]]) -> Sheet:
    """A sheet with what is to be known of each contestant behind its numbers, where they differ."""
    shown = [about[row[0]] for row in sheet.rows]
    heads = dict.fromkeys(head for words in about.values() for head in words)
    told = [head for head in heads if head == ALWAYS or len({words.get(head) for words in shown}) > 1]
    rows = [(*row, *(about[row[0]].get(head, "") or "-" for head in told)) for row in sheet.rows]
    return Sheet(sheet.title, (*sheet.head, *told), tuple(rows))


def ranking(table: pl.DataFrame, leads: Sequence[int]) -> list[str]:
    """Labels, the best mean skill in MAE over the leads shown, the variables and the horizons first."""
    shown = table.filter(pl.col("lead").is_in([*leads] or [MEAN]))
    if ALL in set(shown["variable"]):
        shown = shown.filter(pl.col("variable") == ALL)
    means = shown.group_by("label", maintain_order=True).agg(pl.col("skill_mae").mean())
    return means.sort("skill_mae", descending=True, nulls_last=True, maintain_order=True)["label"].to_list()


def _by_lead(
    table: pl.DataFrame, costs: pl.DataFrame, horizon: int, variable: str, leads: Sequence[int], nominal: float
) -> Sheet:
    here = table.filter((pl.col("horizon") == horizon) & (pl.col("variable") == variable))
    crps = "skill_crps" in here.columns
    head = ["model", *(f"MAE {k}" for k in leads), *(f"skill {k}" for k in leads)]
    head += [f"CRPS skill {k}" for k in leads] if crps else []
    head += [f"in {100 * nominal:g} %"] if nominal else []
    several = _several(here)
    head += ["seeds", "sd MAE"] if several else []
    rows = []
    for label in ranking(here, leads):
        mine = {row["lead"]: row for row in here.filter(pl.col("label") == label).iter_rows(named=True)}
        row = [label, *(_number(mine[k]["mae"]) for k in leads), *(_skill(mine[k], "mae") for k in leads)]
        row += [_skill(mine[k], "crps") for k in leads] if crps else []
        row += [_percent(mine[MEAN]["coverage"])] if nominal else []
        row += [str(mine[MEAN]["seeds"]), _number(mine[MEAN]["sd_mae"])] if several else []
        rows.append((*row, *_cost(costs, horizon, label)))
    return Sheet(f"{variable}, horizon {horizon}", (*head, "fit CPU-s", "predict CPU-s"), tuple(rows))


def _by_horizon(
    table: pl.DataFrame, costs: pl.DataFrame, variable: str, horizons: Sequence[int], *, scaled: bool
) -> Sheet:
    here = table.filter((pl.col("variable") == variable) & (pl.col("lead") == MEAN))
    names = {"MSE": "mse", **({} if scaled else {"RMSE": "rmse"}), "MAE": "mae"}
    names |= {"sd MAE": "sd_mae"} if _several(here) else {}
    names |= {"MASE": "mase"} if variable != ALL and here["mase"].is_not_null().any() else {}
    head = [
        "model",
        *(f"{name} {h}" for h in horizons for name in (*names, "skill")),
        *(["seeds"] if _several(here) else []),
        "fit CPU-s",
        "predict CPU-s",
    ]
    rows = []
    for label in ranking(here, ()):
        row = [label]
        for horizon in horizons:
            found = here.filter((pl.col("label") == label) & (pl.col("horizon") == horizon)).rows(named=True)
            row += [_number(found[0][name]) for name in names.values()] if found else ["-"] * len(names)
            row += [_skill(found[0], "mae")] if found else ["-"]
        row += [str(here.filter(pl.col("label") == label)["seeds"][0])] if _several(here) else []
        rows.append((*row, *_cost(costs, None, label)))
    title = "mean over leads and variables" if variable == ALL else f"{variable}, mean over leads"
    return Sheet(title, tuple(head), tuple(rows))


def _several(table: pl.DataFrame) -> bool:
    """Whether anything was trained more than once."""
    return "sd_mae" in table.columns


def _cost(costs: pl.DataFrame, horizon: int | None, label: str) -> tuple[str, str]:
    mine = costs.filter(pl.col("label") == label)
    mine = mine if horizon is None else mine.filter(pl.col("horizon") == horizon)
    learnt = mine.select(pl.sum_horizontal(c for c in LEARNING if c in mine.columns).sum()).item()
    return f"{learnt:.2f}", f"{mine['predict_cpu_s'].sum():.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _skill(row: dict, name: str) -> str:
    value, p = row[f"skill_{name}"], row.get(f"p_{name}")
    if value is None:
        return "-"
    return _signed(value) + (stars(p) if p is not None else "")


def _signed(value: float) -> str:
    """
    >>> _signed(0.25), _signed(-10.25), _signed(-1.5e9)
    ('+.250', '-10.250', '-1.50e+09')
    """
    text = f"{value:+.3f}" if abs(value) < 1e4 else f"{value:+.2e}"
    return text[0] + text[1:].removeprefix("0")
