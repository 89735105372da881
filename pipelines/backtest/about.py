"""What is to be known of each contestant beside its scores: its policy, its fits, what it had learnt from before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from forecast.evaluation.sheet import Sheet
from pipelines.backtest.contestants import Contestant

COUNTS = ("fits", "promotions", "refusals", "failures")
ONCE = "once"


def per_seed(costs: pl.DataFrame) -> pl.DataFrame:
    """Costs of one training of each contestant: means over its seeds; horizon, label, cutoff and all numbers."""
    keys = ["horizon", "label", "cutoff"]
    numbers = [name for name, kind in costs.schema.items() if kind.is_numeric() and name not in (*keys, "seed")]
    return costs.group_by(keys, maintain_order=True).agg(pl.col(numbers).mean())


def about(contestants: Sequence[Contestant], costs: pl.DataFrame) -> dict[str, dict[str, str]]:
    """Label -> words by heading: `policy` and `fits` where any contestant has a policy, and `pretrained on`.

    Fits are those of one horizon and one training, summed over the stretches; a challenge with its refit counts as one.
    """
    walks = any(one.walk for one in contestants)
    fits = dict(fitted(costs).select("label", "fits").rows())
    return {
        one.label: {
            **({"policy": one.labels.get("policy", ONCE), "fits": f"{fits[one.label]:.4g}"} if walks else {}),
            "pretrained on": one.pretrained,
        }
        for one in contestants
        if one.label in fits
    }


def by_clock(contestants: Sequence[Contestant]) -> str:
    """What is to be known of the CPU seconds of walks that retrain by the clock; nothing without any."""
    policies = dict.fromkeys(one.labels["policy"] for one in contestants if one.clocked)
    if not policies:
        return ""
    return (
        f"with the policies that go by the clock ({', '.join(policies)}), a contestant's trainings of all origins and "
        "seeds are one pass where its networks are alike. A live fleet could not make it, and pays each fit by itself: "
        "do not compare these CPU seconds with those of other policies"
    )


def fitted(costs: pl.DataFrame) -> pl.DataFrame:
    """label, fits, promotions, refusals, failures: summed over stretches, means over seeds and horizons."""
    counts = [name for name in COUNTS if name in costs.columns]
    each = costs.group_by("horizon", "label", "seed", maintain_order=True).agg(pl.col(counts).sum())
    return each.group_by("label", maintain_order=True).agg(pl.col(counts).mean())


def retraining(contestants: Sequence[Contestant], costs: pl.DataFrame) -> list[Sheet]:
    """One sheet of what came of the trainings that policies asked for; none without policies."""
    walks = {one.label: one for one in contestants if one.walk}
    counts = fitted(costs).filter(pl.col("label").is_in(list(walks)))
    if counts.is_empty():
        return []
    rows = [
        (label, walks[label].labels["policy"], *(f"{count:.4g}" for count in numbers), _spent(costs, label))
        for label, *numbers in counts.select("label", *COUNTS).iter_rows()
    ]
    return [Sheet("retraining, of one seed", ("model", "policy", *COUNTS, "CPU-s"), tuple(rows))]


def _spent(costs: pl.DataFrame, label: str) -> str:
    """CPU seconds of one training's way through all stretches, forecasts left out; mean over seeds and horizons."""
    mine = per_seed(costs).filter(pl.col("label") == label)
    names = [name for name in mine.columns if name.endswith("_cpu_s") and name != "predict_cpu_s"]
    return f"{mine.select(pl.sum_horizontal(names).sum()).item() / mine['horizon'].n_unique():.2f}"


def labels_of(contestant: Contestant) -> Mapping[str, str]:
    """Parameters of a contestant in MLflow."""
    seeds = {"seeds": str(contestant.seeds)} if contestant.seeds > 1 else {}
    known = {"pretrained_on": contestant.pretrained} if contestant.pretrained else {}
    return {**contestant.labels, **seeds, **known}
