"""MLflow tracker: one parent run per fleet, one child run per nowcaster, models registered with aliases.

Every call names its run, so that many runs are open at once and no state of MLflow itself is touched. A killed
process leaves its runs RUNNING; the same fleet with the same configuration finds them again and goes on.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from forecast.errors import SchemaError, UnknownNameError
from forecast.schema import duration
from pipelines.trackers.location import Location, quiet_logs
from pipelines.trackers.naming import (
    ABOUT_EXPERIMENT,
    DIGEST,
    FLEET,
    KEY,
    NOTE,
    NOWCASTER,
    PARENT,
    about,
    flat,
    safe,
    shared,
)

quiet_logs()
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param, Run  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

BATCH = 1000  # metrics in one call, MLflow's limit
PARAMS = 100  # parameters in one call
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no such model; no such alias


@dataclass
class MlflowTracker:
    """Shows a fleet in MLflow; see `pipelines.protocols.Tracker`.

    Args:
        folder_or_uri: folder of a SQLite database and its artifacts, or the URI of a server.
        experiment: its name; made when missing.
        period: length of one slot; None: an hour. A fleet gives the step of its task. A metric's time is
            `step * period` after 1970, so that a tick repeated after a crash writes nothing twice, and MLflow's time
            axis shows the time of the data.
        allowed: packages whose classes a registered model may be made of.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tracker = MlflowTracker(folder, "demo")
    ...     tracker.open("airports", {"seed": 1}, {"naive": {"model": "persistence"}})
    ...     tracker.log("naive", {"live/mae/temperature": 1.5}, step=7)
    ...     tracker.close()
    ...     tracker.runs()["metrics.live/mae/temperature"].to_list()
    [1.5]
    """

    folder_or_uri: str | Path
    experiment: str = "nowcastle"
    period: timedelta | str | None = None
    allowed: Sequence[str] = ("forecast", "models")
    fleet_: str = field(default="", init=False)
    parent_: Run | None = field(default=None, init=False)
    runs_: dict[str, Run] = field(default_factory=dict, init=False)  # nowcaster -> child run
    buffer_: dict[str, list[Metric]] = field(default_factory=dict, init=False)  # nowcaster -> not yet written

    @cached_property
    def location(self) -> Location:
        return Location(self.folder_or_uri)

    @cached_property
    def client(self) -> MlflowClient:
        self.location.ensure()
        return MlflowClient(self.location.uri, self.location.uri)

    def open(self, fleet: str, config: Mapping[str, Any], nowcasters: Mapping[str, Mapping[str, Any]]) -> None:
        """Open a parent run and a child per nowcaster, or find those that a killed process left open.

        Args:
            fleet: its name, shown as the parent's.
            config: all of it, kept as the artifact `config.yaml`. The same `config` and `nowcasters` are the same run.
            nowcasters: name -> parameters (`model`, `reducer`, `policy`, `series`, `targets`, ...); nested ones get
                dotted names.
        """
        plain = json.loads(json.dumps({"config": config, "nowcasters": nowcasters}, default=str, sort_keys=True))
        key = f"{safe(fleet)}:{hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:12]}"
        params = {name: flat(facts) for name, facts in plain["nowcasters"].items()}
        self.fleet_, self.runs_, self.buffer_ = fleet, {}, {}
        client = self.client  # makes the database, which takes the lock too
        with self.location.lock():
            home = self._home()
            self.parent_ = self._run(home, fleet, key, {NOTE: about(fleet, nowcasters)}, shared(params))
            for name, facts in params.items():
                tags = {PARENT: self.parent_.info.run_id, NOWCASTER: name, "nowcastle.model": facts.get("model", name)}
                self.runs_[name] = self._run(home, name, f"{key}/{safe(name)}", tags, facts)
        client.log_dict(self.parent_.info.run_id, plain, "config.yaml")

    def log(self, nowcaster: str, metrics: Mapping[str, float], step: int) -> None:
        """Keep metrics of a nowcaster until `flush`; values that are not finite are left out.

        `step` is a slot, or a lead for curves by lead. One value per name and step; writing the same again is harmless.
        """
        self._child(nowcaster)
        at = int(step * (duration(self.period or "1h") / timedelta(milliseconds=1)))
        waiting = self.buffer_.setdefault(nowcaster, [])
        waiting += [
            Metric(k, float(v), at, int(step)) for k, v in metrics.items() if v is not None and math.isfinite(v)
        ]
        if len(waiting) >= BATCH:
            self._write(nowcaster)

    def flush(self) -> None:
        """Write what is buffered, one call per nowcaster; what could not be written stays for the next time."""
        for name in list(self.buffer_):
            self._write(name)

    def artifact(self, path: Path, nowcaster: str | None = None) -> None:
        """Add a file or a folder to a nowcaster's run, or to the fleet's; pictures go to `figures/`."""
        run, path = self._child(nowcaster), Path(path)
        if path.is_dir():
            self.client.log_artifacts(run.info.run_id, str(path), path.name)
        else:
            place = "figures" if path.suffix in {".png", ".svg", ".pdf", ".html"} else None
            self.client.log_artifact(run.info.run_id, str(path), place)

    def register(self, nowcaster: str, folder: Path, tags: Mapping[str, str], alias: str = "champion") -> None:
        """Register a model folder as a new version of `<fleet>.<nowcaster>` under `alias`; it is copied.

        A new champion makes the former one `previous`. A model that already holds the alias is not registered twice.
        """
        from pipelines.trackers.packaging import digest_of, packaged

        run, name, digest = self._child(nowcaster), self.model_name(nowcaster), digest_of(Path(folder))
        former = self._version(name, alias)
        if former is not None and former.tags.get(DIGEST) == digest:
            return
        place = f"models/{digest}"
        with packaged(Path(folder), self.allowed) as made:
            self.client.log_artifacts(run.info.run_id, str(made), place)
        source, facts = f"{run.info.artifact_uri}/{place}", {str(k): str(v) for k, v in tags.items()} | {DIGEST: digest}
        made_version = self.client.create_model_version(name, source, run.info.run_id, facts, await_creation_for=0)
        if former is not None and alias == "champion":
            self.client.set_registered_model_alias(name, "previous", former.version)
        self.client.set_registered_model_alias(name, alias, made_version.version)

    def model_name(self, nowcaster: str) -> str:
        """Name in the registry: load it as `models:/<name>@champion`."""
        return f"{safe(self.fleet_)}.{safe(nowcaster)}"

    def runs(self, *experiments: str) -> pl.DataFrame:
        """Child runs of the named experiments (default: this one's) as a frame; see `read_runs`."""
        from pipelines.trackers.reading import read_runs

        return read_runs(self.client, experiments or (self.experiment,))

    def close(self, status: str = "FINISHED") -> None:
        """Write what is buffered and end the runs, children first, as FINISHED, FAILED or KILLED."""
        if status not in {"FINISHED", "FAILED", "KILLED"}:
            raise UnknownNameError("run status", status, ["FINISHED", "FAILED", "KILLED"])
        self.flush()
        for run in [*self.runs_.values(), *([self.parent_] if self.parent_ else [])]:
            self.client.set_terminated(run.info.run_id, status)
        self.parent_, self.runs_, self.buffer_ = None, {}, {}

    def _home(self) -> str:
        """Id of the experiment."""
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            root = self.location.artifacts and f"{self.location.artifacts}/{safe(self.experiment)}"
            tags = {NOTE: ABOUT_EXPERIMENT, "mlflow.experimentKind": "custom_model_development"}
            try:
                return self.client.create_experiment(self.experiment, root, tags)
            except MlflowException:  # another client of the server was faster
                found = self.client.get_experiment_by_name(self.experiment)
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise SchemaError(
                f"experiment '{self.experiment}' was deleted in MLflow: restore it there, or name another"
            )
        return found.experiment_id

    def _run(self, home: str, name: str, key: str, tags: dict[str, str], params: Mapping[str, str]) -> Run:
        where = f"tags.`{KEY}` = '{key}'"
        if PARENT in tags:
            where += f" and tags.`{PARENT}` = '{tags[PARENT]}'"
        else:
            where += " and attributes.status = 'RUNNING'"
        found = self.client.search_runs([home], where, max_results=1)
        run = (
            found[0]
            if found
            else self.client.create_run(home, tags={KEY: key, FLEET: self.fleet_, **tags}, run_name=name)
        )
        if run.info.status != "RUNNING":  # a child that was ended just before the process was killed
            self.client.update_run(run.info.run_id, "RUNNING")
        facts = [Param(k, v) for k, v in params.items() if k not in run.data.params]
        for start in range(0, len(facts), PARAMS):
            self.client.log_batch(run.info.run_id, params=facts[start : start + PARAMS])
        return run

    def _child(self, nowcaster: str | None) -> Run:
        if nowcaster is None and self.parent_ is not None:
            return self.parent_
        if nowcaster not in self.runs_:
            raise UnknownNameError("nowcaster (is the tracker open?)", str(nowcaster), self.runs_)
        return self.runs_[nowcaster]

    def _write(self, nowcaster: str) -> None:
        run, waiting = self._child(nowcaster), self.buffer_[nowcaster]
        while waiting:
            self.client.log_batch(run.info.run_id, metrics=waiting[:BATCH])
            del waiting[:BATCH]

    def _version(self, name: str, alias: str) -> Any:
        """The version that holds an alias, or None; a model that is new to the registry is made."""
        try:
            return self.client.get_model_version_by_alias(name, alias)
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
        try:
            self.client.create_registered_model(name, {FLEET: self.fleet_})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return None
