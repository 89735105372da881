"""Training 48 equal networks in one batched pass, against one after another; and when that pays.

    python benchmarks/fleet_training.py            the four networks of the target, and memory
    python benchmarks/fleet_training.py --sweep    hidden widths 16 to 1024, 2 to 48 members: the rule's support

Batch 64, windows of 6 rows x 24 inputs, one thread. Each way trains the same networks on the same batches with clipped
gradients, fused AdamW and a one-cycle rate: `stack` is `train` with a stack, `single` is `train` with each network
alone (M = 1), `plain` a bare loop over torch.nn modules. Figures are CPU seconds of this thread, the least of
interleaved repetitions; their losses are compared. Targets: MLP hidden 64 at least 7 times cheaper than one after
another, 128 at least 3; LSTM of two layers hidden 16 at least 3 times, 32 at least 1.5; never dearer.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models import stack
from models.lightning import Training, alone, train
from models.training.loop import Loss
from models.training.schedules import one_cycle

ROWS, BATCH, WINDOW, COLUMNS, OUTPUTS = 640, 64, 6, 24, 6
RESULTS = Path(__file__).parent / "results" / "fleet_training.json"
CASES = (("mlp", 64), ("mlp", 128), ("lstm", 16), ("lstm", 32))
TARGETS = {"mlp 64": 7.0, "mlp 128": 3.0, "lstm 16": 3.0, "lstm 32": 1.5}
LSTM_SWEEP, MLP_SWEEP, MEMBERS = (16, 32, 64, 128, 256), (16, 32, 64, 128, 256, 512, 1024), (2, 4, 8, 16, 48)


class MLP(nn.Module):
    """Two hidden layers over the flattened window."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        linear = stack.Linear
        self.layers = nn.Sequential(
            linear(WINDOW * COLUMNS, hidden), nn.ReLU(), linear(hidden, hidden), nn.ReLU(), linear(hidden, OUTPUTS)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.flatten(2))  # (M, B, O)


