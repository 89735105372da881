"""Small panels, tasks and networks that the tests of the networks share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from forecast.panel import Panel
from forecast.schema import Task, Variable
from forecast.spec import from_spec
from models.dlinear import DLinear
from models.lstm import LSTM
from models.mlp import MLP
from models.nets.framing import Framing
from models.nets.heads import Shape
from models.nets.network import Network
from models.training.settings import Training
from models.transformer import Encoder, Transformer

HOUR = timedelta(hours=1)
QUICK = Training(epochs=3, warm_epochs=1, batch=64)
FAST = Training(epochs=1, warm_epochs=1)  # for the contract, which fits a hundred times
TASK = Task([Variable("a"), Variable("b")], past=[Variable("c")], horizon=3, context=4)
KINDS = ("LSTM", "MLP", "Transformer", "DLinear")
LEAVE_OUT = {"check_save_and_load": "starts a process; tests/test_contract.py does it for all models at once"}


def network(kind: str, framing: Framing | None = None, training: Training = QUICK, seed: int = 0) -> Network:
    """A tiny network."""
    common: dict[str, Any] = {"framing": framing or Framing(), "training": training, "seed": seed}
    if kind == "LSTM":
        return LSTM(hidden=8, **common)
    if kind == "MLP":
        return MLP(hidden=16, **common)
    if kind == "Transformer":
        return Transformer(Encoder(width=8, heads=2, feedforward=16), hidden=16, **common)
    return DLinear(kernel=3, **common)


def panel_of(values: np.ndarray, names: tuple[str, ...] = ("a", "b", "c")) -> Panel:
    """Hourly panel of values (N, T, V)."""
    times = np.datetime64("2024-01-01", "us") + np.arange(values.shape[1]) * np.timedelta64(1, "h")
    return Panel(values, times, tuple("uvwxyz"[-len(values) :]), names[: values.shape[2]], HOUR)


def waves(series: int = 2, rows: int = 200, variables: int = 3, noise: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(0)
    phase = np.arange(series)[:, None, None] + np.arange(variables)
    return 10 + np.sin(2 * np.pi * np.arange(rows)[:, None] / 24 + phase) + noise * rng.normal(size=phase.shape)


def noisy(series: int = 2, rows: int = 200, variables: int = 3, seed: int = 1) -> np.ndarray:
    return waves(series, rows, variables) + 0.3 * np.random.default_rng(seed).normal(size=(series, rows, variables))


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def model_of(option: str) -> dict[str, Any]:
    """The specification that `model=option` chooses."""
    with initialize_config_module("forecast.conf", version_base="1.3"):
        config = compose("config", overrides=[f"model={option}"])
    return OmegaConf.to_container(config, resolve=True)["model"]


def parameters_of(spec: dict[str, Any], shape: Shape) -> int:
    """How many parameters the net of a configured model has."""
    return sum(p.numel() for p in from_spec(spec)._skeleton(shape).parameters())
