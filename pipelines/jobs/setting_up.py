"""What every job does first: threads before libraries, one fleet from the configuration, its tracker opened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pipelines.build import build_fleet
from pipelines.fleet import OVERHEAD, Fleet
from pipelines.jobs.identity import check_identity, keep_identity
from pipelines.run import cpu_s, run_folder
from pipelines.slots import RunLock
from pipelines.threads import ThreadPolicy


@contextmanager
def opened_fleet(config: Mapping[str, Any], choices: Mapping[str, str]) -> Iterator[Fleet]:
    """The fleet of this run, locked against a second process; its workers end with the block."""
    threads = _threads(config)
    threads.apply()
    plain = {**config, "grid": config.get("grid") or single(config, choices)}
    if "workers" in plain["executor"]:
        plain["executor"] = {**plain["executor"], "workers": threads.workers}
    folder = run_folder(plain)
    with RunLock(folder / "run.lock"):
        fleet = build_fleet(plain, folder)
        check_identity(fleet)
        fleet.charge_start(cpu_s() - config["cpu_before_s"])
        try:
            yield fleet
        finally:
            fleet.edges.executor.close()


@contextmanager
def tracked(fleet: Fleet, config: Mapping[str, Any]) -> Iterator[None]:
    """The tracker opened for the block; whatever happens in it, what was logged is written.

    A run is known again by its configuration: what differs between two processes of one run is not part of it.
    """
    tracker = fleet.edges.tracker
    same = {k: v for k, v in config.items() if k != "cpu_before_s"} | {"clock": {**config["clock"], "now": None}}
    with fleet.meter.charge(OVERHEAD, "log"):
        tracker.open(fleet.name, same, describe(fleet))
        machine = fleet.folder / "machine.json"
        machine.write_text(json.dumps(_threads(config).record(), indent=1))
        tracker.artifact(machine)
        keep_identity(fleet)
    try:
        yield
    finally:
        tracker.flush()


def _threads(config: Mapping[str, Any]) -> ThreadPolicy:
    return ThreadPolicy.detect(config["threads"]["workers"], config["threads"]["per_worker"])


def single(config: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """A grid of one: the chosen model, reducer and policy."""
    return {
        "models": {choices["model"]: config["model"]},
        "reducers": {choices["reducer"]: config["reducer"]},
        "policies": {choices["policy"]: config["policy"]},
    }


def describe(fleet: Fleet) -> dict[str, dict[str, Any]]:
    """Parameters of each nowcaster for the tracker."""
    common = {"horizon": fleet.task.horizon, "history": fleet.settings.history}
    return {
        n.name: {
            **n.labels,
            "targets": ", ".join(n.region.targets or fleet.task.target_names),
            **common,
            "spec": dict(n.model),
        }
        for n in fleet.nowcasters.values()
    }
