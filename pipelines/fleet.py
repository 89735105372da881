"""A fleet: many nowcasters over one store. This file says what it is made of; `tick` says what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from forecast.errors import SchemaError
from forecast.forecaster import Forecaster
from forecast.ledger import Ledger
from forecast.meter import VERSION, Meter
from forecast.policy import Policy
from forecast.reduce import Reducer
from forecast.region import Region
from forecast.schema import Task
from forecast.spec import ALLOWED
from pipelines.executors import Executor, Serial
from pipelines.protocols import NullTracker, Source, Store, Tracker
from pipelines.state import FleetState, load_state, save_state

OVERHEAD = "overhead"


@dataclass(frozen=True, eq=False)
class Nowcaster:
    """One model kept fresh: what learns, on how much history, retrained when.

    Args:
        name: unique in the fleet.
        model: spec of the forecaster (plain data, built anew for each training).
        reducer: shared between nowcasters of equal settings, so that its work is paid once per slot.
        policy: own instance; it remembers.
        labels: `model`, `reducer`, `policy` names for tables and MLflow, and `series` and `target` where it asks for
            less than everything.
        region: which series and targets it asks for; all of them by default.
    """

    name: str
    model: Mapping[str, Any]
    reducer: Reducer
    policy: Policy
    labels: Mapping[str, str]
    region: Region = field(default_factory=Region)


@dataclass(frozen=True, eq=False)
class Edges:
    """What the fleet is connected to."""

    source: Source
    store: Store
    tracker: Tracker = field(default_factory=NullTracker)
    executor: Executor = field(default_factory=Serial)


@dataclass(frozen=True)
class Settings:
    """Choices of a fleet.

    Args:
        history: rows of history a training may use.
        latency: how long after its time a row is waited for: slot + latency is when the slot is acted on.
        refit: after a won comparison, train again on every row.
        allowed: packages a `_target_` may come from.
        series: those to forecast; empty = every series ever seen.
        late: rows this much older than the slot are still settled.
        register: register promoted models in the tracker.
        keep_models: model folders that each nowcaster keeps, its newest ones and its champion; 0 = all.
    """

    history: int = 3360
    latency: timedelta = timedelta(0)
    refit: bool = True
    allowed: tuple[str, ...] = ALLOWED
    series: tuple[str, ...] = ()
    late: timedelta = timedelta(hours=24)
    register: bool = True
    keep_models: int = 3


class Fleet:
    """Nowcasters, their edges and their memory.

    Args:
        name: of the fleet, for MLflow and the folder.
        nowcasters: their names are unique.
        task: the question all of them answer.
        edges, settings: see there.
        folder: where state and models stay.
        probe: called after each step of a tick with its name; tests crash the process here.
    """

    def __init__(
        self,
        name: str,
        nowcasters: list[Nowcaster],
        task: Task,
        edges: Edges,
        settings: Settings,
        folder: Path,
        probe: Callable[[str], None] = lambda step: None,
    ) -> None:
        self.name, self.nowcasters, self.task = name, _by_name(nowcasters), task
        self.edges, self.settings, self.folder, self.probe = edges, settings, folder, probe
        self.state: FleetState = load_state(folder)
        self.ledger = Ledger(task.target_names, settings.late)
        self.meter = Meter()
        self.charged = self.meter.table()  # what earlier slots have recorded already
        self.workers: dict[int, float] = {}  # pid -> CPU seconds it had when it last answered
        self._models: dict[str, tuple[str, Forecaster]] = {}
        self.owed_s = self._take_debts()
        self._remember()

    def _remember(self) -> None:
        """Take up policies and pending forecasts where the saved slot left them."""
        for nowcaster in self.nowcasters.values():
            policy = self.state.of(nowcaster.name).policy
            if policy:
                nowcaster.policy.restore(policy)
        if self.state.slot is not None:
            store, since = self.edges.store, self.state.slot - self.settings.late - self.task.horizon * self.task.step
            self.ledger.reload(
                store.records("forecasts", since=since), store.records("settled", since=since), self.state.slot
            )

    def _take_debts(self) -> float:
        """Charge what a `train` before used, so that the next slot records it; its CPU seconds."""
        if self.state.owed:
            self.meter.absorb({"version": VERSION, "charges": self.state.owed}, child=False)
        return self.meter.total_cpu_s

    @property
    def charged_cpu_s(self) -> float:
        """CPU seconds charged for what this process and its children did."""
        return self.meter.total_cpu_s - self.owed_s

    def charge_start(self, cpu_s: float) -> None:
        """Charge what was used before this fleet existed (start, imports) to overhead."""
        self.charge_overhead(cpu_s - self.charged_cpu_s)

    def charge_overhead(self, cpu_s: float, *, child: bool = False) -> None:
        """Charge CPU seconds measured elsewhere (`child`: by a child process, whose clock will report them again)."""
        row = {"owner": OVERHEAD, "phase": "overhead", "cpu_s": cpu_s, "wall_s": 0.0, "calls": 1, "peak_mb": 0.0}
        self.meter.absorb({"version": VERSION, "charges": [row]}, child=child)

    def model(self, name: str) -> Forecaster | None:
        """The champion, loaded from its folder once per version; None before the first training."""
        version = self.state.of(name).version
        if not version:
            return None
        if self._models.get(name, ("",))[0] != version:
            self._models[name] = (version, Forecaster.load(self.model_folder(name, version), self.settings.allowed))
        return self._models[name][1]

    def has_model(self, name: str) -> bool:
        """Whether the present champion is in memory already."""
        return bool(self.state.of(name).version) and self._models.get(name, ("",))[0] == self.state.of(name).version

    def model_folder(self, name: str, version: str) -> Path:
        return self.folder / "models" / name / version

    def key(self, slot: datetime) -> int:
        """The slot as a growing integer: steps since 1970."""
        return int(slot.timestamp() // self.task.step.total_seconds())

    def save(self, slot: datetime | None) -> None:
        """Keep the memory: after a slot, or between two, when what was spent is left to the next to record."""
        for nowcaster in self.nowcasters.values():
            self.state.of(nowcaster.name).policy = nowcaster.policy.state()
        self.state.owed = [] if slot != self.state.slot else self.meter.record()["charges"]
        self.state.slot = slot
        save_state(self.state, self.folder)


def _by_name(nowcasters: list[Nowcaster]) -> dict[str, Nowcaster]:
    names = [n.name for n in nowcasters]
    twice = sorted({name for name in names if names.count(name) > 1 or name == OVERHEAD})
    if twice:
        raise SchemaError(f"nowcasters named {', '.join(twice)}: give each its own name, and none '{OVERHEAD}'")
    return dict(zip(names, nowcasters, strict=True))
