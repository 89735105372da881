"""The cells of a configuration: every contestant x seed x fit x horizon."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from forecast.panel import Panel
from forecast.schema import Task
from forecast.spec import to_spec
from pipelines.backtest.cell import Cell
from pipelines.backtest.contestants import Contestant
from pipelines.backtest.plan import Split
from pipelines.backtest.seeds import reseeded
from pipelines.jobs.identity import threadless


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
            origins = stretch.origins
            rows = [stretch.first, stretch.stop, int(origins[0]), int(origins[-1]), len(origins)]
            shared = {"task": to_spec(asked), "rows": rows, "data": digest, "scored": scored, "update": update}
            for one in contestants:
                for seed in range(one.seeds):
                    model = reseeded(one.model, seed, allowed)
                    what = {**shared, "model": threadless(to_spec(model)), "reducer": to_spec(one.reducer)}
                    what |= {"walk": to_spec(one.walk)} if one.walk else {}
                    key = f"{one.label}-{horizon}-{stretch.stop}-{_hash(what)}"
                    parts = (one.label, key, model, one.reducer, allowed, panel, asked, stretch, scored, update, folder)
                    found.append(Cell(*parts, seed=seed, walk=one.walk))
    return found


def _digest(panel: Panel) -> str:
    parts = [panel.values.tobytes(), panel.times.tobytes(), ",".join(panel.series).encode()]
    parts += [panel.outlook.tobytes()] if panel.outlook is not None else []
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def _hash(what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:12]


def of_each(found: Sequence[Cell], horizon: int) -> Iterator[tuple[str, list[Cell]]]:
    """Label and cells, those of each seed together, oldest fit first, of one horizon."""
    mine = [c for c in found if c.task.horizon == horizon]
    for label in dict.fromkeys(c.label for c in mine):
        own = [c for c in mine if c.label == label]
        yield label, sorted(own, key=lambda c: (c.seed, int(c.stretch.origins[0])))


def of_seeds(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells of one contestant and horizon, as one list for each seed, oldest fit first."""
    return [[c for c in cells if c.seed == seed] for seed in sorted({c.seed for c in cells})]
