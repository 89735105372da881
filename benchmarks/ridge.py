"""What a tick of the streaming ridge costs: 4,000 series, 24 lags, 6 horizons, one equation per series and lead.

    python -m benchmarks.ridge

A tick takes in one new row of every series (errors, sums, equations) and forecasts all of them. CPU seconds
(`time.process_time`), median and fastest of the ticks; with one thread and, in a process of its own, with two. Beside
it, in the same run, a loop over series as one would write it with a solver for one: `sums` updates X'X and X'y and
solves (the same equations, one by one); `refit` solves again from the rows, as a model without sums has to. Both are
timed without building rows, errors and intervals, which the tick includes.
Last, the equations after the ticks against those solved by the loop from all rows: the greatest difference relative to
the greatest weight. Data are seeded; 31 inputs: 1, the level, 23 changes, 6 of the day.
Writes benchmarks/results/ridge.json.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from forecast.panel import Panel
from forecast.schema import Task, Variable
from forecast.windows import calendar
from models.ridge import Ridge
from models.ridges.inputs import RidgeInputs

RESULTS = Path(__file__).parent / "results" / "ridge.json"
SERIES, LAGS, HORIZON, ROWS, TICKS, LOOPED = 4000, 24, 6, 720, 25, 100
TASK = Task(targets=(Variable("y"),), horizon=HORIZON, context=LAGS)
INPUTS = RidgeInputs(lags=tuple(range(1, LAGS)), neighbours=0, year=False)
PENALTY = 1e-2


def streams(rows: int) -> Panel:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(SERIES, rows)).cumsum(1) * 0.1  # (N, T)
    values += rng.uniform(0.5, 2, (SERIES, 1)) * np.sin(2 * np.pi * np.arange(rows) / 24) + rng.normal(
        size=values.shape
    )
    times = np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    names = tuple(f"S{i:04d}" for i in range(SERIES))
    return Panel(values[..., None], times, names, ("y",), timedelta(hours=1))


def rows_of(panel: Panel, series: int, centre: float) -> tuple[np.ndarray, np.ndarray]:
    """X (R, D) and Y (R, H) of one series, written out: NaN where a truth is not known yet."""
    y = panel.values[series, :, 0]
    origins = np.arange(LAGS - 1, len(y) - 1)
    past = y[origins[:, None] - np.arange(LAGS)]  # (R, L) newest first
    waves = calendar(panel.times[origins], 3)[:, :-2]
    x = np.column_stack([np.ones(len(origins)), past[:, 0] - centre, past[:, :-1] - past[:, 1:], waves])
    padded = np.append(y, np.full(HORIZON, np.nan))
    return x, padded[origins[:, None] + np.arange(1, HORIZON + 1)] - past[:, :1]


def solved(x: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(H, D) by one solve for each lead from its own rows; the penalty from the rows whose truths are all known."""
    whole = x[~np.isnan(truth).any(1)]
    ridge = PENALTY * whole.var(0) * len(whole)
    ridge[0] = 1e-8
    out = []
    for h in range(truth.shape[1]):
        known = ~np.isnan(truth[:, h])
        out.append(np.linalg.solve(x[known].T @ x[known] + np.diag(ridge), x[known].T @ truth[known, h]))
    return np.array(out)


def ticks(model: Ridge, panel: Panel) -> list[float]:
    spent = []
    for row in range(ROWS, ROWS + TICKS):
        recent = panel.rows(slice(row - LAGS - HORIZON, row + 1))
        start = time.process_time()
        model.update(recent)
        model.predict(recent.tail(LAGS))
        spent.append(time.process_time() - start)
    return spent


def loop(panel: Panel, *, refit: bool) -> float:
    """CPU seconds of a tick of all series one by one, from a part of them."""
    kept = [rows_of(panel.rows(slice(0, ROWS)), i, 0.0) for i in range(LOOPED)]
    whole = [(x[:-HORIZON], y[:-HORIZON]) for x, y in kept]
    sums = [(x.T @ x, x.T @ y) for x, y in whole]
    start = time.process_time()
    for (x, y), (gram, cross) in zip(whole, sums, strict=True):
        if refit:
            gram, cross = x.T @ x, x.T @ y
        else:
            gram, cross = gram + np.outer(x[-1], x[-1]), cross + np.outer(x[-1], y[-1])
        ridge = PENALTY * (np.diag(gram) - gram[0] ** 2 / gram[0, 0])
        ridge[0] = 1e-8
        x[-1] @ np.linalg.solve(gram + np.diag(ridge), cross)
    return (time.process_time() - start) * SERIES / LOOPED


def measured() -> dict[str, Any]:
    panel = streams(ROWS + TICKS)
    start = time.process_time()
    model = Ridge(INPUTS, penalties=(PENALTY,), steps=0).fit(panel.rows(slice(0, ROWS)), TASK)
    fit = time.process_time() - start
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spent = ticks(model, panel)
    state = sum(a.nbytes for a in (model.weights_, model.ring_, model.quantiles_, model.blocks_[0].sums.gram)) / 2**20
    gaps = []
    for i in range(0, SERIES, SERIES // 20):
        wanted = solved(*rows_of(panel, i, float(model.means_[i, 0])))
        gaps.append(float(np.abs(model.weights_[i] - wanted).max() / np.abs(wanted).max()))
    return {
        "threads": int(os.environ["OMP_NUM_THREADS"]),
        "fit_cpu_s": fit,
        "tick_cpu_s": statistics.median(spent),
        "tick_fastest_cpu_s": min(spent),
        "loop_sums_cpu_s": loop(panel, refit=False),
        "loop_refit_cpu_s": loop(panel, refit=True),
        "update_against_batch": max(gaps),
        "state_mb": state,
        "peak_mb_fit": before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    if "--child" in sys.argv:
        print(json.dumps(measured()))
        return
    found = []
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads), "OMP_WAIT_POLICY": "PASSIVE"}
        command = [sys.executable, "-m", "benchmarks.ridge", "--child"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        row = json.loads(done.stdout)
        found.append(row)
        print(
            f"{threads} thread(s): tick {row['tick_cpu_s']:.3f} CPU-s (fastest {row['tick_fastest_cpu_s']:.3f}); "
            f"loop with sums {row['loop_sums_cpu_s']:.2f}, {row['loop_sums_cpu_s'] / row['tick_cpu_s']:.1f} times; "
            f"loop from rows {row['loop_refit_cpu_s']:.2f}, {row['loop_refit_cpu_s'] / row['tick_cpu_s']:.1f} times\n"
            f"    update against batch {row['update_against_batch']:.1e}; fit of {ROWS} rows "
            f"{row['fit_cpu_s']:.1f} CPU-s; "
            f"state {row['state_mb']:.0f} MB, peak {row['peak_mb']:.0f} MB"
        )
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    RESULTS.write_text(json.dumps({"series": SERIES, "runs": found, "versions": versions}, indent=1) + "\n")


if __name__ == "__main__":
    main()
