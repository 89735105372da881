"""What the tracker gets to see of a slot."""

from __future__ import annotations

import polars as pl

from pipelines.fleet import Fleet
from pipelines.slot import Slot


def show(fleet: Fleet, this: Slot, costs: pl.DataFrame) -> None:
    """Send each nowcaster's live error, losses, cost and training of this slot; register promoted models."""
    key = fleet.key(this.slot)
    errors = _by_nowcaster(this.matured)
    spent = dict(costs.group_by("nowcaster").agg(pl.col("cpu_s").sum()).iter_rows())
    for name, decision in this.decisions.items():
        metrics = {f"live/mae/{variable}": error for variable, error in errors.get(name, {}).items()}
        metrics |= {"drift/loss": decision.loss, "drift/reference": decision.reference}
        metrics |= {"cost/cpu_s": spent.get(name, 0.0), "retrain": float(name in this.outcomes)}
        fleet.edges.tracker.log(name, metrics, key)
        outcome = this.outcomes.get(name)
        if outcome is not None and outcome.promoted and fleet.settings.register:
            register(fleet, name)


def register(fleet: Fleet, name: str) -> None:
    """Make the nowcaster's present model the champion of the registry; nothing if it has none."""
    memory = fleet.state.of(name)
    if memory.version:
        tags = {"slot": memory.version, "data_end": str(memory.data_end), "rows": str(memory.rows)}
        fleet.edges.tracker.register(name, fleet.model_folder(name, memory.version), tags)


def _by_nowcaster(matured: pl.DataFrame) -> dict[str, dict[str, float]]:
    if matured.is_empty():
        return {}
    means = matured.group_by("nowcaster", "variable").agg(pl.col("error").abs().mean()).sort("nowcaster", "variable")
    out: dict[str, dict[str, float]] = {}
    for name, variable, error in means.iter_rows():
        out.setdefault(name, {})[variable] = error
    return out
