"""A small seeded world for tests of the loop: two stations with gaps, late and revised rows, and fleets over it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from forecast.detect import Ratio
from forecast.frame import canonical
from forecast.policy import Always, Limits, OnDrift, Policy
from forecast.reduce import Full, Reducer, VarianceHorizon
from forecast.schema import Task, Variable
from forecast.spec import ALLOWED
from pipelines.executors import Executor, Serial
from pipelines.fleet import Edges, Fleet, Nowcaster, Settings
from pipelines.protocols import Batch, NullTracker, Store, Tracker
from pipelines.stores.delta import DeltaStore
from pipelines.stores.memory import MemoryStore

HOUR = timedelta(hours=1)
START = datetime(2020, 1, 1, tzinfo=UTC)
VARIABLES = (Variable("temperature", "degC", -60, 60), Variable("wind", "m/s", 0, 75))
TASK = Task(targets=VARIABLES, horizon=3, context=4)
FIRST = START + 300 * HOUR
PERSISTENCE = {"_target_": "models.persistence.Persistence"}


def weather(rows: int = 400, seed: int = 0, holes: bool = True, revised: bool = True) -> pl.DataFrame:
    """Canonical rows with daily cycle, noise that grows after row 330, gaps, a late row and a revision per day."""
    rng = np.random.default_rng(seed)
    hours = np.arange(rows)
    parts = []
    for name in ("EWR", "JFK"):
        noise = rng.normal(size=rows).cumsum() * 0.2 * np.where(hours > 330, 3, 1)
        temperature = 10 + 5 * np.sin(2 * np.pi * hours / 24) + noise
        wind = np.abs(4 + rng.normal(size=rows))
        time = [START + int(h) * HOUR for h in hours]
        seen = [t + (3 * HOUR if h % 24 == 7 else HOUR / 2) for t, h in zip(time, hours, strict=True)]
        frame = pl.DataFrame(
            {"series": [name] * rows, "time": time, "seen": seen, "temperature": temperature, "wind": wind}
        )
        gone = pl.Series(rng.random(rows) < 0.03)
        frame = frame.filter(~gone) if holes else frame
        second = frame.gather_every(24).with_columns(pl.col("seen") + 5 * HOUR, pl.col("wind") + 0.5)
        parts += [frame, second] if revised else [frame]
    return canonical(pl.concat(parts), VARIABLES)


class World:
    """A source over a frame: rows by the time they were seen; an eager one hands out even what is not seen yet."""

    name = "world"

    def __init__(self, frame: pl.DataFrame, eager: bool = False) -> None:
        self.frame, self.eager = frame, eager

    def poll(self, positions: dict[str, int], until: datetime) -> Batch:
        after = positions.get("world", 0)
        if self.eager:
            return Batch(self.frame if not after else self.frame.clear(), {"world": 1}, pl.DataFrame())
        micros = pl.col("seen").dt.epoch("us")
        rows = self.frame.filter((micros > after) & (pl.col("seen") <= until))
        return Batch(rows, {"world": int(until.timestamp() * 1_000_000)}, pl.DataFrame())


def fleet(
    folder: Path,
    store: Store | None = None,
    tracker: Tracker | None = None,
    executor: Executor | None = None,
    probe: Callable[[str], None] = lambda step: None,
    model: dict | None = None,
    latency: timedelta = HOUR,
    frame: pl.DataFrame | None = None,
) -> Fleet:
    """Two nowcasters, one retrained always on everything, one on drift on a Variance Horizon."""
    limits = Limits(min_age=timedelta(hours=3), max_age=timedelta(hours=12))
    drift = OnDrift(Ratio(delta=0.05, window=6, min_checks=3), check_window=8, limits=limits)
    spec = model or PERSISTENCE
    made = [
        Nowcaster("always", spec, Full(), Always(), {"model": "m", "reducer": "full", "policy": "always"}),
        Nowcaster(
            "drift", spec, VarianceHorizon(test_size=60), drift, {"model": "m", "reducer": "vh", "policy": "on_drift"}
        ),
    ]
    frame = weather() if frame is None else frame
    edges = Edges(
        World(frame), store or DeltaStore(folder / "store", VARIABLES), tracker or NullTracker(), executor or Serial()
    )
    return Fleet("test", made, TASK, edges, Settings(history=250, latency=latency), folder, probe)


def member(name: str, policy: Policy, model: dict | None = None, reducer: Reducer | None = None) -> Nowcaster:
    """A nowcaster; label `model` is its name, so that no other one is its reference."""
    labels = {"model": name, "reducer": "full", "policy": type(policy).__name__.lower()}
    return Nowcaster(name, model or PERSISTENCE, reducer or Full(), policy, labels)


def crew(
    folder: Path,
    members: list[Nowcaster],
    frame: pl.DataFrame | None = None,
    *,
    store: Store | None = None,
    source: World | None = None,
    executor: Executor | None = None,
    probe: Callable[[str], None] = lambda step: None,
    task: Task = TASK,
) -> Fleet:
    """Any nowcasters over a store in memory; the planted models are allowed."""
    frame = weather() if frame is None else frame
    edges = Edges(source or World(frame), store or MemoryStore(task.variables), NullTracker(), executor or Serial())
    settings = Settings(history=250, latency=HOUR, allowed=(*ALLOWED, "tests.loop"))
    return Fleet("crew", members, task, edges, settings, folder, probe)


def slots(count: int) -> list[datetime]:
    return [FIRST + k * HOUR for k in range(count)]


def everything(store: Store) -> dict[str, pl.DataFrame]:
    """All that must survive: observations with vintages, forecasts, settled rows, decisions, rejected cells."""
    tables = {name: store.records(name) for name in ("forecasts", "settled", "decisions", "rejected")}
    return {"observations": store.read(vintages=True), **tables}
