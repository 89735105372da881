"""What every job does first: threads before libraries, one fleet from the configuration, its tracker opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pipelines.build import build_fleet
from pipelines.fleet import OVERHEAD, Fleet
from pipelines.run import cpu_s, run_folder
from pipelines.slots import RunLock
from pipelines.threads import ThreadPolicy

BASELINES = {"persistence": {"_target_": "models.persistence.Persistence"}}


@contextmanager
def opened_fleet(config: Mapping[str, Any], choices: Mapping[str, str]) -> Iterator[Fleet]:
    """The fleet of this run, locked against a second process; its tracker and workers are closed at the end."""
    threads = ThreadPolicy.detect(config["threads"]["workers"], config["threads"]["per_worker"])
    threads.apply()
    plain = {**config, "grid": config.get("grid") or single(config, choices)}
    plain["threads"] = {**config["threads"], "workers": threads.workers}
    if "workers" in plain["executor"]:
        plain["executor"] = {**plain["executor"], "workers": threads.workers}
    folder = run_folder(plain)
    with RunLock(folder / "run.lock"):
        fleet = build_fleet(plain, folder)
        fleet.charge_start(cpu_s() - config["cpu_before_s"])
        tracker = fleet.edges.tracker
        with fleet.meter.charge(OVERHEAD, "log"):
            tracker.open(fleet.name, {**plain, "machine": threads.record()}, describe(fleet))
        try:
            yield fleet
        finally:
            fleet.edges.executor.close()
            tracker.flush()


def single(config: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """A grid of one: the chosen model, reducer and policy, beside persistence."""
    return {
        "baselines": BASELINES,
        "models": {choices["model"]: config["model"]},
        "reducers": {choices["reducer"]: config["reducer"]},
        "policies": {choices["policy"]: config["policy"]},
    }


def describe(fleet: Fleet) -> dict[str, dict[str, Any]]:
    """Parameters of each nowcaster for the tracker."""
    common = {"targets": ", ".join(fleet.task.target_names), "horizon": fleet.task.horizon}
    return {
        n.name: {**n.labels, **common, "history": fleet.settings.history, "spec": dict(n.model)}
        for n in fleet.nowcasters.values()
    }
