"""The ten stock networks, three seeds of each, trained once: wall time of two processes, and against plain torch.

    python benchmarks/stock_suite.py                       everything (about 6 minutes on two cores)
    python benchmarks/stock_suite.py --networks cnn_univ_5 lstm_univ_ed_10 --steps 50
    python benchmarks/stock_suite.py --only plain          the comparison alone

Each network is trained for its authors' epochs and batches on every window of the NIFTY 50's weekdays from 2008-12-29
to 2018-12-28 (a random walk of the same length where there is no `markets/nifty50_daily.csv` under FORECAST_DATA); the
three seeds are members of one stack. One thread a process, two processes side by side, the longest networks first.
Target: all thirty in under 5 minutes of wall time.

The comparison trains on the first windows for one epoch of so many steps, our three seeds as `train` does it, and each
seed by itself as one would write it in plain torch: a loop over steps, autograd, torch's Adam
(tests/models/plain_stock.py), the same initial weights and batches. Figures are CPU milliseconds of this thread for one
step of three networks, the least of two interleaved repetitions; the losses are compared. What the plain suite would
take is extrapolated from them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from models import stack
from models.lightning import Training, alone, train
from models.stock.networks import NETWORKS, build

sys.path.append(str(Path(__file__).parents[1] / "tests" / "models"))
from plain_stock import fill, plain

SEEDS, DAYS, PROCESSES, TARGET_S = 3, 5, 2, 300.0
COLUMNS = ["Open", "High", "Low", "Close", "Volume"]
RESULTS = Path(__file__).parent / "results" / "stock_suite.json"


def table() -> tuple[np.ndarray, str]:
    """Weekdays (T, 5) of the training part, each column scaled to [0, 1], and where they come from."""
    path = Path(os.environ.get("FORECAST_DATA", "data")) / "markets" / "nifty50_daily.csv"
    days = np.arange("2008-12-29", "2018-12-29", dtype="datetime64[D]")
    days = days[np.is_busday(days)]  # (T,)
    if path.exists():
        read = pl.read_csv(path, try_parse_dates=True).sort("Date")
        at = np.searchsorted(read["Date"].to_numpy().astype("datetime64[D]"), days, side="right") - 1
        values, source = read.select(COLUMNS).to_numpy()[at], path.name  # holidays filled forward
    else:
        chance = np.random.default_rng(0)
        values, source = 100 * np.exp(0.01 * chance.standard_normal((len(days), 5)).cumsum(0)), "random walk"
    low, high = values.min(0), values.max(0)
    return (values - low) / (high - low), source


@dataclass
class Problem:
    """A network with three seeds, and its first `rows` windows."""

    name: str
    rows: int | None = None

    def __post_init__(self) -> None:
        values, self.source = table()
        values = torch.tensor(values, dtype=torch.float32)
        network = NETWORKS[self.name]
        count = len(values) - network.rows - DAYS + 1 if self.rows is None else self.rows
        windows = values.unfold(0, network.rows + DAYS, 1)[:count].transpose(1, 2)  # (B, L + H, D)
        self.x = windows[:, : network.rows, : network.columns].contiguous()  # (B, L, D)
        self.y = windows[:, network.rows :, 0].contiguous()  # (B, H)
        self.nets = []
        for seed in range(SEEDS):
            with alone(seed, 1):
                self.nets.append(build(self.name))

    def training(self, epochs: int) -> Training:
        return Training(
            epochs=epochs,
            batch=NETWORKS[self.name].batch,
            optimiser="keras_adam",
            schedule="constant",
            clip=math.inf,
            together=SEEDS,
            accelerator="cpu",
        )

    def ours(self, epochs: int = 1) -> list[float]:
        """The last epoch's loss of each seed."""
        x, y = self.x.expand(SEEDS, -1, -1, -1), self.y.expand(SEEDS, -1, -1)
        histories = train(stack.stacked(self.nets), squares, [x], y, self.training(epochs), seeds=range(SEEDS))
        return [history.losses[-1] for history in histories]

    def plain(self) -> list[float]:
        """One epoch's loss of each seed."""
        with alone(0, 1):
            return [self._plain(fill(plain(self.name), net), seed) for seed, net in enumerate(self.nets)]

    def _plain(self, net: nn.Module, seed: int) -> float:
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7)
        total, order = 0.0, torch.randperm(len(self.x), generator=torch.Generator().manual_seed(seed))
        for chosen in order.split(NETWORKS[self.name].batch):
            optimiser.zero_grad()
            loss = nn.functional.mse_loss(net(self.x[chosen]), self.y[chosen])
            loss.backward()
            optimiser.step()
            total += loss.item() * len(chosen) / len(self.x)
        return total

    @property
    def steps(self) -> int:
        return round(len(self.x) / NETWORKS[self.name].batch)


