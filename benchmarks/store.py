"""What the Delta store costs: appends, reads after many small commits, records. Prints and keeps the figures.

    python -m benchmarks.store [--small 5000] [--wide 200]

Small: 140 days x 3 stations in one commit, then hourly commits of 3 rows. Wide: hourly commits of 4,000 rows.
Eight variables. "cold" opens the folder anew, as a one-shot job does. Milliseconds; the best of five for reads.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from forecast.schema import Variable
from pipelines.stores.delta import DeltaStore

VARIABLES = [Variable(f"v{i}") for i in range(8)]
START = datetime(2020, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RESULTS = Path(__file__).parent / "results" / "store.json"


def rows(stations: int, first: int, hours: int, seed: int) -> pl.DataFrame:
    """`hours` hours of every station, seen an hour later."""
    chance = np.random.default_rng(seed)
    grid = pl.DataFrame({"series": [f"S{i:05}" for i in range(stations)]}).join(
        pl.DataFrame({"time": [START + (first + h) * HOUR for h in range(hours)]}), how="cross"
    )
    values = {v.name: chance.normal(10, 5, grid.height).round(2) for v in VARIABLES}
    return grid.with_columns(seen=pl.col("time") + HOUR, **{name: pl.Series(v) for name, v in values.items()})


def milliseconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return 1e3 * (time.perf_counter() - began)


def best(act: Callable[[], object]) -> float:
    return round(min(milliseconds(act) for _ in range(5)), 1)


def appends(store: DeltaStore, stations: int, first: int, commits: int) -> dict[str, float]:
    """Cost of each commit; the mean counts the folding of small files, which every 50th commit pays."""
    frames = ((hour, rows(stations, hour, 1, hour)) for hour in range(first, first + commits))
    spent = np.array([milliseconds(lambda h=h, f=f: store.append(f, {"bench": h})) for h, f in frames])  # type: ignore[misc]
    tenth = max(1, commits // 10)
    return {
        "append_median": round(float(np.median(spent)), 1),
        "append_p95": round(float(np.percentile(spent, 95)), 1),
        "append_max": round(float(spent.max()), 1),
        "append_mean": round(float(spent.mean()), 1),
        "append_mean_first_tenth": round(float(spent[:tenth].mean()), 1),
        "append_mean_last_tenth": round(float(spent[-tenth:].mean()), 1),
    }


def reads(store: DeltaStore, end: datetime, back: dict[str, timedelta]) -> dict[str, float]:
    found = {}
    for name, span in back.items():
        found[f"read_{name}"] = best(lambda span=span: store.read(start=end - span))  # type: ignore[misc]
        found[f"read_{name}_cold"] = best(
            lambda span=span: DeltaStore(store.folder, VARIABLES).read(start=end - span)  # type: ignore[misc]
        )
    return found | {"positions": best(store.positions)}


def small(commits: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        store, first = DeltaStore(folder, VARIABLES), 140 * 24
        history = rows(3, 0, first, 0)
        bootstrap = milliseconds(lambda: store.append(history, {"bench": 1}))
        costs = appends(store, 3, first, commits)
        end = START + (first + commits - 1) * HOUR
        spans = {"6h": 5 * HOUR, "140d": 140 * DAY}
        return {"commits": commits, "bootstrap": round(bootstrap, 1), **costs, **reads(store, end, spans)}


def wide(commits: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        store = DeltaStore(folder, VARIABLES)
        costs = appends(store, 4000, 0, commits)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet")) / 1024**2
        end = START + (commits - 1) * HOUR
        spans = {"6h": 5 * HOUR, "24h": 23 * HOUR}
        return {"commits": commits, **costs, **reads(store, end, spans), "folder_mb": round(size, 1)}


def records(commits: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        store = DeltaStore(folder, VARIABLES)
        table = pl.DataFrame({"nowcaster": ["a", "b", "c"], "cpu_s": [0.1, 0.2, 0.3]})
        slots = [table.with_columns(slot=pl.lit(START + n * HOUR)) for n in range(commits)]
        spent = [milliseconds(lambda n=n, t=t: store.record("costs", t, n)) for n, t in enumerate(slots)]  # type: ignore[misc]
        since = START + (commits - 1) * HOUR
        return {
            "commits": commits,
            "record_median": round(float(np.median(spent)), 1),
            "records_since": best(lambda: store.records("costs", since=since)),
            "records_all": best(lambda: store.records("costs")),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", type=int, default=5000, help="hourly commits of 3 rows")
    parser.add_argument("--wide", type=int, default=200, help="hourly commits of 4,000 rows")
    given = parser.parse_args()
    figures = {
        "unit": "milliseconds",
        "python": platform.python_version(),
        "polars_threads": pl.thread_pool_size(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "small_72": small(72),
        "small": small(given.small),
        "wide": wide(given.wide),
        "records": records(500),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
