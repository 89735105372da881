"""From decisions to trainings: each reducer works once per slot, each training gets all it needs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

import polars as pl

from forecast.panel import Panel
from forecast.reduce import Reducer, Reduction, reduced
from pipelines.fleet import Fleet, Nowcaster
from pipelines.training import PAIR, TrainingJob, TrainingOutcome


def jobs_for(fleet: Fleet, chosen: Sequence[Nowcaster], history: Panel, slot: datetime) -> list[TrainingJob]:
    """One job per nowcaster to retrain; equal reducers are asked once, their cost is shared by those who use them."""
    reductions = _reductions(fleet, chosen, history)
    jobs = []
    for nowcaster in chosen:
        reduction = reductions[id(nowcaster.reducer)]
        memory = fleet.state.of(nowcaster.name)
        memory.rows, memory.of = reduction.rows, reduction.of
        version = f"{slot:%Y%m%dT%H%M}"
        champion = fleet.model_folder(nowcaster.name, memory.version) if memory.version else None
        check = nowcaster.policy.check_window if nowcaster.policy.challenges else 0
        job = TrainingJob(
            nowcaster.name,
            dict(nowcaster.model),
            fleet.settings.allowed,
            reduced(history, reduction, fleet.task),
            fleet.task,
            fleet.model_folder(nowcaster.name, version),
            champion,
            check,
            _champion_rows(fleet, nowcaster.name, slot, check) if champion else pl.DataFrame(),
            fleet.settings.refit,
        )
        jobs.append(job)
    return jobs


def _reductions(fleet: Fleet, chosen: Sequence[Nowcaster], history: Panel) -> dict[int, Reduction]:
    users: dict[int, tuple[Reducer, list[str]]] = {}
    for nowcaster in chosen:
        users.setdefault(id(nowcaster.reducer), (nowcaster.reducer, []))[1].append(nowcaster.name)
    found = {}
    for key, (reducer, names) in users.items():
        with fleet.meter.charge_shared(names, "reduce"):
            found[key] = reducer.reduce(history, fleet.task)
    return found


def _champion_rows(fleet: Fleet, name: str, slot: datetime, check: int) -> pl.DataFrame:
    """The champion's forecasts as issued whose truth lies in the check window, settled by now."""
    after = slot - check * fleet.task.step
    settled = fleet.edges.store.records("settled", since=after)
    if settled.is_empty():
        return settled
    return settled.filter((pl.col("nowcaster") == name) & (pl.col("time") > after)).select(*PAIR, "error")


def apply(fleet: Fleet, outcome: TrainingOutcome, slot: datetime) -> None:
    """Take over a promoted model, tell the policy, count what it cost."""
    memory = fleet.state.of(outcome.nowcaster)
    memory.attempted_at = slot
    memory.retrains += 1
    if outcome.promoted:
        memory.version, memory.trained_at, memory.data_end = f"{slot:%Y%m%dT%H%M}", slot, outcome.data_end
    memory.failures = 0 if outcome.promoted else memory.failures + 1
    if not outcome.failed:
        fleet.nowcasters[outcome.nowcaster].policy.trained(outcome.promoted, outcome.reference)
    _account(fleet, outcome)


def _account(fleet: Fleet, outcome: TrainingOutcome) -> None:
    """Absorb a worker's record; what the worker spent between its jobs (start, imports, transfer) is overhead."""
    pid, before, after = outcome.process
    if pid == os.getpid():
        return
    fleet.meter.absorb(outcome.record)
    fleet.charge_overhead(before - fleet.workers.get(pid, 0.0), child=True)
    fleet.workers[pid] = after
