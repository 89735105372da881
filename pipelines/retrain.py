"""From decisions to trainings: each reducer works once per slot, each training gets all it needs, like train with like.

What fails, a reducer, a training or the process it ran in, fails for its nowcasters alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from datetime import datetime

from forecast.forecaster import Forecaster
from forecast.panel import Panel
from forecast.reduce import Reducer, Reduction, reduced
from forecast.region import Region
from forecast.schema import Task
from forecast.spec import locate
from pipelines.fleet import OVERHEAD, Fleet, Nowcaster
from pipelines.training import FAILURES, Trained, TrainingJob, TrainingOutcome, train_together, worded

VERSION = re.compile(r"\d{8}T\d{4}(\d{2})?")  # as `_version` writes it


def trained(fleet: Fleet, chosen: Sequence[Nowcaster], history: Panel, slot: datetime) -> list[TrainingOutcome]:
    """Train those chosen, in their order; equal reducers are asked once, their cost is shared by those who use them."""
    reductions, views = _reductions(fleet, chosen, history), Views(fleet.task)
    found: dict[str, TrainingOutcome] = {}
    jobs = []
    for nowcaster in chosen:
        reduction = reductions[id(nowcaster.reducer)]
        try:
            if isinstance(reduction, str):
                raise ReductionFailed(reduction)
            with fleet.meter.charge(nowcaster.name, "reduce"):
                jobs.append(_job(fleet, nowcaster, views.of(nowcaster.region, history, reduction), reduction, slot))
        except FAILURES as error:
            why = str(error) if isinstance(error, ReductionFailed) else worded(error)
            found[nowcaster.name] = TrainingOutcome(nowcaster.name, False, why, failed=True)
    with fleet.meter.charge(OVERHEAD, "overhead"):
        done = _run(fleet, bundles(jobs, getattr(fleet.edges.executor, "workers", 1)))
    for part in done:
        _account(fleet, part)
        found |= {outcome.nowcaster: outcome for outcome in part.outcomes}
    return [found[nowcaster.name] for nowcaster in chosen]


class ReductionFailed(Exception):
    """A reducer did not answer; says what it ran into."""


class Views:
    """Histories as regions see them after a reduction, each made once: jobs that share one travel with it once."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._made: dict[tuple[str, bool, int], Panel] = {}

    def of(self, region: Region, history: Panel, reduction: Reduction) -> Panel:
        key = (region.series, region.neighbours, id(reduction))
        if key not in self._made:
            self._made[key] = region.panel(reduced(history, reduction, self.task), self.task)
        return self._made[key]


def bundles(jobs: Sequence[TrainingJob], workers: int) -> list[list[TrainingJob]]:
    """Jobs to be run together: one model on as many rows, in as many equal parts as there are workers.

    A model that never shares a training pass is a job by itself, so that the workers are busy to the end. Whether
    those of a bundle do share one is found where they are fitted (`Forecaster._alike`). Rows count because a pass
    lasts as long as its longest member.
    """
    groups: dict[object, list[TrainingJob]] = {}
    for job in jobs:
        groups.setdefault(_company(job), []).append(job)
    out = []
    for members in groups.values():
        parts = min(workers, len(members))
        out += [members[k::parts] for k in range(parts)]
    return sorted(out, key=len, reverse=True)  # the long ones first, so that no worker is left with one at the end


def _company(job: TrainingJob) -> object:
    """Equal for jobs that may share a pass."""
    try:
        kind = locate(job.model["_target_"], job.allowed)
    except FAILURES:  # told where it is trained
        return job.nowcaster
    if getattr(kind, "_alike", None) is Forecaster._alike:
        return job.nowcaster
    spec = {name: value for name, value in job.model.items() if name != "seed"}
    return json.dumps(spec, sort_keys=True, default=str), job.rows, len(job.panel.times)


def _run(fleet: Fleet, parts: list[list[TrainingJob]]) -> list[Trained]:
    """Run the bundles; where that breaks (a worker was killed), one by one, so that it breaks for the culprit alone."""
    try:
        return fleet.edges.executor.map(train_together, parts) if parts else []
    except FAILURES as error:
        if len(parts) == 1 and len(parts[0]) == 1:
            return [Trained([TrainingOutcome(parts[0][0].nowcaster, False, worded(error), failed=True)])]
        smaller = parts if len(parts) > 1 else [[job] for job in parts[0]]
        return [done for part in smaller for done in _run(fleet, [part])]


def _job(fleet: Fleet, nowcaster: Nowcaster, history: Panel, reduction: Reduction, slot: datetime) -> TrainingJob:
    memory = fleet.state.of(nowcaster.name)
    memory.rows, memory.of = reduction.rows, reduction.of
    champion = fleet.model_folder(nowcaster.name, memory.version) if memory.version else None
    check = nowcaster.policy.check_window if nowcaster.policy.challenges else 0
    return TrainingJob(
        nowcaster.name,
        dict(nowcaster.model),
        fleet.settings.allowed,
        history,
        nowcaster.region.task(fleet.task, fleet.state.series),
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
    """Take over a promoted model and tell the policy."""
    memory = fleet.state.of(outcome.nowcaster)
    memory.attempted_at = slot
    memory.retrains += 1
    if outcome.promoted:
        memory.version, memory.trained_at, memory.data_end = _version(slot), slot, outcome.data_end
    memory.failures = 0 if outcome.promoted else memory.failures + 1
    if not outcome.failed:
        fleet.nowcasters[outcome.nowcaster].policy.trained(outcome.promoted, outcome.reference)


def forget(fleet: Fleet, name: str) -> None:
    """Count a champion that cannot be read as none: the nowcaster begins anew, with nothing to wait for."""
    memory = fleet.state.of(name)
    memory.version, memory.trained_at, memory.data_end = "", None, None
    memory.attempted_at, memory.failures = None, 0


def prune(fleet: Fleet, names: Sequence[str]) -> None:
    """Delete the model folders of nowcasters beyond the newest `keep_models`; never the champion's.

    Called once the state that names the champion is safe. The tracker's registry has copies of its own.
    """
    keep = fleet.settings.keep_models
    for name in names if keep else ():
        root, champion = fleet.folder / "models" / name, fleet.state.of(name).version
        versions = (
            sorted(p for p in root.iterdir() if p.is_dir() and VERSION.fullmatch(p.name)) if root.is_dir() else []
        )
        for old in versions[:-keep]:
            if old.name != champion:
                shutil.rmtree(old, ignore_errors=True)


def _account(fleet: Fleet, done: Trained) -> None:
    """Absorb the record of trainings; what else a worker spent (start, imports, transfer, order) is overhead.

    Trainings in this very process were inside a charge of overhead, which gives back what is the nowcasters'.
    """
    pid, after = done.process
    if pid == 0:
        return
    charged = sum(row["cpu_s"] for row in done.record["charges"])
    if pid == os.getpid():
        fleet.meter.absorb(done.record, child=False)
        fleet.charge_overhead(-charged)
        return
    fleet.meter.absorb(done.record)
    fleet.charge_overhead(after - fleet.workers.get(pid, 0.0) - charged, child=True)
    fleet.workers[pid] = after
