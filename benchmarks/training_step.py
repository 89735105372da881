"""The CPU seconds of 100 training steps, against neuralforecast, same shapes, one thread.

    NEURALFORECAST_PYTHON=/path/to/venv/bin/python python benchmarks/training_step.py [LSTM] [MLP]

neuralforecast brings a whole stack of its own, so it lives in an environment of its own (`python -m venv there &&
there/bin/pip install neuralforecast`, with this project's constraints file to keep torch the same); the variable
names that environment's python. Its processes and ours take turns; the least of the repetitions counts. Windows of 48
hours, horizon 6, 32 windows a step: an LSTM of 2 x 128 (target: 1.3 times cheaper), an MLP of 2 x 1024 (2 times).
Ours is `train` with clipped gradients and fused AdamW: what every network of the zoo is trained with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from models import stack
from models.lightning import Training, train

WINDOW, HORIZON, WINDOWS, STEPS, WARM, REPETITIONS = 48, 6, 32, 100, 10, 3
TARGETS = {"LSTM": 1.3, "MLP": 2.0}
RESULTS = Path(__file__).parent / "results" / "training_step.json"
PEER = f"""
import importlib.metadata, json, logging, sys, time, warnings
import numpy as np, pandas as pd, torch
warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)
torch.set_num_threads(1)
from neuralforecast import NeuralForecast
import neuralforecast.models as models
from pytorch_lightning.callbacks import Callback

class Clock(Callback):
    ends = []
    def on_train_batch_end(self, *given, **named):
        Clock.ends.append(time.thread_time())

rng, series, hours = np.random.default_rng(0), 200, 500
table = pd.DataFrame(dict(
    unique_id=np.repeat([f"s{{i}}" for i in range(series)], hours),
    ds=np.tile(pd.date_range("2024-01-01", periods=hours, freq="h"), series),
    y=(10 + rng.normal(size=(series, hours)).cumsum(1)).ravel(),
))
model = getattr(models, sys.argv[1])(
    h={HORIZON}, input_size={WINDOW}, max_steps={STEPS + WARM}, batch_size=32, windows_batch_size={WINDOWS},
    scaler_type="robust", accelerator="cpu", enable_progress_bar=False, logger=False, enable_checkpointing=False,
    enable_model_summary=False, callbacks=[Clock()],
)
NeuralForecast(models=[model], freq="h").fit(table)
print(json.dumps(dict(
    cpu_s=(Clock.ends[-1] - Clock.ends[{WARM - 1}]) / {STEPS} * 100,
    parameters=sum(p.numel() for p in model.parameters()),
    neuralforecast=importlib.metadata.version("neuralforecast"), torch=torch.__version__,
)))
"""


class LSTM(nn.Module):
    """As neuralforecast's: two recurrent layers of 128, a head of two more."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = stack.LSTM(1, 128, 2)
        self.head = nn.Sequential(stack.Linear(128, 128), nn.ReLU(), stack.Linear(128, HORIZON))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x.unsqueeze(-1)))[:, :, -1]  # (M, B, H); the head at every row, as there


class MLP(nn.Module):
    """As neuralforecast's: two hidden layers of 1024."""

    def __init__(self) -> None:
        super().__init__()
        widths = (WINDOW, 1024, 1024)
        hidden = [part for a, b in pairwise(widths) for part in (stack.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, stack.Linear(1024, HORIZON))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def absolute(output: Tensor, truth: Tensor) -> Tensor:
    return (output - truth).abs().mean((1, 2))  # (M,)


def ours(kind: str) -> dict[str, float]:
    """CPU seconds of 100 steps of `train`, its fixed costs left out like the peer's."""
    torch.manual_seed(0)
    net = {"LSTM": LSTM, "MLP": MLP}[kind]()
    walk = torch.randn(1, 4000, WINDOW + HORIZON).cumsum(-1)  # (M, B, L + H)
    x, y = walk[..., :WINDOW].contiguous(), walk[..., WINDOW:].contiguous()
    seconds = []
    for rows in (WARM * WINDOWS, (WARM + STEPS) * WINDOWS):
        start = time.thread_time()
        train(net, absolute, [x[:, :rows]], y[:, :rows], Training(epochs=1, batch=WINDOWS, rate=1e-3))
        seconds.append(time.thread_time() - start)
    return {"cpu_s": seconds[1] - seconds[0], "parameters": sum(p.numel() for p in net.parameters())}


def peer(python: str, kind: str) -> dict[str, float]:
    """The same of neuralforecast, in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    told = subprocess.run([python, "-c", PEER, kind], env=environment, capture_output=True, text=True, check=True)
    return json.loads(told.stdout.strip().splitlines()[-1])


def main() -> None:
    python = os.environ.get("NEURALFORECAST_PYTHON")
    if not python:
        sys.exit(f"NEURALFORECAST_PYTHON names no python that has neuralforecast. {__doc__}")
    torch.set_num_threads(1)
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for kind in sys.argv[1:] or list(TARGETS):
        ours("MLP")  # imports
        theirs, mine = [], []
        for _ in range(REPETITIONS):
            theirs.append(peer(python, kind))
            mine.append(ours(kind))
        least = {name: min(runs, key=lambda run: run["cpu_s"]) for name, runs in (("theirs", theirs), ("ours", mine))}
        ratio = round(least["theirs"]["cpu_s"] / least["ours"]["cpu_s"], 2)
        report[kind] = least | {"ratio": ratio, "target": TARGETS[kind]}
        print(kind, report[kind], flush=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
