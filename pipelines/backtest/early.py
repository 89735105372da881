"""Trainings of a walk that go by the clock alone are known before it begins, and are done side by side at its start.

A small network retrained every week for a year and a half is then one pass of eighty members instead of eighty passes,
which costs a fraction. Each is trained on the rows up to its own origin and nothing later, and ends as it would alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from forecast.meter import Meter
from forecast.panel import Panel
from forecast.policy import Action
from pipelines.backtest.walker import Walker
from pipelines.training import TrainingJob, TrainingOutcome, train_together

WINDOWS = 2**26  # numbers in the windows of the trainings of one pass: bounds memory
Done = dict[tuple[str, int], tuple[TrainingOutcome, int]]


def trained_early(
    walkers: Sequence[Walker], history: Callable[[Walker, int], tuple[Panel, int]], root: Path, meter: Meter
) -> Done:
    """What each training came to that its policy is sure to ask for, and its rows, by the cell's key and the origin.

    Args:
        history: the reduced history of a walker up to an origin, and how many rows it keeps.
    """
    asked = [
        (walker, b, *history(walker, b))
        for walker in walkers
        if walker.policy.clocked
        for b in _origins(walker)
    ]  # fmt: skip
    found: Done = {}
    for part in _parts([(walker, b, walker.job(panel, b, root), rows) for walker, b, panel, rows in asked]):
        done = train_together([job for _, _, job, _ in part])
        meter.absorb(done.record, child=False)
        for (walker, b, _, rows), outcome in zip(part, done.outcomes, strict=True):
            found[walker.cell.key, b] = outcome, rows
    return found


def _origins(walker: Walker) -> Iterator[int]:
    """Where the policy will ask for a training, if all go well."""
    policy, now = deepcopy(walker.policy), walker.now
    for b in range(len(walker.cell.stretch.origins)):
        now = replace(now, slot=walker.slot(b))
        if policy.decide(now).action == Action.RETRAIN:
            now = replace(now, trained_at=now.slot, attempted_at=now.slot)
            yield b


def _parts(
    asked: Sequence[tuple[Walker, int, TrainingJob, int]],
) -> Iterator[list[tuple[Walker, int, TrainingJob, int]]]:
    """As many trainings at a time as memory should hold."""
    part: list[tuple[Walker, int, TrainingJob, int]] = []
    size = 0
    for one in asked:
        job = one[2]
        width = job.panel.values.size * job.task.context
        if part and size + width > WINDOWS:
            yield part
            part, size = [], 0
        part.append(one)
        size += width
    if part:
        yield part
