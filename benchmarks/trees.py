"""What the paper's trees cost and err, at XGBoost's own defaults and as ours, on real weather.

    python -m benchmarks.trees [--jobs 2]          # the three test windows, 3,360 and 1,200 rows, bins x rows
    python -m benchmarks.trees --windows tuning    # the windows on which bins and columns were chosen

The task of the experiment: one city (JFK) seen with its neighbours, the 24 variables of EWR, JFK and LGA (all but
gusts, which are mostly missing) at the six newest hours = 144 columns; temperature, wind speed and humidity 1 to 6 h
ahead as differences to the last value, 3,360 hours of training, 20 days of test. Trees as in the paper: 200 of depth 6,
rate 0.1, alpha 0.5, min_child_weight 5.

`defaults` is XGBoost as it comes: 256 bins, one booster and one DMatrix per lead. The others add one saving each, the
last is conf/model/xgboost_paper.yaml. CPU seconds of `process_time` on one thread, labels and table given, the cases
in turn within each window and target; a ratio is the median of the ratios within one turn. Errors are mean absolute
errors by target and lead, divided by those of the defaults on the same rows.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import xgboost as xgb
import yaml

from benchmarks.skill import TEST_DAYS, WINDOWS
from forecast.panel import Panel
from forecast.region import Region
from forecast.schema import Task
from forecast.spec import from_spec
from forecast.windows import training_rows, truth_at
from models.trees.boosted import Boosted
from models.trees.boosting import Trees
from models.trees.tabular import Inputs, table
from pipelines.sources.nyc import HUMIDITY, READINGS, TEMPERATURE, WIND_GUST, WIND_SPEED, nyc_airports

ROOT = Path(__file__).parents[1]
OURS: Trees = from_spec(yaml.safe_load((ROOT / "conf/model/xgboost_paper.yaml").read_text())["trees"])
TARGETS = (TEMPERATURE, WIND_SPEED, HUMIDITY)
PAST = tuple(r.variable for r in READINGS if r.variable not in (*TARGETS, WIND_GUST))
TASK = Task(targets=TARGETS, past=PAST, horizon=6, context=6, levels=(0.5,))
INPUTS = Inputs(lags=range(1, 6), neighbours=0, calendar=False, identity=False, relative=False)
PAPER = {"max_depth": 6, "eta": 0.1, "alpha": 0.5, "min_child_weight": 5, "base_score": 0.0, "nthread": 1, "seed": 0}
ROUNDS, CITY = 200, "JFK"
Answer = Callable[[np.ndarray], np.ndarray]


def defaults(x: np.ndarray, truth: np.ndarray) -> Answer:
    """XGBoost's own defaults: of rows `x` (R, F) and `truth` (R, H), a booster and a DMatrix per lead."""
    centre, width = np.nanmean(truth, 0), np.nanstd(truth, 0)  # (H,)
    made = []
    for h, lead in enumerate(((truth - centre) / width).T):
        known = ~np.isnan(lead)
        assert h < TASK.horizon
        made.append(xgb.train(PAPER, xgb.DMatrix(x[known], lead[known], nthread=1), ROUNDS))
    return lambda rows: np.stack([b.inplace_predict(rows) for b in made], 1) * width + centre


def grown(trees: Trees, each_lead: bool) -> Callable[[np.ndarray, np.ndarray], Answer]:
    """Ours: one binned table for all leads."""

    def learn(x: np.ndarray, truth: np.ndarray) -> Answer:
        model = Boosted.learnt(x, truth[:, :, None], trees, each_lead=each_lead)
        return lambda rows: model.answers(rows)[:, :, 0, 0]

    return learn


class Pinned(Trees):
    """Trees with the number of bins they are told, whatever the rows."""

    def bins_for(self, rows: int) -> int:
        return self.bins


WHOLE = replace(OURS, split_columns=1.0)  # every split looks at every column
PINNED = {f"{bins} bins": Pinned(**{**vars(WHOLE), "bins": bins}) for bins in (256, 64, 32)}
STEPS = {
    "defaults": defaults,
    "shared binning": grown(PINNED["256 bins"], each_lead=True),
    "+ bins follow rows": grown(WHOLE, each_lead=True),
    "+ leaves hold all leads": grown(WHOLE, each_lead=False),
    "+ columns (ours)": grown(OURS, each_lead=False),
}
TABLE = {
    **{name: grown(trees, True) for name, trees in PINNED.items()},
    "bins follow rows": STEPS["+ bins follow rows"],
}
CASES = STEPS | TABLE
OURS_NAME = "+ columns (ours)"


