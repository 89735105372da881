"""How fast are the detectors? One update of 4,000 streams against 4,000 River objects, CPU time, same run.

    OMP_NUM_THREADS=1 python benchmarks/detectors.py

Every peer object is updated and asked for its verdict, as our one call returns all of them. River has no ratio rule:
the peer is `utils.Rolling(stats.Mean, 48)` and one comparison. Rounds alternate; the figure is the median round.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import river
from river import drift, stats, utils

from forecast.detect import ADWIN, KSWIN, Detector, PageHinkley, Ratio
from forecast.detect.harness import weather_like

STREAMS = 4_000
ROUNDS = 5
OUT = Path(__file__).parent / "results" / "detectors.json"


class RollingRatio:
    """The ratio rule on River's rolling mean."""

    def __init__(self) -> None:
        self.mean: Any = utils.Rolling(stats.Mean, window_size=48)
        self.drift_detected = False

    def update(self, error: float) -> None:
        self.mean.update(error)
        self.drift_detected = self.mean.get() > 1.1


# ours, the peer, steps before the clock starts, steps per round (whole clocks of ADWIN), wanted speed-up
CASES: list[tuple[Detector, Callable[[], Any], int, int, float]] = [
    (PageHinkley(), drift.PageHinkley, 64, 32, 50),
    (Ratio(), RollingRatio, 64, 32, 50),
    (KSWIN(seed=0), lambda: drift.KSWIN(seed=0), 101, 1, 50),
    (ADWIN(), drift.ADWIN, 640, 32, 1),
]


def cpu_s(work: Callable[[Any], object], rows: Any) -> float:
    start = time.process_time()
    work(rows)
    return time.process_time() - start


def compare(ours: Detector, peer: Callable[[], Any], warm: int, steps: int) -> tuple[float, float]:
    """Median CPU microseconds per step of all streams: ours, the peer's."""
    error = weather_like(0, warm + ROUNDS * steps, STREAMS)  # (T, S)
    peers = [peer() for _ in range(STREAMS)]

    def update_ours(rows: np.ndarray) -> None:
        for values in rows:
            ours.update(values)

    def update_peers(rows: list[list[float]]) -> None:
        for values in rows:
            for one, value in zip(peers, values, strict=True):
                one.update(value)
                _ = one.drift_detected

    update_ours(error[:warm])
    update_peers(error[:warm].tolist())
    rounds = []
    for at in range(warm, len(error), steps):
        rows = error[at : at + steps]
        rounds.append((cpu_s(update_ours, rows), cpu_s(update_peers, rows.tolist())))
    mine, theirs = np.median(rounds, axis=0) / steps * 1e6
    return float(mine), float(theirs)


def main() -> None:
    rows = []
    print(f"{'detector':<14}{'ours us/step':>14}{'River us/step':>15}{'times faster':>14}{'wanted':>8}")
    for ours, peer, warm, steps, wanted in CASES:
        mine, theirs = compare(ours, peer, warm, steps)
        name = type(ours).__name__
        print(f"{name:<14}{mine:>14.0f}{theirs:>15.0f}{theirs / mine:>14.1f}{wanted:>8.0f}")
        rows.append(
            {"detector": repr(ours), "ours_us": mine, "river_us": theirs, "speedup": theirs / mine, "wanted": wanted}
        )
    versions = {"python": platform.python_version(), "numpy": np.__version__, "river": river.__version__}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(
        json.dumps({"streams": STREAMS, "rounds": ROUNDS, "versions": versions, "rows": rows}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
