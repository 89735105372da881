"""The hourly series of the M4 competition: mean MASE as the competition defines it, and what it costs.

    python benchmarks/m4_hourly.py            the four stretches of 48 hours before the test, to choose by
    python benchmarks/m4_hourly.py --test     the test, once: what is reported

One scale per series for all leads: the mean absolute change from 24 hours before, over the training values. Published:
seasonal naive 1.193, the competition's winner 0.893 (Smyl), FFORMA 0.819. The tables are found as those of
`forecast backtest +experiment=m4_hourly` are. Seconds are those of this process's CPU, one thread, fit and forecast.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")

import numpy as np

from forecast.forecaster import Forecaster
from forecast.panel import Panel
from forecast.schema import Task, Variable
from models.flair import FLAIR
from models.persistence import Persistence
from models.pooled_ridge import PooledRidge
from models.seasonal_naive import SeasonalNaive
from pipelines.backtest.data import panel_of
from pipelines.sources.m4 import M4

HORIZON, SEASON = 48, 24
CUTS = (48, 96, 144, 192)  # hours before the end of training: four stretches to choose by
RESULTS = Path(__file__).parent / "results" / "m4_hourly.json"
VALUE = Variable("value")

CANDIDATES: dict[str, tuple[Callable[[], Forecaster], int]] = {  # and their context
    "persistence": (Persistence, 168),
    "seasonal naive": (SeasonalNaive, 168),
    "FLAIR": (lambda: FLAIR(samples=100), 480),
    "pooled ridge, all 168 lags": (lambda: PooledRidge(recent=168, cycles=()), 168),
    "pooled ridge, log": (lambda: PooledRidge(log=True), 168),
    "pooled ridge": (PooledRidge, 168),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--test", action="store_true", help="the test instead of the stretches before it")
    arguments.add_argument("--only", nargs="*", choices=list(CANDIDATES), default=list(CANDIDATES))
    asked = arguments.parse_args()
    source = M4("data:bench/m4_hourly_train.parquet", "data:bench/m4_hourly_test.parquet", VALUE)
    task = Task(targets=(VALUE,), horizon=HORIZON, context=168)
    panel = panel_of(source, task, task.step, HORIZON)
    ends = [len(panel.times) - HORIZON] if asked.test else [len(panel.times) - HORIZON - cut for cut in CUTS]
    training = panel.values[:, : len(panel.times) - HORIZON, 0]  # (N, T)
    scale = np.nanmean(np.abs(training[:, SEASON:] - training[:, :-SEASON]), axis=1)  # (N,)
    part, rows = "test" if asked.test else "choose", {}
    print(f"{part}: mean MASE of {len(scale)} series, CPU seconds per stretch, coverage of the 80 % interval")
    for label in asked.only:
        make, context = CANDIDATES[label]
        rows[label] = judged(make, panel, ends, scale, context)
        print(f"{label:36s} {rows[label]['mase']:.3f}  {rows[label]['cpu_s']:6.1f} s  {rows[label]['coverage']:.2f}")
    if asked.only == list(CANDIDATES):
        found = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
        found[part] = {"date": datetime.now(UTC).date().isoformat(), "models": rows}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def judged(
    make: Callable[[], Forecaster], panel: Panel, ends: list[int], scale: np.ndarray, context: int
) -> dict[str, float]:
    """Mean MASE, CPU seconds and coverage over the stretches that begin at `ends`."""
    task = Task(targets=(VALUE,), horizon=HORIZON, context=context)
    errors, inside, cpu = [], [], time.process_time()
    for end in ends:
        history = panel.rows(slice(0, end))
        found = make().fit(history, task).predict(history).quantiles[:, :, 0]  # (N, H, Q)
        truth = panel.values[:, end : end + HORIZON, 0]  # (N, H)
        errors.append(np.abs(found[..., 1] - truth) / scale[:, None])
        inside.append((found[..., 0] <= truth) & (truth <= found[..., 2]))
    seconds = (time.process_time() - cpu) / len(ends)
    return {
        "mase": round(float(np.mean(errors)), 4),
        "cpu_s": round(seconds, 2),
        "coverage": round(float(np.mean(inside)), 3),
    }


if __name__ == "__main__":
    sys.exit(main())
