"""From decisions to trainings: each reducer works once per slot, each training gets all it needs.

What fails, a reducer, a training or the process it ran in, fails for its nowcasters alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from forecast.panel import Panel
from forecast.reduce import Reducer, Reduction, reduced
from pipelines.fleet import OVERHEAD, Fleet, Nowcaster
from pipelines.training import FAILURES, TrainingJob, TrainingOutcome, train, worded


def trained(fleet: Fleet, chosen: Sequence[Nowcaster], history: Panel, slot: datetime) -> list[TrainingOutcome]:
    """Train those chosen, in their order; equal reducers are asked once, their cost is shared by those who use them."""
    reductions = _reductions(fleet, chosen, history)
    found: dict[str, TrainingOutcome] = {}
    jobs = []
    for nowcaster in chosen:
        reduction = reductions[id(nowcaster.reducer)]
        if isinstance(reduction, str):
            found[nowcaster.name] = TrainingOutcome(nowcaster.name, False, reduction, failed=True)
        else:
            with fleet.meter.charge(nowcaster.name, "reduce"):
                jobs.append(_job(fleet, nowcaster, history, reduction, slot))
    with fleet.meter.charge(OVERHEAD, "overhead"):
        found |= {outcome.nowcaster: outcome for outcome in _run(fleet, jobs)}
    return [found[nowcaster.name] for nowcaster in chosen]


def _run(fleet: Fleet, jobs: list[TrainingJob]) -> list[TrainingOutcome]:
    """Run the jobs; where that breaks (a worker was killed), one by one, so that it breaks for the culprit alone."""
    try:
        return fleet.edges.executor.map(train, jobs) if jobs else []
    except FAILURES as error:
        if len(jobs) == 1:
            return [TrainingOutcome(jobs[0].nowcaster, False, worded(error), failed=True)]
        return [outcome for job in jobs for outcome in _run(fleet, [job])]


def _job(fleet: Fleet, nowcaster: Nowcaster, history: Panel, reduction: Reduction, slot: datetime) -> TrainingJob:
    memory = fleet.state.of(nowcaster.name)
    memory.rows, memory.of = reduction.rows, reduction.of
    champion = fleet.model_folder(nowcaster.name, memory.version) if memory.version else None
    check = nowcaster.policy.check_window if nowcaster.policy.challenges else 0
    return TrainingJob(
        nowcaster.name,
        dict(nowcaster.model),
        fleet.settings.allowed,
        reduced(history, reduction, fleet.task),
        fleet.task,
        fleet.model_folder(nowcaster.name, _version(slot)),
        champion,
        check,
        fleet.settings.refit,
    )


def _version(slot: datetime) -> str:
    """Name of a model trained in a slot; seconds only where a step is no whole minute."""
    return f"{slot:%Y%m%dT%H%M}" + (f"{slot:%S}" if slot.second else "")


def _reductions(fleet: Fleet, chosen: Sequence[Nowcaster], history: Panel) -> dict[int, Reduction | str]:
    """The answer of each reducer, by its id; of one that failed, what it ran into."""
    users: dict[int, tuple[Reducer, list[str]]] = {}
    for nowcaster in chosen:
        users.setdefault(id(nowcaster.reducer), (nowcaster.reducer, []))[1].append(nowcaster.name)
    found: dict[int, Reduction | str] = {}
    for key, (reducer, names) in users.items():
        with fleet.meter.charge_shared(names, "reduce"):
            try:
                found[key] = reducer.reduce(history, fleet.task)
            except FAILURES as error:
                found[key] = worded(error)
    return found


def apply(fleet: Fleet, outcome: TrainingOutcome, slot: datetime) -> None:
    """Take over a promoted model, tell the policy, count what it cost."""
    memory = fleet.state.of(outcome.nowcaster)
    memory.attempted_at = slot
    memory.retrains += 1
    if outcome.promoted:
        memory.version, memory.trained_at, memory.data_end = _version(slot), slot, outcome.data_end
    memory.failures = 0 if outcome.promoted else memory.failures + 1
    if not outcome.failed:
        fleet.nowcasters[outcome.nowcaster].policy.trained(outcome.promoted, outcome.reference)
    _account(fleet, outcome)


def forget(fleet: Fleet, name: str) -> None:
    """Count a champion that cannot be read as none: the nowcaster begins anew, with nothing to wait for."""
    memory = fleet.state.of(name)
    memory.version, memory.trained_at, memory.data_end = "", None, None
    memory.attempted_at, memory.failures = None, 0


def _account(fleet: Fleet, outcome: TrainingOutcome) -> None:
    """Absorb a training's record; what a worker spent between its jobs (start, imports, transfer) is overhead.

    A training in this very process was inside a charge of overhead, which gives back what is the nowcaster's.
    """
    pid, before, after = outcome.process
    if pid == 0:
        return
    if pid == os.getpid():
        fleet.meter.absorb(outcome.record, child=False)
        fleet.charge_overhead(-sum(row["cpu_s"] for row in outcome.record["charges"]))
        return
    fleet.meter.absorb(outcome.record)
    fleet.charge_overhead(before - fleet.workers.get(pid, 0.0), child=True)
    fleet.workers[pid] = after
