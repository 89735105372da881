"""Head-wise cells in the nowcaster: what a training step costs, and the error on the weather of New York.

    python -m benchmarks.headwise             # both
    python -m benchmarks.headwise --cost      # the step only

Cost: CPU ms of a whole step of `train` (loss, gradients, clipping, AdamW), one thread, of the network that
conf/model/lstm.yaml trains on three stations (window of 6 rows, batch 256, hidden 32), of nine such in one stack, and
of a larger one (window of 48, hidden 128); cells take turns, the least of the repetitions counts. `torch` is the same
cell written with autograd, step by step (models/headwise.py). Error: windows, stations and scores as in
benchmarks/skill.py; the mean over the three targets and six leads of the skill against persistence, and CPU seconds of
a fit.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from benchmarks.skill import TARGETS, TASK, WINDOWS, compare
from forecast.schema import Task
from models import stack
from models.headwise import headwise_lstm, slstm
from models.lightning import Training, alone, train
from models.lstm import LSTM, Cell
from models.nets.framing import Framing
from models.nets.heads import Pinball, Shape

CELLS = {"lstm": Cell(), "headwise": Cell("headwise", heads=4), "slstm": Cell("slstm", heads=4)}
PLAIN = {"headwise": headwise_lstm, "slstm": slstm}
SIZES = {"small": (6, 32, 1), "nine": (6, 32, 9), "large": (48, 128, 1)}  # rows of the window, hidden width, members
BATCH, STEPS, REPETITIONS, SERIES = 256, 20, 5, 3
RESULTS = Path(__file__).parent / "results" / "headwise.json"


def step_ms(name: str, rows: int, hidden: int, members: int, plain: bool) -> float:
    """CPU ms of a training step, fixed costs left out."""
    task = Task(TASK.targets, past=TASK.past, horizon=TASK.horizon, context=rows)
    shape = Framing().shape(SERIES, task, 0)
    with alone(0, 1):
        net = stack.stacked([LSTM(hidden=hidden, cell=CELLS[name])._single(shape)] * members)
    ends = []
    for steps in (2, 2 + STEPS):
        given, truth = random_rows(shape, members, steps * BATCH)
        start = time.process_time()
        with patch.object(stack.headwise.Headwise, "_run", stepwise(name) if plain else stack.headwise.Headwise._run):
            train(net, Pinball(shape.levels), given, truth, Training(epochs=1, batch=BATCH), seeds=range(members))
        ends.append(time.process_time() - start)
    return (ends[1] - ends[0]) / STEPS * 1000


def random_rows(shape: Shape, members: int, count: int) -> tuple[list[Tensor], Tensor]:
    chance = torch.Generator().manual_seed(0)
    sizes = (shape.rows, shape.columns), (shape.extras,), (shape.outputs,)
    windows, extras, truth = (torch.randn(members, count, *size, generator=chance) for size in sizes)
    return [windows, extras], truth


def stepwise(name: str) -> Callable[[stack.headwise.Headwise, Tensor, bool], Tensor]:
    """`Headwise._run` of one member by the equations."""

    def run(self: stack.headwise.Headwise, x: Tensor, last: bool) -> Tensor:
        weights = [self.get_parameter(f"{part}_l0").squeeze(0) for part in stack.headwise.NAMES]
        return PLAIN[name](x.squeeze(0), weights)[0].unsqueeze(0)

    return run


def costs() -> dict[str, dict[str, float]]:
    kept: dict[str, dict[str, float]] = {}
    for size, (rows, hidden, members) in SIZES.items():
        cases = [(name, False) for name in CELLS] + [(name, True) for name in PLAIN if members == 1]
        step_ms("lstm", rows, hidden, members, False)  # imports and first calls
        found: dict[str, list[float]] = {}
        for _ in range(REPETITIONS):
            for name, plain in cases:
                label = f"{name}, torch" if plain else name
                found.setdefault(label, []).append(step_ms(name, rows, hidden, members, plain))
        kept[size] = {name: round(min(times), 2) for name, times in found.items()}
        print(f"{size}: window {rows}, hidden {hidden}, members {members}, ms a step: {kept[size]}", flush=True)
    return kept


def errors() -> dict[str, dict[str, float]]:
    """Per cell: mean skill of each target over the leads, and of all; CPU seconds of a fit; coverage of the 80 %."""
    specs: dict[str, object] = {
        name: {"_target_": "models.lstm.LSTM", "cell": {"_target_": "models.lstm.Cell", **vars(cell)}}
        for name, cell in CELLS.items()
    }
    told = compare(specs, WINDOWS["test"])
    kept = {}
    for name in CELLS:
        skills = {target.name: float(np.mean([skill for skill, _ in told[name][target.name]])) for target in TARGETS}
        about = {key: told[name][key] for key in ("cpu_s", "coverage")}
        kept[name] = {key: round(s, 3) for key, s in skills.items()}
        kept[name] |= {"mean": round(float(np.mean(list(skills.values()))), 3), **about}
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cost", action="store_true", help="the step only")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    report = {"step_ms": costs()}
    if not chosen.cost:
        report["skill"] = errors()
        head = ("cell", "ms a step", "fit, CPU-s", "mean skill", *(target.name for target in TARGETS))
        print(f"\n| {' | '.join(head)} |\n{'|---' * len(head)}|")
        for name, row in report["skill"].items():
            skills = " | ".join(f"{row[key]:.3f}" for key in ("mean", *(target.name for target in TARGETS)))
            print(f"| {name} | {report['step_ms']['small'][name]} | {row['cpu_s']} | {skills} |")
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
