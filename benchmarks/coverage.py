"""Coverage and width by lead of every model, plain and with adaptive conformal intervals, before and after a shift.

    python -m benchmarks.coverage                                  # the zoo below in every world but `tuning`
    python -m benchmarks.coverage --models xgboost --worlds may    # any of conf/model
    python -m benchmarks.coverage --rules --worlds tuning          # the adaptive rules, on the errors of XGBoost

Nominal 80 %: from level 0.1 to 0.9. Each model is fitted once on 140 days of all stations and not again; then every
hour it takes in the hour's row (`update`, where it can) and forecasts six hours. `plain` is the model as it is in
conf/model, `adaptive` the same inside `models.conformal.Conformal`. Worlds:

    new_york    EWR, JFK and LGA, 20 days from 21 May, 12 August and 5 December 2013: the test windows of
                benchmarks/skill.py
    may         the three days that `forecast replay +experiment=nyc` replays, 21 to 23 May 2013
    tuning      20 days from 15 June, 12 July, 10 September, 6 October, 8 November: the rule was chosen here
    stationary  made-up weather of three stations, seeded; variance: after ten of twenty days the noise doubles;
                level: after ten days everything lies three deviations of the noise higher

Halves are the first and the last ten days. Worst is the coverage of five days in a row of one (series, lead, variable)
that lies furthest from 80 %, the mean over these streams. Width and pinball, the sum of both levels' loss, are in
deviations of the variable.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")

import argparse
import json
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from benchmarks.skill import TASK, WINDOWS, weather
from forecast.answers import ordered
from forecast.conformal import ACI, Adaptive, Fixed, Tracking, quantiles
from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment
from forecast.schema import Task, Variable
from forecast.spec import from_spec
from forecast.windows import truth_at
from models.conformal import Conformal
from models.persistence import around_point

ROOT = Path(__file__).parents[1]
TRAIN, TEST, BLOCK, NOMINAL = 140 * 24, 20 * 24, 5 * 24, 0.8
ZOO = ("persistence", "climatology", "ridge", "xgboost", "lstm")
MADE = replace(TASK, targets=[Variable("temperature"), Variable("wind_speed")], past=())
RULES = {
    "fixed": Fixed(),
    **{f"tracking {rate}, memory {memory}": Tracking(rate, memory) for rate in (0.03, 0.1) for memory in (24, 72, 400)},
    "window 400": ACI((0.0,), 400),
    **{f"ACI {rate}, window 400": ACI((rate,), 400) for rate in (0.005, 0.02)},
    "DtACI, window 400": ACI(tuple(0.001 * 2**k for k in range(8)), 400),
}


def made_up(world: str) -> Panel:
    """Three stations: a day's cycle and autoregressive noise, which changes ten days before the end."""
    chance = np.random.default_rng(0)
    rows = TRAIN + TEST + TASK.horizon
    noise = chance.normal(size=(3, rows, 2))  # (N, T, C)
    for t in range(1, rows):
        noise[:, t] += 0.9 * noise[:, t - 1]
    late = np.arange(rows) >= TRAIN + TEST // 2  # (T,)
    noise *= np.where(late & (world == "variance"), 2.0, 1.0)[:, None]
    noise += np.where(late & (world == "level"), 3 * noise[:, :TRAIN].std(), 0.0)[:, None]
    day = 4 * np.sin(2 * np.pi * np.arange(rows)[:, None] / 24) + np.zeros(2)  # (T, C)
    times = np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    return Panel(noise + day, times, ("A", "B", "C"), MADE.target_names, timedelta(hours=1))


