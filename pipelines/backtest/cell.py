"""One cell of a backtest: a model, a reducer, a fit, a horizon; its forecasts and its cost, kept in its own folder.

Plain data in, plain data out, so that it runs in any process. The folder appears whole or not at all: what is there
need not be done again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forecast.forecaster import Forecaster
from forecast.meter import Meter, Phase
from forecast.panel import Panel, moment
from forecast.reduce import reduced
from forecast.schema import Task
from forecast.spec import from_spec, locate
from pipelines.backtest.plan import Stretch
from pipelines.fleet import OVERHEAD
from pipelines.training import FAILURES, worded

FACTS, QUANTILES = "cell.json", "quantiles.npy"
PHASES = ("reduce", "fit", "update", "predict")


@dataclass(frozen=True, eq=False)
class Cell:
    """What to do.

    Args:
        label: of the model and reducer in tables. key: name of the folder, a digest of all that the result depends on.
        model, reducer: specs. allowed: packages that `_target_`s may come from.
        panel: all rows. task: the question, with this cell's horizon. stretch: the fit and its origins.
        scored: the series whose forecasts are kept.
        update: rows between updates of a model that learns without refitting; 0: never.
        folder: where `key` goes.
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

    @property
    def done(self) -> bool:
        return (self.folder / self.key / FACTS).exists()

    def quantiles(self) -> np.ndarray:
        """(B, N', H, C, Q) of the scored series, from disk."""
        return np.asarray(np.load(self.folder / self.key / QUANTILES))

    def facts(self) -> dict[str, Any]:
        """CPU seconds by phase, rows fitted on, when."""
        found: dict[str, Any] = json.loads((self.folder / self.key / FACTS).read_text())
        return found


@dataclass(frozen=True)
class Outcome:
    """How a cell ended: `why` is empty where all went well."""

    key: str
    why: str = ""


def run_cell(cell: Cell) -> Outcome:
    """Do a cell and keep it. A failure comes back as an outcome, so that one model never ends the comparison."""
    meter = Meter()
    try:
        with meter.charge(OVERHEAD, "overhead"):  # whoever comes first does not pay for the libraries
            locate(cell.model["_target_"], cell.allowed).prepare()
        quantiles, rows = _forecast(cell, meter)
        _keep(cell, quantiles, {"rows": rows, **_spent(meter, cell.label)})
    except FAILURES as error:
        return Outcome(cell.key, worded(error))
    return Outcome(cell.key)


def _forecast(cell: Cell, meter: Meter) -> tuple[np.ndarray, int]:
    stretch, task = cell.stretch, cell.task
    history = cell.panel.rows(slice(stretch.first, stretch.stop))
    with meter.charge(cell.label, Phase.REDUCE):
        reduction = from_spec(cell.reducer, cell.allowed).reduce(history, task)
    with meter.charge(cell.label, Phase.FIT):
        model: Forecaster = from_spec(cell.model, cell.allowed).fit(reduced(history, reduction, task), task)
    found = []
    for origins in _groups(model, cell):
        if cell.update and model.traits.updates:
            with meter.charge(cell.label, Phase.UPDATE):
                model.update(cell.panel.rows(slice(stretch.first, int(origins[0]) + 1)))
        seen = cell.panel.rows(slice(max(0, int(origins[0]) - task.context + 1), int(origins[-1]) + 1))
        with meter.charge(cell.label, Phase.PREDICT):
            forecasts = model.predict_at(seen, [moment(t) for t in cell.panel.times[origins]])
        place = [seen.series.index(s) for s in cell.scored]
        found.append(np.stack([f.quantiles[place] for f in forecasts]).astype(np.float32))  # (b, N', H, C, Q)
    return np.concatenate(found), reduction.rows


def _groups(model: Forecaster, cell: Cell) -> Iterator[np.ndarray]:
    """Origins between which nothing is learnt."""
    origins = cell.stretch.origins  # (B,)
    if not (cell.update and model.traits.updates):
        yield origins
        return
    number = (origins - origins[0]) // cell.update  # (B,)
    yield from np.split(origins, np.flatnonzero(np.diff(number)) + 1)


def _spent(meter: Meter, label: str) -> dict[str, float]:
    spent = {row["phase"]: row["cpu_s"] for row in meter.record()["charges"] if row["owner"] == label}
    return {f"{phase}_cpu_s": spent.get(phase, 0.0) for phase in PHASES}


def _keep(cell: Cell, quantiles: np.ndarray, facts: dict[str, Any]) -> None:
    made = cell.folder / f"{cell.key}.new"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    np.save(made / QUANTILES, quantiles)
    (made / FACTS).write_text(json.dumps({"label": cell.label, "horizon": cell.task.horizon, **facts}, indent=1))
    made.replace(cell.folder / cell.key)
