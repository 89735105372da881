"""The CPU seconds of a training step of ReGENN on the epidemic's shape, against the same network written naively.

    python benchmarks/regenn_step.py

Batches of 32 windows of 188 series, 7 steps, 3 variables and 14 steps ahead, at the paper's size (33,975 parameters),
with dropout, mean absolute error, clipped gradients and Adam. The naive network is the equations in torch's own layers,
one window after another, its gradients added up over the batch; the same optimiser step. Both take turns, the least of
the repetitions counts, one thread. Target: 2 times cheaper. First both are shown to be the same network: with equal
weights and without dropout they give the same forecasts. No data are needed: a step costs the same with any.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from forecast.schema import Task, Variable
from models.lightning import Training, train
from models.regenn import GraphSoftEvolution, ReGENN
from models.regenn.forecaster import Asked, absolute
from models.stack.single import Single

SERIES, WINDOW, STRIDE, VARIABLES, WINDOWS, STEPS, REPETITIONS = 188, 7, 14, 3, 32, 3, 4
TARGET = 2.0
RESULTS = Path(__file__).parent / "results" / "regenn_step.json"
TASK = Task([Variable(f"v{k}") for k in range(VARIABLES)], step="1d", horizon=STRIDE, context=WINDOW)


class Naive(nn.Module):
    """One window (S, W, V) to (S, Z, V) by torch's own layers."""

    def __init__(self) -> None:
        super().__init__()
        self.source = GraphSoftEvolution(VARIABLES, WINDOW, dropout=0.1)
        self.encoder = nn.TransformerEncoderLayer(WINDOW, 1, 2048, 0.1)
        self.gate = nn.LSTM(WINDOW, STRIDE, bidirectional=True, batch_first=True)
        self.sequencer = nn.LSTM(VARIABLES, VARIABLES, bidirectional=True, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.target = GraphSoftEvolution(VARIABLES)
        self.shadow = nn.Linear(WINDOW, STRIDE)

    def forward(self, x: Tensor, graph: Tensor) -> Tensor:
        mixed, evolved = self.source(x, graph)
        encoded = self.encoder(mixed.transpose(1, 2))  # (S, V, W)
        ahead = self.dropout(sum(self.gate(encoded)[0].chunk(2, -1)).transpose(1, 2))  # (S, Z, V)
        ahead = self.dropout(sum(self.sequencer(ahead)[0].chunk(2, -1))) + ahead
        return self.target(ahead, evolved)[0] + self.shadow(x.transpose(1, 2)).transpose(1, 2)


def take_over(naive: Naive, ours: ReGENN) -> None:
    """The naive network's weights become ours."""
    own = ours.state_dict()
    renamed = {
        "encoder.self_attn.in_proj_": "encoder.projections.", "encoder.self_attn.out_proj.": "encoder.output.",
        "encoder.linear1.": "encoder.widen.", "encoder.linear2.": "encoder.narrow.",
        "encoder.norm1.": "encoder.first.", "encoder.norm2.": "encoder.second.",
    }  # fmt: skip
    state = {}
    for name in naive.state_dict():
        there = name
        for theirs, mine in renamed.items():
            there = there.replace(theirs, mine)
        if "_l0" in name:
            layer, rest = name.split(".")
            there = f"{layer}.parts.{int(rest.endswith('_reverse'))}.{rest.split('_l0')[0]}"
        if name.startswith("shadow"):
            state[name] = own["w_ar"].T if name.endswith("weight") else own["b_ar"].squeeze(1)
        else:
            state[name] = own[there]
    naive.load_state_dict(state)


def same() -> float:
    """The largest difference between both networks' forecasts with equal weights."""
    ours, naive = ReGENN(WINDOW, STRIDE, VARIABLES).eval(), Naive().eval()
    take_over(naive, ours)
    x, graph = torch.randn(4, SERIES, WINDOW, VARIABLES), torch.rand(VARIABLES, VARIABLES)
    with torch.no_grad():
        return float((ours(x, graph) - torch.stack([naive(window, graph) for window in x])).abs().max())


def ours(x: Tensor, y: Tensor, graph: Tensor) -> tuple[float, float]:
    """CPU seconds of `train` with one step, and with STEPS more."""
    seconds = []
    for steps in (1, 1 + STEPS):
        net = Single(Asked(ReGENN(WINDOW, STRIDE, VARIABLES), graph, TASK))
        inputs = [x.expand(steps, -1, -1, -1, -1).flatten(0, 1)[None], torch.ones(1, steps * WINDOWS, SERIES, 1, 1)]
        truth = y.expand(steps, -1, -1, -1, -1).flatten(0, 1)[None]
        training = Training(epochs=1, batch=WINDOWS, optimiser="adam", rate=1e-3, clip=10, accelerator="cpu")
        start = time.thread_time()
        train(net, absolute, inputs, truth, training)
        seconds.append(time.thread_time() - start)
    return seconds[0], seconds[1]


def theirs(x: Tensor, y: Tensor, graph: Tensor) -> float:
    """CPU seconds of the cheapest step of the naive network."""
    net = Naive().train()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    seconds = []
    for _ in range(1 + STEPS):
        start = time.thread_time()
        optimiser.zero_grad()
        for window, truth in zip(x, y, strict=True):
            ((net(window, graph) - truth).abs().mean() / len(x)).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 10)
        optimiser.step()
        seconds.append(time.thread_time() - start)
    return min(seconds[1:])


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = torch.randn(WINDOWS, SERIES, WINDOW, VARIABLES), torch.randn(WINDOWS, SERIES, STRIDE, VARIABLES)
    graph, apart = torch.rand(VARIABLES, VARIABLES), same()
    assert apart < 1e-5, f"the two networks differ by {apart}"
    ours(x, y, graph)  # imports
    mine, naive = [], []
    for _ in range(REPETITIONS):
        mine.append(ours(x, y, graph))
        naive.append(theirs(x, y, graph))
    step = (min(more for _, more in mine) - min(one for one, _ in mine)) / STEPS
    report = {
        "ours": {"cpu_s": round(step, 4)},
        "naive": {"cpu_s": round(min(naive), 4)},
        "ratio": round(min(naive) / step, 2),
        "target": TARGET,
        "largest difference of the forecasts": apart,
        "parameters": sum(part.numel() for part in ReGENN(WINDOW, STRIDE, VARIABLES).parameters()),
        "torch": torch.__version__,
    }
    print(json.dumps(report))
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