def worlds(names: list[str]) -> list[tuple[str, Panel, Task, int, int]]:
    """World, panel, task, first row and number of rows of each test."""
    out = []
    begins = {"new_york": WINDOWS["test"], "tuning": WINDOWS["tuning"], "may": ((5, 21),)}
    for name in names:
        if name not in begins:
            out.append((name, made_up(name), MADE, TRAIN, TEST))
            continue
        panel = weather()
        for month, day in begins[name]:
            start = int(np.searchsorted(panel.times, np.datetime64(f"2013-{month:02d}-{day:02d}")))
            out.append((name, panel, TASK, start, 72 if name == "may" else TEST))
    return out


def model_of(name: str, task: Task) -> Forecaster:
    """A model of conf/model, as the command line builds it."""
    around = OmegaConf.create({"seed": 0, "threads": {"per_worker": 1}, "task": {"context": task.context}})
    spec = OmegaConf.merge(around, {"model": OmegaConf.load(ROOT / "conf/model" / f"{name}.yaml")})
    model: Forecaster = from_spec(OmegaConf.to_container(spec, resolve=True)["model"])  # type: ignore[index, call-overload]
    return model


def played(model: Forecaster, panel: Panel, task: Task, start: int, count: int) -> tuple[np.ndarray, float]:
    """Quantiles (B, N, H, C, Q) issued hour by hour, and the CPU seconds of the updates."""
    model.fit(panel.rows(slice(max(0, start - TRAIN), start)), task)
    issued, update_s = [], 0.0
    for row in range(start, start + count):
        seen = panel.rows(slice(row - 3 * (task.context + task.horizon), row + 1))
        if model.traits.updates:
            began = time.process_time()
            model.update(seen)
            update_s += time.process_time() - began
        issued.append(model.predict_at(seen, [moment(panel.times[row])])[0].quantiles)
    return np.stack(issued), update_s


