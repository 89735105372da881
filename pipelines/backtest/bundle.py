"""A bundle: cells that differ by the seed alone, done in one process and trained side by side.

Networks of one shape cost far less in one batched pass than one after another (`forecast.together`). Each cell still
has its own cost, its own folder, and fails for itself alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from forecast.forecaster import Forecaster
from forecast.meter import Meter, Phase
from forecast.reduce import reduced
from forecast.spec import from_spec, locate
from forecast.together import Fit, fit_together
from pipelines.backtest.ahead import Ahead
from pipelines.backtest.cell import Cell, Result, keep
from pipelines.backtest.walk import walked
from pipelines.fleet import OVERHEAD
from pipelines.training import FAILURES, worded

PHASES = ("reduce", "check", "fit", "update", "save", "predict")


@dataclass(frozen=True)
class Outcome:
    """How a cell ended: `why` is empty where all went well."""

    key: str
    why: str = ""


def bundles(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Cells of one contestant, stretch and horizon together, in the order of their first."""
    found: dict[Hashable, list[Cell]] = {}
    for cell in cells:
        stretch = cell.stretch
        place = cell.label, cell.task.horizon, stretch.first, stretch.stop, int(stretch.origins[0])
        found.setdefault(place, []).append(cell)
    return list(found.values())


def run_cell(cell: Cell) -> Outcome:
    """Do one cell and keep it."""
    return run_bundle([cell])[0]


def run_bundle(cells: Sequence[Cell]) -> list[Outcome]:
    """Do cells of one bundle and keep them. A failure comes back as an outcome: no model ever ends the comparison."""
    meter, first = Meter(), cells[0]
    try:
        with meter.charge(OVERHEAD, "overhead"):  # whoever comes first does not pay for the libraries
            locate(first.model["_target_"], first.allowed).prepare()
        results = fitted_once(cells, meter) if first.walk is None else walked(cells, meter)
    except FAILURES as error:
        return [Outcome(cell.key, worded(error)) for cell in cells]
    return [_kept(cell, result, meter) for cell, result in zip(cells, results, strict=True)]


def _kept(cell: Cell, result: Result | str, meter: Meter) -> Outcome:
    if isinstance(result, str):
        return Outcome(cell.key, result)
    try:
        keep(cell, result, spent(meter, cell.key))
    except FAILURES as error:
        return Outcome(cell.key, worded(error))
    return Outcome(cell.key)


def fitted_once(cells: Sequence[Cell], meter: Meter) -> list[Result | str]:
    """All models of a bundle fitted before the first origin; the forecasts of each, or what its fit ran into."""
    first, keys = cells[0], [cell.key for cell in cells]
    history = first.panel.rows(slice(first.stretch.first, first.stretch.stop))
    with meter.charge_shared(keys, Phase.REDUCE):
        reduction = from_spec(first.reducer, first.allowed).reduce(history, first.task)
    with meter.charge_shared(keys, Phase.FIT):
        panel = reduced(history, reduction, first.task)
        models: list[Forecaster] = [from_spec(cell.model, cell.allowed) for cell in cells]
    failures = fit_together(
        [Fit(model, panel, first.task) for model in models],
        lambda places: meter.charge_shared([keys[k] for k in places], Phase.FIT),
    )
    return [
        _result(cell, model, reduction.rows, meter) if failure is None else worded(failure)
        for cell, model, failure in zip(cells, models, failures, strict=True)
    ]


def _result(cell: Cell, model: Forecaster, rows: int, meter: Meter) -> Result | str:
    try:
        ahead = Ahead(cell, meter, whole=True)
        ahead.takes(model, 0)
        for b in range(len(cell.stretch.origins)):
            ahead.forecast(b)
        return Result(ahead.made(), {"rows": rows, "fits": 1}, portraits=model.portrait())
    except FAILURES as error:
        return worded(error)


def spent(meter: Meter, owner: str) -> dict[str, float]:
    """CPU seconds of an owner by phase."""
    found = {row["phase"]: row["cpu_s"] for row in meter.record()["charges"] if row["owner"] == owner}
    return {f"{phase}_cpu_s": found.get(phase, 0.0) for phase in PHASES}