class LSTM(nn.Module):
    """Two layers and a linear head on the newest state."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lstm, self.head = stack.LSTM(COLUMNS, hidden, 2), stack.Linear(hidden, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm.last(x))  # (M, B, O)


class PlainLSTM(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(COLUMNS, hidden, 2, batch_first=True), nn.Linear(hidden, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def plain_mlp(hidden: int) -> nn.Module:
    layers = [nn.Linear(WINDOW * COLUMNS, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(hidden, OUTPUTS))


MAKE = {"mlp": (MLP, plain_mlp), "lstm": (LSTM, PlainLSTM)}


def squares(output: Tensor, truth: Tensor) -> Tensor:
    return (output - truth).square().mean((1, 2))  # (M,)


@dataclass
class Problem:
    """`members` equal networks with data and chance of their own."""

    kind: str
    hidden: int
    members: int
    training: Training

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.x = torch.randn(self.members, ROWS, WINDOW, COLUMNS)  # (M, B, L, D)
        truth = self.x.mean((2, 3), keepdim=True)[:, :, 0] * torch.arange(1.0, OUTPUTS + 1)
        self.y = truth + 0.1 * torch.randn(self.members, ROWS, OUTPUTS)  # (M, B, O)
        self.nets = [MAKE[self.kind][0](self.hidden) for _ in range(self.members)]

    def stack(self, loss: Loss = squares) -> list[float]:
        net = stack.stacked(self.nets)
        histories = train(net, loss, [self.x], self.y, self.training, seeds=range(self.members))
        return [history.losses[-1] for history in histories]

    def single(self) -> list[float]:
        losses = []
        for m, net in enumerate(self.nets):
            one = stack.take(net, [0])
            losses += train(one, squares, [self.x[m : m + 1]], self.y[m : m + 1], self.training, seeds=[m])
        return [history.losses[-1] for history in losses]

    def plain(self) -> list[float]:
        with alone(0, 1):
            return [self._plain(m) for m in range(self.members)]

    def _plain(self, member: int) -> float:
        net = MAKE[self.kind][1](self.hidden)
        with torch.no_grad():
            for parameter, (_, given) in zip(net.parameters(), self.nets[member].named_parameters(), strict=True):
                parameter.copy_(given[0])
        optimiser = torch.optim.AdamW(net.parameters(), lr=1.0, weight_decay=self.training.decay, fused=True)
        generator = torch.Generator().manual_seed(member)
        x, y, steps, step = self.x[member], self.y[member], self.training.epochs * (ROWS // BATCH), 0
        for _ in range(self.training.epochs):
            total = 0.0
            for chosen in torch.randperm(ROWS, generator=generator).split(BATCH):
                optimiser.param_groups[0]["lr"] = self.training.highest_rate * one_cycle(step / (steps - 1))
                optimiser.zero_grad()
                loss = nn.functional.mse_loss(net(x[chosen]), y[chosen])
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), self.training.clip)
                optimiser.step()
                total, step = total + float(loss.detach()) / (ROWS // BATCH), step + 1
        return total


def cpu(act: Callable[[], object]) -> float:
    """CPU seconds of this thread."""
    start = time.thread_time()
    act()
    return time.thread_time() - start


def compared(kind: str, hidden: int, members: int, training: Training, repetitions: int) -> dict[str, float]:
    """CPU seconds each way, ms per member and step, and how far the losses are apart."""
    problem = Problem(kind, hidden, members, training)
    ways = {"stack": problem.stack, "single": problem.single, "plain": problem.plain}
    losses = {name: torch.tensor(way()) for name, way in ways.items()}
    apart = max(float((losses["stack"] / losses[name] - 1).abs().max()) for name in ways)
    assert apart < 1e-3, f"losses are {apart} apart"
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(repetitions):
        for name, way in ways.items():
            best[name] = min(best[name], cpu(way))
    steps = training.epochs * ROWS // BATCH * members
    parameters = sum(p.numel() for p in problem.nets[0].parameters())
    told = {f"{name}_ms_a_step": round(1e3 * seconds / steps, 4) for name, seconds in best.items()}
    ratios = {f"{name}_over_stack": round(best[name] / best["stack"], 2) for name in ("single", "plain")}
    group = stack.group_size(members, parameters, BATCH)
    return {"members": members, "parameters": parameters, "group": group} | told | ratios | {"losses_apart": apart}


def sweep(repetitions: int) -> list[dict[str, float | str]]:
    """CPU ms per member and step alone, and in stacks of so many trained in one pass."""
    lines = []
    for kind, widths in (("mlp", MLP_SWEEP), ("lstm", LSTM_SWEEP)):
        for hidden in widths:
            problems = {1: Problem(kind, hidden, 2, Training(epochs=1, batch=BATCH, together=1))}
            parameters = sum(p.numel() for p in problems[1].nets[0].parameters())
            for members in MEMBERS:
                if members * parameters < 2**23:
                    problems[members] = Problem(
                        kind, hidden, members, Training(epochs=1, batch=BATCH, together=members)
                    )
            best = dict.fromkeys(problems, float("inf"))
            for _ in range(repetitions):
                for members, problem in problems.items():
                    seconds = cpu(problem.single if members == 1 else problem.stack)
                    best[members] = min(best[members], 1e3 * seconds / (problem.members * ROWS // BATCH))
            line = {"kind": kind, "hidden": hidden, "parameters": parameters}
            lines.append(line | {f"ms_{members}": round(ms, 3) for members, ms in best.items()})
            print(lines[-1], flush=True)
    return lines


def peak_mb(kind: str, hidden: int, way: str) -> float:
    """Peak memory of training 48 networks in a process of its own, above what it held before (Linux)."""
    code = (
        "from pathlib import Path; from benchmarks.fleet_training import *\n"
        f"problem = Problem({kind!r}, {hidden}, 48, Training(epochs=1, batch=BATCH)); import lightning.fabric\n"
        "def held(word): return int(Path('/proc/self/status').read_text().split(word)[1].split()[0])\n"
        "before = held('VmRSS:'); Path('/proc/self/clear_refs').write_text('5')\n"
        f"problem.{way}(); print(held('VmHWM:') - before)"
    )
    root = Path(__file__).parents[1]
    told = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return round(int(told.stdout.split()[-1]) / 1024, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--cases", nargs="*", default=list(TARGETS))
    parser.add_argument("--repetitions", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    training = Training(batch=BATCH)
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if given.sweep:
        report["sweep"] = sweep(given.repetitions)
    else:
        for kind, hidden in CASES:
            if f"{kind} {hidden}" not in given.cases:
                continue
            told = compared(kind, hidden, 48, training, given.repetitions)
            told["peak_mb"] = {way: peak_mb(kind, hidden, way) for way in ("stack", "single", "plain")}
            told["target"] = TARGETS[f"{kind} {hidden}"]
            print(kind, hidden, told, flush=True)
            report[f"{kind} {hidden}"] = told
    report["torch"] = torch.__version__
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