def judged(made: np.ndarray, truth: np.ndarray, scale: np.ndarray, task: Task) -> dict[str, Any]:
    """Figures of quantiles as issued, `made` (B, N, H, C, Q), against `truth` (B, N, H, C); `scale` (C,)."""
    low, high = made[..., 0], made[..., -1]  # (B, N, H, C)
    known = ~(np.isnan(truth) | np.isnan(low))
    inside = np.where(known, (low <= truth) & (truth <= high), np.nan)
    loss = np.zeros(truth.shape)
    for bound, level in ((low, task.levels[0]), (high, task.levels[-1])):
        loss += np.maximum(level * (truth - bound), (level - 1) * (truth - bound)) / scale
    width = np.where(known, (high - low) / scale, np.nan)
    parts = [np.nanmean(inside[i : i + BLOCK], 0) for i in range(0, len(inside), BLOCK)]  # (N, H, C) each
    return {
        "coverage": float(np.nanmean(inside)),
        "coverage_by_lead": np.nanmean(inside, (0, 1, 3)).tolist(),
        "width_by_lead": np.nanmean(width, (0, 1, 3)).tolist(),
        "half_1": float(np.nanmean(inside[: len(inside) // 2])),
        "half_2": float(np.nanmean(inside[len(inside) // 2 :])),
        "worst": float(np.mean(np.max(np.abs(np.stack(parts) - NOMINAL), 0))),
        "pinball": float(np.nanmean(np.where(known, loss, np.nan))),
    }


def issued_by(rule: Adaptive, past: np.ndarray, errors: np.ndarray, task: Task) -> np.ndarray:
    """Offsets (B, N, H, C, Q) that stood at each origin, from errors (B, N, H, C) held out before and then met."""
    streams = errors[0].size
    state = rule.begin(around_point(quantiles(past, task.levels), task).reshape(streams, -1),
                       past.reshape(len(past), streams, 1), task.levels)  # fmt: skip
    leads, out = np.arange(task.horizon), []
    for origin in range(len(errors)):
        met = errors[np.maximum(origin - 1 - leads, 0), :, leads]  # (H, N, C): those whose truth is known by now
        met = np.where((origin - 1 - leads >= 0)[:, None, None], met, np.nan).swapaxes(0, 1)  # (N, H, C)
        state = rule.step(state, met.reshape(streams, 1), task.levels)
        out.append(state["offsets"].reshape(*errors.shape[1:], -1))
    return ordered(np.stack(out), task.median)


def rules(name: str, names: list[str]) -> dict[str, dict[str, Any]]:
    """Figures of every rule in each world, on the same errors of one model."""
    found: dict[str, list[dict[str, Any]]] = {}
    for world, panel, task, start, count in worlds(names):
        panel, train = panel.select(task.names), panel.rows(slice(max(0, start - TRAIN), start))
        wrapped = Conformal(model_of(name, task), Fixed()).fit(train, task)
        part, held = wrapped._calibrated(train.select(task.names), task)
        assert part is not None
        past = wrapped._errors(part, train.select(task.names), held)[..., 0]  # (T, N, H, C)
        errors = wrapped._errors(wrapped.model_, panel, np.arange(start, start + count))[..., 0]  # (B, N, H, C)
        scale = np.nanstd(train.select(task.names).values, (0, 1))[: len(task.targets)]
        for label, rule in RULES.items():
            figures = judged(issued_by(rule, past, errors, task), errors, scale, task)
            found.setdefault(f"{world} {name} {label}", []).append(figures)
    return {key: mean_of(parts) for key, parts in found.items()}


def mean_of(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: np.mean([p[key] for p in parts], 0).round(4).tolist() for key in parts[0]}


def compare(models: list[str], names: list[str]) -> dict[str, dict[str, Any]]:
    """Figures of each world, model and case, mean over the windows of a world."""
    found: dict[str, list[dict[str, Any]]] = {}
    for world, panel, task, start, count in worlds(names):
        truth = truth_at(panel.select(task.names), task, np.arange(start, start + count))  # (B, N, H, C)
        scale = np.nanstd(panel.select(task.names).values[:, max(0, start - TRAIN) : start], (0, 1))[
            : len(task.targets)
        ]
        for name in models:
            for case, model in (("plain", model_of(name, task)), ("adaptive", Conformal(model_of(name, task)))):
                made, update_s = played(model, panel, task, start, count)
                figures = {**judged(made, truth, scale, task), "update_ms": 1e3 * update_s / count}
                found.setdefault(f"{world} {name} {case}", []).append(figures)
    return {key: mean_of(parts) for key, parts in found.items()}


def show(found: dict[str, dict[str, Any]]) -> None:
    for key, f in found.items():
        print(
            f"{key:38s} {100 * f['coverage']:5.1f} %  halves {100 * f['half_1']:.0f} {100 * f['half_2']:.0f} %  ",
            end="",
        )
        print("by lead", " ".join(f"{100 * c:.0f}" for c in f["coverage_by_lead"]), end="  ")
        print("width", " ".join(f"{w:.2f}" for w in f["width_by_lead"]), end="  ")
        print(f"worst {100 * f['worst']:.0f}  pinball {f['pinball']:.4f}  update {f.get('update_ms', 0):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*("new_york", "may", "stationary", "variance", "level"), "tuning"]
    parser.add_argument("--models", nargs="*", default=None, help="names in conf/model")
    parser.add_argument("--worlds", nargs="*", choices=known, default=known[:-1])
    parser.add_argument("--rules", action="store_true", help="the adaptive rules instead of plain and adaptive")
    chosen = parser.parse_args()
    there = [name for name in ZOO if (ROOT / "conf/model" / f"{name}.yaml").is_file()]
    models = chosen.models or (["xgboost"] if chosen.rules else there)
    found = rules(models[0], chosen.worlds) if chosen.rules else compare(models, chosen.worlds)
    show(found)
    path = ROOT / "benchmarks/results" / ("coverage_rules.json" if chosen.rules else "coverage.json")
    kept = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**kept, **found, "date": f"{datetime.now():%Y-%m-%d}"}, indent=1) + "\n")  # noqa: DTZ005


if __name__ == "__main__":
    main()
