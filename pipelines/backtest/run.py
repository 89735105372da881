"""Doing the cells that are not done yet, bundle by bundle; what fails, fails for its own cell alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipelines.backtest.bundle import Outcome, bundles, run_bundle, run_cell
from pipelines.backtest.cell import Cell
from pipelines.executors import Executor
from pipelines.training import FAILURES, worded


def run_cells(found: Sequence[Cell], executor: Executor, told: Callable[[Cell, str], None]) -> dict[str, str]:
    """Do every cell that is not on disk.

    Args:
        told: is called with each cell as it ends, and why it failed ("" if it did not).

    Returns:
        key -> why, of the cells that failed; they are done again the next time.
    """
    waiting = {cell.key: cell for cell in found if not cell.done}
    failed: dict[str, str] = {}

    def note(outcome: Outcome) -> None:
        cell = waiting.pop(outcome.key)
        if outcome.why:
            failed[outcome.key] = outcome.why
        told(cell, outcome.why)

    try:
        for outcomes in executor.each(run_bundle, bundles(waiting.values())):
            for outcome in outcomes:
                note(outcome)
    except FAILURES:  # a worker was killed: the rest one by one, so that it breaks for the culprit alone
        for cell in [c for c in waiting.values() if not c.done]:
            note(_alone(cell, executor))
    for cell in list(waiting.values()):  # done by a worker that could not say so any more
        note(Outcome(cell.key))
    return failed


def _alone(cell: Cell, executor: Executor) -> Outcome:
    try:
        return executor.map(run_cell, [cell])[0]
    except FAILURES as error:
        return Outcome(cell.key, worded(error))
