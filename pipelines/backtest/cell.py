"""One cell of a backtest: one training of a model and its forecasts over a stretch, kept in its own folder.

Plain data in, plain data out, so that it is done in any process. The folder appears whole or not at all: what is there
need not be done again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from forecast.panel import Panel
from forecast.portrait import Matrix
from forecast.schema import Task
from pipelines.backtest.plan import Stretch

FACTS, QUANTILES, STEPS, PORTRAITS = "cell.json", "quantiles.npy", "steps.parquet", "portraits.json"


@dataclass(frozen=True)
class Walk:
    """How a stretch is walked through: origin by origin, and retrained when a policy says so.

    Args:
        policy: its spec. history: rows a training may use, the newest; None: all up to the origin.
        refit: after a won comparison, train once more on every row.
    """

    policy: dict[str, Any]
    history: int | None = None
    refit: bool = True


@dataclass(frozen=True, eq=False)
class Cell:
    """What to do.

    Args:
        label: of the model, reducer and policy in tables. key: name of the folder, a digest of all that the result
            depends on.
        model, reducer: specs. allowed: packages that `_target_`s may come from.
        panel: all rows. task: the question, with this cell's horizon. stretch: the fit and its origins.
        scored: the series whose forecasts are kept.
        update: rows between updates of a model that learns without refitting; 0: never.
        folder: where `key` goes.
        seed: which training of its contestant this is, from 0; the model's spec has its seeds raised by it already.
        walk: None: one fit before the first origin.
    """

    label: str
    key: str
    model: dict[str, Any]
    reducer: dict[str, Any]
    allowed: tuple[str, ...]
    panel: Panel
    task: Task
    stretch: Stretch
    scored: tuple[str, ...]
    update: int
    folder: Path
    seed: int = 0
    walk: Walk | None = None

    @property
    def done(self) -> bool:
        return (self.folder / self.key / FACTS).exists()

    def quantiles(self) -> np.ndarray:
        """(B, N', H, C, Q) of the scored series, from disk."""
        return np.asarray(np.load(self.folder / self.key / QUANTILES))

    def facts(self) -> dict[str, Any]:
        """CPU seconds by phase, rows fitted on, how many fits; of a cell without a walk, one."""
        return {"seed": self.seed, "fits": 1, **json.loads((self.folder / self.key / FACTS).read_text())}

    def steps(self) -> pl.DataFrame:
        """What a walk decided at each origin; see `pipelines.backtest.walker`. Empty without a walk."""
        path = self.folder / self.key / STEPS
        return pl.read_parquet(path) if path.exists() else pl.DataFrame()

    def portraits(self) -> dict[str, Matrix]:
        """What the model showed of itself after its last fit."""
        path = self.folder / self.key / PORTRAITS
        kept = json.loads(path.read_text()) if path.exists() else {}
        return {name: Matrix.of(plain) for name, plain in kept.items()}


@dataclass(frozen=True, eq=False)
class Result:
    """What became of a cell.

    Args:
        quantiles: (B, N', H, C, Q) of the scored series, float32. facts: plain data for tables.
        steps: of a walk, one row per origin. portraits: of the model after its last fit.
    """

    quantiles: np.ndarray
    facts: dict[str, Any]
    steps: pl.DataFrame | None = None
    portraits: Mapping[str, Matrix] = field(default_factory=dict)


def keep(cell: Cell, result: Result, spent: Mapping[str, float]) -> None:
    """Write a cell's folder in one move; `spent` are its CPU seconds by phase."""
    made = cell.folder / f"{cell.key}.new"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    np.save(made / QUANTILES, result.quantiles)
    if result.steps is not None:
        result.steps.write_parquet(made / STEPS)
    if result.portraits:
        (made / PORTRAITS).write_text(json.dumps({name: one.plain() for name, one in result.portraits.items()}))
    facts = {"label": cell.label, "horizon": cell.task.horizon, "seed": cell.seed, **result.facts, **spent}
    (made / FACTS).write_text(json.dumps(facts, indent=1))
    made.replace(cell.folder / cell.key)