def squares(output: Tensor, truth: Tensor) -> Tensor:
    return (output - truth).square().mean((1, 2))  # (M,)


def trained(name: str) -> dict[str, object]:
    """Three seeds at the authors' epochs."""
    torch.set_num_threads(1)
    problem, epochs = Problem(name), NETWORKS[name].epochs
    wall, cpu = time.perf_counter(), time.process_time()
    losses = problem.ours(epochs)
    seconds = {"wall_s": round(time.perf_counter() - wall, 1), "cpu_s": round(time.process_time() - cpu, 1)}
    steps = epochs * problem.steps
    rmse = [round(loss**0.5, 4) for loss in losses]
    return {"name": name, "windows": len(problem.x), "steps": steps, **seconds, "rmse_scaled": rmse}


def compared(name: str, steps: int) -> dict[str, object]:
    """CPU ms of one step of three networks, ours and plain, and how far the losses are apart."""
    torch.set_num_threads(1)
    problem = Problem(name, steps * NETWORKS[name].batch)
    ways: dict[str, Callable[[], list[float]]] = {"ours": problem.ours, "plain": problem.plain}
    losses = {way: torch.tensor(act()) for way, act in ways.items()}
    apart = float((losses["ours"] / losses["plain"] - 1).abs().max())
    assert apart < 1e-3, f"{name}: losses are {apart} apart"
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(2):
        for way, act in ways.items():
            start = time.thread_time()
            act()
            best[way] = min(best[way], 1e3 * (time.thread_time() - start) / steps)
    ratio = round(best["plain"] / best["ours"], 2)
    return {"name": name, "losses_apart": apart, "ratio": ratio} | {
        f"{way}_ms": round(ms, 2) for way, ms in best.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=100, help="of the comparison")
    parser.add_argument("--only", choices=["suite", "plain"])
    given = parser.parse_args()
    longest = sorted(given.networks, key=lambda name: -NETWORKS[name].epochs * (1 + 3 * ("lstm" in name)))
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    report |= {"torch": torch.__version__, "table": table()[1]}
    if given.only != "plain":
        start = time.perf_counter()
        with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
            lines = list(pool.map(trained, longest))
        wall = round(time.perf_counter() - start, 1)
        print(*lines, f"{len(lines)} networks x {SEEDS} seeds: {wall} s of wall time, target {TARGET_S}", sep="\n")
        report |= {"suite": lines, "wall_s": wall, "cpu_s": round(sum(line["cpu_s"] for line in lines), 1)}
    if given.only != "suite":
        lines = []
        for name in given.networks:
            lines.append(compared(name, given.steps))
            print(lines[-1], flush=True)
        steps = {name: NETWORKS[name].epochs * Problem(name).steps for name in given.networks}
        ours, theirs = (sum(line[way] * steps[line["name"]] for line in lines) / 1e3 for way in ("ours_ms", "plain_ms"))
        print(f"the suite at these figures: {ours:.0f} CPU seconds, plain {theirs:.0f}, {theirs / ours:.2f} times")
        report |= {"compared": lines, "suite_cpu_s": {"ours": round(ours), "plain": round(theirs)}}
    if given.networks == list(NETWORKS):
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
