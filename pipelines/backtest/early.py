"""Trainings of a walk that go by the clock alone are known before it begins, and are done side by side at its start.

A small network retrained every week for a year and a half is then one pass of eighty members instead of eighty passes,
which costs a fraction. Each is trained on the rows up to its own origin and nothing later, and ends as it would alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

from forecast.meter import Meter
from forecast.panel import Panel
from forecast.policy import Action, Policy
from pipelines.backtest.walker import Walker
from pipelines.training import FAILURES, TrainingJob, TrainingOutcome, train_together, worded

WINDOWS = 2**26  # numbers in the windows of the trainings of one pass: bounds memory
Done = dict[tuple[str, int], tuple[TrainingOutcome, int]]


@dataclass(frozen=True, eq=False)
class Due:
    """A training that is sure to come: of which walker at which origin, on how many rows."""

    walker: Walker
    b: int
    rows: int
    job: TrainingJob

    @property
    def size(self) -> int:
        """Numbers in its windows."""
        return int(self.job.panel.values.size) * self.job.task.context


def by_clock(policy: Policy) -> bool:
    """Whether its trainings are known before the walk: no error decides when, and no champion is to be met."""
    return policy.clocked and not policy.challenges


def trained_early(
    walkers: Sequence[Walker], history: Callable[[Sequence[Walker], int], tuple[Panel, int]], root: Path, meter: Meter
) -> Done:
    """What each training came to that its policy is sure to ask for, and its rows, by the cell's key and the origin.

    Args:
        walkers: of one bundle, which share panel, reducer and the spec of their policy. history: the reduced history
            up to an origin, charged to these walkers, and how many rows it keeps.
    """
    if not by_clock(walkers[0].policy):
        return {}
    found: Done = {}
    for part in parts(_due(walkers, history, root, found)):
        done = train_together([one.job for one in part])
        meter.absorb(done.record, child=False)
        for one, outcome in zip(part, done.outcomes, strict=True):
            found[one.walker.cell.key, one.b] = outcome, one.rows
    return found


def _due(
    walkers: Sequence[Walker],
    history: Callable[[Sequence[Walker], int], tuple[Panel, int]],
    root: Path,
    found: Done,
) -> Iterator[Due]:
    """One after another, so that not all histories are in memory; a history that cannot be reduced has failed."""
    for b in _origins(walkers[0]):
        try:
            panel, rows = history(walkers, b)
        except FAILURES as error:
            for walker in walkers:
                key = walker.cell.key
                found[key, b] = TrainingOutcome(key, False, worded(error), failed=True), 0
        else:
            yield from (Due(walker, b, rows, walker.job(panel, b, root)) for walker in walkers)


def _origins(walker: Walker) -> Iterator[int]:
    """Where the policy will ask for a training, if all go well."""
    policy, now = deepcopy(walker.policy), walker.now
    for b in range(len(walker.cell.stretch.origins)):
        now = replace(now, slot=walker.slot(b))
        if policy.decide(now).action == Action.RETRAIN:
            now = replace(now, trained_at=now.slot, attempted_at=now.slot)
            policy.trained(True, float("nan"))
            yield b


def parts(due: Iterable[Due]) -> Iterator[list[Due]]:
    """As many trainings at a time as memory should hold, at least one."""
    part: list[Due] = []
    size = 0
    for one in due:
        if part and size + one.size > WINDOWS:
            yield part
            part, size = [], 0
        part.append(one)
        size += one.size
    if part:
        yield part
