"""What the platform adds to the library under it, and how it compares with a peer. Prints and keeps the figures.

    python -m benchmarks.plumbing [--repeats 3] [--series 4000] [--threads 2]
    FORECAST_PEERS_PYTHON=/path/to/python python -m benchmarks.plumbing    # with mlforecast in that environment

Part 1, XGBoost: 4,000 series x 500 hours, 24 lags, 100 trees of depth 6, eta 0.3, 256 bins, six hours ahead by a
one-step model applied six times, equal threads for all. `bare` is NumPy windows, `QuantileDMatrix` and
`xgb.train`; `ours` is `XGBoost.fit` from a panel. Each run is its own process; the cases take turns and the median
of the ratios counts, for the machine is never quiet. Fit in CPU seconds, forecasts in wall milliseconds (best of
five, warm), peak resident memory of the whole process after the fit.

For one series `ours` is faster than `bare`: up to 16 rows are scored by `models.trees.forest`, without a call of
XGBoost.
Warm leaves out what the first such forecast costs, laying out the trees: about 15 ms for 25 trees, 50 ms for 100.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "plumbing_xgboost.json"
ROOT = Path(__file__).parents[1]
HOURS, LAGS, HORIZON, ROUNDS = 500, 24, 6, 100
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))  # the parent sets it for each case
PARAMS = {"max_depth": 6, "eta": 0.3, "tree_method": "hist", "nthread": THREADS, "seed": 0}
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def history(series: int, hours: int = HOURS, seed: int = 0) -> np.ndarray:
    """(N, T) levels with a daily and a weekly cycle and autoregressive noise."""
    chance = np.random.default_rng(seed)
    t = np.arange(hours)
    level = chance.uniform(10, 100, (series, 1))
    day = chance.uniform(0.05, 0.3, (series, 1)) * level * np.sin(2 * np.pi * (t / 24 + chance.random((series, 1))))
    week = chance.uniform(0, 0.1, (series, 1)) * level * np.sin(2 * np.pi * (t / 168 + chance.random((series, 1))))
    noise = chance.standard_normal((series, hours)) * 0.05 * level
    for i in range(1, hours):
        noise[:, i] += 0.7 * noise[:, i - 1]
    return level + day + week + noise


def measured(fit: Callable[[], Any], predict: Callable[[Any, int], object], series: int) -> dict[str, float]:
    """Figures of one case: `fit()` gives a model, `predict(model, n)` forecasts `n` series with it."""
    began = time.process_time()
    model = fit()
    figures = {"fit_cpu_s": time.process_time() - began}
    figures["fit_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["all_ms"] = best_ms(lambda: predict(model, series))
    figures["one_ms"] = best_ms(lambda: predict(model, 1))
    return figures


def best_ms(act: Callable[[], object]) -> float:
    act()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        act()
        times.append(1e3 * (time.perf_counter() - began))
    return min(times)


def bare(series: int) -> dict[str, float]:
    """NumPy and XGBoost, nothing else: the least that any framework can need."""
    import xgboost as xgb
    from numpy.lib.stride_tricks import sliding_window_view

    values = history(series).astype(np.float32)  # (N, T)

    def fit() -> xgb.Booster:
        windows = sliding_window_view(values, LAGS + 1, axis=1).reshape(-1, LAGS + 1)  # (R, L+1)
        return xgb.train(PARAMS, xgb.QuantileDMatrix(windows[:, :LAGS], windows[:, LAGS], nthread=THREADS), ROUNDS)

    def predict(model: xgb.Booster, count: int) -> np.ndarray:
        room = np.empty((count, LAGS + HORIZON), np.float32)
        room[:, :LAGS] = values[:count, -LAGS:]
        for i in range(HORIZON):
            room[:, LAGS + i] = model.inplace_predict(room[:, i : i + LAGS])
        return room[:, LAGS:]

    return measured(fit, predict, series)


def ours(series: int) -> dict[str, float]:
    """The same question put to `models.xgboost.XGBoost`."""
    from forecast.panel import Panel
    from forecast.schema import Task, Variable
    from models.trees.boosting import Trees
    from models.trees.tabular import Inputs
    from models.xgboost import XGBoost

    times = np.datetime64("2024-01-01", "us") + np.arange(HOURS) * np.timedelta64(1, "h")
    names = tuple(f"S{i:05d}" for i in range(series))
    panel = Panel(history(series)[:, :, None], times, names, ("y",), timedelta(hours=1))
    newest = panel.tail(LAGS)
    one = Panel(newest.values[:1], newest.times, names[:1], ("y",), panel.step)
    task = Task(targets=(Variable("y"),), horizon=HORIZON, context=LAGS, levels=(0.5,))
    trees = Trees(rounds=ROUNDS, depth=6, rate=0.3, bins=256, leaf=1)
    inputs = Inputs(lags=range(LAGS), neighbours=0, calendar=False, identity=False, relative=False)
    model = XGBoost(trees, inputs, strategy="recursive", threads=THREADS)
    return measured(lambda: model.fit(panel, task), lambda m, n: m.predict(one if n == 1 else newest), series)


def mlforecast(series: int) -> dict[str, float]:
    """The same question put to mlforecast, in its own environment."""
    import pandas as pd
    import xgboost as xgb
    from mlforecast import MLForecast

    hours = pd.date_range("2024-01-01", periods=HOURS, freq="h").to_numpy()
    ids = np.repeat(np.arange(series), HOURS)
    frame = pd.DataFrame({"unique_id": ids, "ds": np.tile(hours, series), "y": history(series).ravel()})
    learner = xgb.XGBRegressor(
        n_estimators=ROUNDS, max_depth=6, learning_rate=0.3, tree_method="hist", n_jobs=THREADS, random_state=0
    )
    model = MLForecast(models={"m": learner}, freq="h", lags=list(range(1, LAGS + 1)), num_threads=THREADS)
    return measured(
        lambda: model.fit(frame, static_features=[]),
        lambda m, n: m.predict(HORIZON, ids=[0]) if n == 1 else m.predict(HORIZON),
        series,
    )


CASES = {"bare": bare, "ours": ours, "mlforecast": mlforecast}


def run(case: str, series: int, threads: int) -> dict[str, float]:
    """One case in its own process."""
    python = os.environ["FORECAST_PEERS_PYTHON"] if case == "mlforecast" else sys.executable
    command = [python, str(Path(__file__).resolve()), "--case", case, "--series", str(series)]
    environment = {**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def compare(series: int, repeats: int, threads: int) -> dict[str, object]:
    """The cases in turns; medians of each, and medians of the ratios within one turn."""
    cases = [c for c in CASES if c != "mlforecast" or os.environ.get("FORECAST_PEERS_PYTHON")]
    if "mlforecast" not in cases:
        print("mlforecast is left out: FORECAST_PEERS_PYTHON names no Python that has it")
    turns = [{case: run(case, series, threads) for case in cases} for _ in range(repeats)]
    out: dict[str, object] = {"series": series, "repeats": repeats, "threads": threads}
    for case in cases:
        out[case] = {key: round(median(t[case][key] for t in turns), 3) for key in turns[0][case]}
        print(f"{case:12s}", out[case])
    pairs = [(case, key) for case in cases if case != "ours" for key in ("fit_cpu_s", "all_ms", "one_ms")]
    ratios = {f"ours/{c} {key}": round(median(t["ours"][key] / t[c][key] for t in turns), 3) for c, key in pairs}
    print(ratios)
    return {**out, "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", choices=CASES, help="run one case in this process and print its figures as JSON")
    chosen = parser.parse_args()
    if chosen.case:
        print(json.dumps(CASES[chosen.case](chosen.series)))
        return
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(compare(chosen.series, chosen.repeats, chosen.threads), indent=1) + "\n")


if __name__ == "__main__":
    main()
