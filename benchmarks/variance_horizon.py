"""What Variance Horizon costs: against datasieve, at the size of the nowcasting experiment, and per new row.

    python benchmarks/variance_horizon.py

CPU seconds (`time.process_time`), BLAS on one thread, median of the repeats. datasieve gets the same table in the same
run, once as it comes (its defaults start threads) and once with its sequential backend, the cheapest for it. The data
are seeded: a day's cycle, a slow drift and noise in every column. "never settles" sets the threshold to 0, the dearest
case, in which neither stops early. The mean of the updates is above their median when the horizon jumps: an update that
needs older rows than were known reaches back for them.
Writes benchmarks/results/variance_horizon.json.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from forecast.reduce.variance_horizon import HorizonSearch, variance_horizon

RESULTS = Path(__file__).parent / "results" / "variance_horizon.json"
HORIZON, TEST_SIZE, ROWS, UPDATES = 6, 256, 3360, 200


def weather(rows: int, columns: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    cycle = np.sin(2 * np.pi * np.arange(rows)[:, None] / 24 + rng.uniform(0, 6, columns))  # (T, D)
    drift = 0.05 * rng.normal(size=(rows, columns)).cumsum(axis=0)  # (T, D)
    x = cycle + drift + 0.3 * rng.normal(size=(rows, columns))  # (T, D)
    return x / x.std(axis=0)


def cpu_seconds(call: Callable[..., Any], *given: Any, **named: Any) -> float:
    start = time.process_time()
    call(*given, **named)
    return time.process_time() - start


def fresh_and_update(columns: int, threshold: float, repeats: int) -> dict[str, Any]:
    """A fresh search over 3,360 rows, then one update per new row, each as long as the loop runs."""
    x = weather(ROWS + UPDATES, columns)
    search = HorizonSearch(HORIZON, TEST_SIZE, threshold, max_rows=ROWS)
    fresh = statistics.median(cpu_seconds(search.search, x[:ROWS]) for _ in range(repeats))
    times = [cpu_seconds(search.update, x[i : i + 1]) for i in range(ROWS, ROWS + UPDATES)]
    return {
        "table": f"{ROWS} x {columns}",
        "case": "settles" if threshold else "never settles",
        "rows_kept": search.search(x[:ROWS]).rows,
        "fresh_cpu_s": fresh,
        "update_median_cpu_s": statistics.median(times),
        "update_mean_cpu_s": statistics.mean(times),
        "update_share_percent": 100 * statistics.median(times) / fresh,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        / (2**20 if sys.platform == "darwin" else 1024),
    }


def against_datasieve(rows: int = 900, columns: int = 20) -> dict[str, Any]:
    import pandas as pd
    from datasieve.utils import find_training_horizon

    x = weather(rows, columns)
    asked = {"target_horizon": HORIZON, "test_size": TEST_SIZE, "threshold": 0.0}
    ours = statistics.median(cpu_seconds(variance_horizon, x, **asked) for _ in range(51))
    frame = pd.DataFrame(x)
    theirs = {
        "default": cpu_seconds(find_training_horizon, frame, HORIZON, TEST_SIZE, 0.0),
        "sequential": cpu_seconds(find_training_horizon, frame, HORIZON, TEST_SIZE, 0.0, "sequential", 1),
    }
    return {
        "table": f"{rows} x {columns}",
        "case": "never settles",
        "ours_cpu_s": ours,
        "datasieve_cpu_s": theirs,
        "ratio": {backend: seconds / ours for backend, seconds in theirs.items()},
    }


def main() -> None:
    searches = [
        fresh_and_update(60, 2.5e-4, 21),
        fresh_and_update(60, 0.0, 21),
        fresh_and_update(1300, 2.5e-4, 5),
        fresh_and_update(1300, 0.0, 5),
    ]
    heads = ("table", "case", "kept", "fresh ms", "update ms", "(mean)", "share", "peak MB so far")
    print("{:>12} {:>14} {:>5} {:>9} {:>10} {:>7} {:>7} {:>15}".format(*heads))
    for row in searches:
        fresh, median, mean = (1e3 * row[f"{name}_cpu_s"] for name in ("fresh", "update_median", "update_mean"))
        print(
            f"{row['table']:>12} {row['case']:>14} {row['rows_kept']:5d} {fresh:9.1f} {median:10.3f} {mean:7.3f} "
            f"{row['update_share_percent']:6.2f}% {row['peak_rss_mb']:15.0f}"
        )
    peer = against_datasieve()
    print(f"{peer['table']}, {peer['case']}: ours {1e3 * peer['ours_cpu_s']:.2f} ms")
    for backend, seconds in peer["datasieve_cpu_s"].items():
        print(f"    datasieve, {backend}: {seconds:.2f} CPU-s, {peer['ratio'][backend]:,.0f} times as much")
    RESULTS.parent.mkdir(exist_ok=True)
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    RESULTS.write_text(json.dumps({"searches": searches, "datasieve": peer, "versions": versions}, indent=2) + "\n")


if __name__ == "__main__":
    main()
