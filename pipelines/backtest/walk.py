"""A walk: a stretch taken origin by origin, each model retrained when its policy says so. The live loop's body in rows.

    settle -> decide -> (reduce -> train -> promote) -> (update) -> predict

Every step uses the rows up to its origin and nothing later. Trainings go through `pipelines.training`, those of the
seeds of one contestant side by side: they walk together, and what retrains in the same step is trained in one pass;
where a policy goes by the clock, all its trainings are (pipelines/backtest/early.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from forecast.meter import Meter, Phase
from forecast.panel import Panel
from forecast.policy import Action
from forecast.reduce import reduced
from forecast.spec import from_spec
from pipelines.backtest.cell import Cell, Result
from pipelines.backtest.early import trained_early
from pipelines.backtest.walker import Walker
from pipelines.training import FAILURES, Trained, TrainingOutcome, train_together, worded


def walked(cells: Sequence[Cell], meter: Meter) -> list[Result | str]:
    """Walk the cells of one bundle, which differ by the seed alone; what each came to, or why it failed."""
    first, walkers = cells[0], [Walker(cell, meter) for cell in cells]
    root = first.folder / f"{first.key}.walk"
    shutil.rmtree(root, ignore_errors=True)  # of a walk that was killed
    try:
        early = trained_early(walkers, lambda some, b: _history(some, b, meter), root, meter)
        for b in range(len(first.stretch.origins)):
            going = [walker for walker in walkers if not walker.failure]
            chosen = [walker for walker in going if walker.decide(b).action == Action.RETRAIN]
            for walker in chosen:
                if (walker.cell.key, b) in early:
                    walker.ended(*early[walker.cell.key, b], b, root)
            later = [walker for walker in chosen if (walker.cell.key, b) not in early]
            if later:
                _retrain(later, b, root, meter)
            for walker in going:
                if not walker.failure:
                    walker.forecast(b)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return [walker.result() for walker in walkers]


def _retrain(chosen: Sequence[Walker], b: int, root: Path, meter: Meter) -> None:
    """Reduce once, train side by side, promote or not."""
    try:
        panel, rows = _history(chosen, b, meter)
    except FAILURES as error:
        why = worded(error)
        rows, done = 0, Trained([TrainingOutcome(w.cell.key, False, why, failed=True) for w in chosen])
    else:
        done = train_together([walker.job(panel, b, root) for walker in chosen])
        meter.absorb(done.record, child=False)
    for walker, outcome in zip(chosen, done.outcomes, strict=True):
        walker.ended(outcome, rows, b, root)


def _history(walkers: Sequence[Walker], b: int, meter: Meter) -> tuple[Panel, int]:
    """The reduced history up to origin `b`, which these walkers share and pay for; how many rows the reducer kept."""
    cell = walkers[0].cell
    assert cell.walk is not None
    with meter.charge_shared([walker.cell.key for walker in walkers], Phase.REDUCE):
        stop = int(cell.stretch.origins[b]) + 1
        first = max(0, stop - cell.walk.history) if cell.walk.history else 0
        history = cell.panel.rows(slice(first, stop))
        reduction = from_spec(cell.reducer, cell.allowed).reduce(history, cell.task)
        return reduced(history, reduction, cell.task), reduction.rows
