"""One new hour for 4,000 stations through the whole tick: appended, settled and forecast by persistence.

    python benchmarks/tick.py

Prints the wall and CPU seconds of a warm tick through the Delta store, step by step. Target: under 0.5 s.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from forecast.frame import canonical
from forecast.policy import Never
from forecast.reduce import Last
from forecast.schema import Task, Variable
from pipelines.fleet import Edges, Fleet, Nowcaster, Settings
from pipelines.protocols import Batch, NullTracker
from pipelines.stores.delta import DeltaStore
from pipelines.tick import tick

STATIONS, HISTORY, TICKS = 4_000, 60, 16
START, HOUR = datetime(2020, 1, 1, tzinfo=UTC), timedelta(hours=1)
VARIABLE = Variable("temperature", "degC", -60, 60)
RESULTS = Path(__file__).parent / "results" / "tick.json"


class Stations:
    """A seeded hour of all stations at a time."""

    name = "stations"

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.values = 10 + rng.normal(size=(HISTORY + TICKS + 1, STATIONS)).cumsum(0) * 0.3  # (T, N)
        self.names = [f"s{i:04d}" for i in range(STATIONS)]

    def poll(self, positions: dict[str, int], until: datetime) -> Batch:
        newest = int((until - START) / HOUR)
        hours = range(positions.get(self.name, -1) + 1, newest + 1)
        parts = [
            pl.DataFrame({"series": self.names, "time": [START + h * HOUR] * STATIONS, VARIABLE.name: self.values[h]})
            for h in hours
        ]
        return Batch(canonical(pl.concat(parts), [VARIABLE]), {self.name: newest}, pl.DataFrame())


def main() -> None:
    task = Task(targets=[VARIABLE], horizon=6, context=6)
    labels = {"model": "persistence", "reducer": "last", "policy": "never"}
    model = {"_target_": "models.persistence.Persistence"}
    marks: list[tuple[str, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        nowcaster = Nowcaster("persistence", model, Last(HISTORY), Never(), labels)
        edges = Edges(Stations(), DeltaStore(Path(folder) / "store", [VARIABLE]), NullTracker())
        settings = Settings(history=HISTORY)
        mark = lambda step: marks.append((step, time.perf_counter(), time.process_time()))  # noqa: E731
        fleet = Fleet("stations", [nowcaster], task, edges, settings, Path(folder), mark)
        walls, cpus, steps = [], [], {}
        for k in range(TICKS):
            marks.clear()
            mark("start")
            done = tick(fleet, START + (HISTORY + k) * HOUR)
            assert done is not None
            assert done.forecasts.height == STATIONS * 6
            if k >= 8:  # every lead matures from the sixth tick on
                assert done.matured.height == STATIONS * 6
                walls.append(marks[-1][1] - marks[0][1])
                cpus.append(marks[-1][2] - marks[0][2])
                for (_, before, _), (step, after, _) in pairwise(marks):
                    steps.setdefault(step, []).append(after - before)
    result = {"wall_s": statistics.median(walls), "cpu_s": statistics.median(cpus), "stations": STATIONS}
    print(f"a tick of {STATIONS} stations: wall {result['wall_s']:.3f} s, CPU {result['cpu_s']:.3f} s (medians)")
    for step, spent in steps.items():
        print(f"  {step:8s} {statistics.median(spent):.3f} s")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