def weather() -> Panel:
    frame = nyc_airports().poll({}, datetime(2014, 1, 1, tzinfo=UTC)).frame
    return Panel.from_frame(frame, timedelta(hours=1), TASK.names)


def rows_of(panel: Panel, task: Task, start: int, count: int) -> tuple[np.ndarray, ...]:
    """Training rows x (R, 144) and truth (R, 6) from `count` hours before row `start`, then those of the test."""
    train = panel.rows(slice(max(0, start - count - task.context + 1), start))
    test = np.arange(start, start + 24 * TEST_DAYS)
    parts: list[np.ndarray] = []
    for part, rows in ((train, training_rows(train, task)), (panel, test)):
        x = table(part, task, rows, INPUTS, np.empty((1, 0), np.int64))[:, 0]  # (R, F)
        parts += [x, truth_at(part, task, rows)[:, 0, :, 0] - x[:, :1]]  # gaps of the newest value stay gaps
    return tuple(parts)


@dataclass(frozen=True)
class Turn:
    """Cases that take turns on one table: a window's first day, a target, hours of training."""

    part: str
    cases: tuple[str, ...]
    day: tuple[int, int]
    target: str
    rows: int

    def run(self) -> dict[str, tuple[float, list[float]]]:
        """CPU seconds of the training and mean absolute error by lead of each case."""
        panel = weather()
        for name in self.cases:  # first calls load what the others find loaded
            CASES[name](np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32), np.ones((300, 6)).cumsum(0))
        start = int(np.searchsorted(panel.times, np.datetime64(f"2013-{self.day[0]:02d}-{self.day[1]:02d}")))
        region = Region(CITY, (self.target,))
        task = region.task(TASK, panel.series)
        seen = region.panel(panel, TASK).select(task.names)
        x, truth, later, came = rows_of(seen, task, start, self.rows)
        found = {}
        for name in self.cases:
            began = time.process_time()
            answer = CASES[name](x, truth)
            cpu_s = time.process_time() - began
            found[name] = (cpu_s, np.nanmean(np.abs(answer(later) - came), 0).tolist())
        return found


def turns(windows: Sequence[tuple[int, int]]) -> list[Turn]:
    """Steps on the first window, defaults and ours on all of them, fewer rows, bins x rows for the temperature."""
    both, names = ("defaults", OURS_NAME), [v.name for v in TARGETS]
    out = [Turn("ours, 3360 rows", both, day, name, 3360) for day in windows for name in names]
    out += [Turn("ours, 1200 rows", both, day, name, 1200) for day in windows for name in names]
    out += [Turn("steps, 3360 rows", tuple(STEPS), windows[0], name, 3360) for name in names]
    return out + [Turn(f"bins, {rows} rows", tuple(TABLE), windows[0], names[0], rows) for rows in (3360, 1200)]


def summary(found: Sequence[dict[str, tuple[float, list[float]]]]) -> dict[str, dict]:
    """Per case: CPU seconds, times cheaper than the first, error in per cent of the first's."""
    first = next(iter(found[0]))
    base_s, base = (np.array([f[first][i] for f in found]) for i in (0, 1))  # (turns,), (turns, H)
    out = {}
    for name in found[0]:
        cpu_s, errors = (np.array([f[name][i] for f in found]) for i in (0, 1))
        ratio = errors / base  # (turns, H)
        out[name] = {
            "cpu_s": round(float(cpu_s.mean()), 2),
            "times_cheaper": round(float(np.median(base_s / cpu_s)), 2),
            "error_percent": round(100 * float(ratio.mean() - 1), 2),
            "by_turn": [round(100 * float(r - 1), 2) for r in ratio.mean(1)],
            "by_lead": [round(100 * float(r - 1), 2) for r in ratio.mean(0)],
        }
        print(f"  {name:26s}", out[name], flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", choices=["test", "tuning"], default="test")
    parser.add_argument("--jobs", type=int, default=1, help="turns at once, each a process on one thread")
    chosen = parser.parse_args()
    asked = turns(WINDOWS[chosen.windows])
    with ProcessPoolExecutor(chosen.jobs, get_context("spawn")) as pool:
        done = list(pool.map(Turn.run, asked))
    kept = {}
    for part in dict.fromkeys(t.part for t in asked):
        print(part)
        kept[part] = summary([f for t, f in zip(asked, done, strict=True) if t.part == part])
    path = ROOT / "benchmarks" / "results" / f"trees_{chosen.windows}.json"
    path.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
