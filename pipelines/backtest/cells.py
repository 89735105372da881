"""The cells of a configuration: every model x reducer x fit x horizon."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forecast.errors import SchemaError, UnknownNameError
from forecast.panel import Panel
from forecast.schema import Task
from forecast.spec import from_spec, to_spec
from pipelines.backtest.cell import Cell
from pipelines.backtest.plan import Split
from pipelines.jobs.identity import threadless

FULL = {"_target_": "forecast.reduce.Full"}


@dataclass(frozen=True)
class Contestant:
    """A model with a reducer: one row of the tables."""

    label: str
    model: dict[str, Any]
    reducer: dict[str, Any]
    labels: Mapping[str, str]


def contestants(config: Mapping[str, Any], choices: Mapping[str, str], allowed: tuple[str, ...]) -> list[Contestant]:
    """The baselines on all rows, then every model with every reducer.

    Raises:
        UnknownNameError: no such reference. ForbiddenTargetError, SchemaError: a spec that cannot be built.
    """
    asked, baselines = config["backtest"], config.get("baselines") or {}
    models = asked["models"] or {choices["model"]: config["model"]}
    reducers = asked["reducers"] or ({"full": FULL} if asked["models"] else {choices["reducer"]: config["reducer"]})
    found = [Contestant(m, spec, FULL, {"model": m, "reducer": "full"}) for m, spec in baselines.items()]
    for m, model in models.items():
        for r, reducer in reducers.items():
            label = m if len(reducers) == 1 else f"{m}.{r}"
            if baselines.get(m) == model and reducer == FULL:
                continue  # it is that baseline
            found.append(Contestant(label, model, reducer, {"model": m, "reducer": r}))
    names = [c.label for c in found]
    for name in names:
        if names.count(name) > 1:
            raise SchemaError(f"two contestants are called '{name}': rename one in backtest.models or baselines")
    if asked["reference"] not in names:
        raise UnknownNameError("backtest.reference", str(asked["reference"]), names)
    for contestant in found:
        from_spec(contestant.model, allowed), from_spec(contestant.reducer, allowed)  # what is wrong is told now
    return found


def cells(
    contestants: Sequence[Contestant],
    panel: Panel,
    task: Task,
    split: Split,
    horizons: Sequence[int],
    scored: tuple[str, ...],
    update: int,
    allowed: tuple[str, ...],
    folder: Path,
) -> list[Cell]:
    """All cells, the longest horizon first, since a pool ends with its slowest."""
    digest, found = _digest(panel), []
    for horizon in sorted(horizons, reverse=True):
        asked = replace(task, horizon=horizon)
        for stretch in split.stretches(panel.times, horizon):
            rows = [
                stretch.first,
                stretch.stop,
                int(stretch.origins[0]),
                int(stretch.origins[-1]),
                len(stretch.origins),
            ]
            for one in contestants:
                what = {
                    "model": threadless(to_spec(one.model)),
                    "reducer": to_spec(one.reducer),
                    "task": to_spec(asked),
                    "rows": rows,
                    "data": digest,
                    "scored": scored,
                    "update": update,
                }
                key = f"{one.label}-{horizon}-{stretch.stop}-{_hash(what)}"
                found.append(
                    Cell(one.label, key, one.model, one.reducer, allowed, panel, asked, stretch, scored, update, folder)
                )
    return found


def _digest(panel: Panel) -> str:
    parts = [panel.values.tobytes(), panel.times.tobytes(), ",".join(panel.series).encode()]
    parts += [panel.outlook.tobytes()] if panel.outlook is not None else []
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def _hash(what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:12]


def of_each(found: Sequence[Cell], horizon: int) -> Iterator[tuple[str, list[Cell]]]:
    """Label and cells, oldest fit first, of one horizon."""
    mine = [c for c in found if c.task.horizon == horizon]
    for label in dict.fromkeys(c.label for c in mine):
        yield label, sorted((c for c in mine if c.label == label), key=lambda c: int(c.stretch.origins[0]))
