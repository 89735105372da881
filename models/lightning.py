"""Training: the one routine every network of the zoo is trained with, on Lightning Fabric.

Fabric, not the Trainer: the loop refits every hour and a fit is a second of work. Measured on one core, over a bare
loop: the Trainer costs 10 ms and 0.50 ms a step, Fabric 9 ms and 0.11 ms; 8 % against 2 % of a one-second fit of 130
steps.
Both choose the device and wrap the backward pass alike. Importing lightning takes seconds, so only `train` does:
forecasting never pays for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from forecast.errors import SchemaError, UnknownNameError

SPLITS = ("refit_all", "holdout")
SHARE = 0.1  # of the rows, the newest, held out by `holdout`

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Training:
    """How a network is trained: AdamW, a one-cycle learning rate, clipped gradients.

    Args:
        epochs: passes over the rows; the most there will be with `holdout`. warm_epochs: the same for a warm start.
        batch: rows per step.
        rate: highest learning rate. weight_decay: of AdamW.
        clip: largest norm of the gradient.
        split: `refit_all` trains on every row, the newest included, for all epochs; `holdout` keeps the newest
            tenth out, stops after `patience` epochs without a better loss there, and returns the best weights.
        patience: epochs; only `holdout` reads it.
        threads: of the CPU, while training and forecasting.

    Raises:
        UnknownNameError: another split. SchemaError: a count or rate that is not positive.

    >>> Training(split="holdout").trained(1000)
    900
    """

    epochs: int = 10
    warm_epochs: int = 3
    batch: int = 256
    rate: float = 6e-3
    weight_decay: float = 0.1
    clip: float = 1.0
    split: str = "refit_all"
    patience: int = 5
    threads: int = 1

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise UnknownNameError("split", self.split, SPLITS)
        for name in ("epochs", "warm_epochs", "batch", "rate", "clip", "patience", "threads"):
            if not getattr(self, name) > 0:
                raise SchemaError(f"training.{name} is {getattr(self, name)}: it must be positive")

    def trained(self, rows: int) -> int:
        """How many of `rows`, the oldest, are trained on; the rest are held out."""
        return rows - math.ceil(SHARE * rows) if self.split == "holdout" and rows > 1 else rows


@dataclass(frozen=True)
class History:
    """What training did: loss of each epoch (held-out rows where there are any), steps taken, and the epoch kept."""

    losses: tuple[float, ...]
    steps: int
    kept: int


@contextmanager
def alone(seed: int, threads: int) -> Iterator[None]:
    """Seeded chance, deterministic kernels and `threads` CPU threads inside; all as before outside."""
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        if devices:  # on a CPU the kernels used here repeat anyway, and this switch would cost 7 % of a fit
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.set_num_threads(before)
            torch.use_deterministic_algorithms(strict, warn_only=lenient)


def train(
    net: nn.Module,
    loss: Loss,
    inputs: Sequence[Tensor],
    truth: Tensor,
    training: Training,
    *,
    seed: int = 0,
    warm: bool = False,
) -> History:
    """Train `net` in place, so that `loss(net(*inputs), truth)` falls; it ends on the CPU, in evaluation mode.

    Args:
        net: takes the inputs' rows. loss: scalar, the mean over a batch.
        inputs: tensors (B, ...), rows oldest first. truth: (B, ...).
        training: settings. warm: `training.warm_epochs` instead of `training.epochs`.
        seed: of the order of batches and of dropout; the global generators are left as they were.

    Raises:
        SchemaError: the loss or its gradient is NaN or infinite; the message names epoch and batch.
    """
    with alone(seed, training.threads):
        loop = _Loop(net, loss, training, training.warm_epochs if warm else training.epochs)
        history = loop.run([*inputs, truth])
    net.cpu().eval()
    return history


class _Loop:
    """One training: Fabric, the optimiser, and the best weights so far."""

    def __init__(self, net: nn.Module, loss: Loss, training: Training, epochs: int) -> None:
        from lightning.fabric import Fabric

        self.fabric = Fabric(accelerator="auto", devices=1)
        optimiser = torch.optim.AdamW(
            net.parameters(), lr=training.rate, weight_decay=training.weight_decay, fused=True
        )
        self.net, self.optimiser = self.fabric.setup(net, optimiser)
        self.loss, self.training, self.epochs = loss, training, epochs
        self.plain = net

    def run(self, tensors: list[Tensor]) -> History:
        tensors = [self.fabric.to_device(t) for t in tensors]
        rows, kept = len(tensors[-1]), self.training.trained(len(tensors[-1]))
        held = [t[kept:] for t in tensors] if kept < rows else None
        losses: list[float] = []
        best: dict[str, Any] = {}
        for epoch in range(self.epochs):
            losses.append(self._epoch([t[:kept] for t in tensors], epoch))
            if held is None:
                continue
            losses[-1] = self._evaluate(held)
            if losses[-1] < min(losses[:-1], default=math.inf):
                best = {name: value.detach().clone() for name, value in self.plain.state_dict().items()}
            elif epoch - losses.index(min(losses)) >= self.training.patience:
                break
        if best:
            self.plain.load_state_dict(best)
        last = losses.index(min(losses)) if best else len(losses) - 1
        return History(tuple(losses), len(losses) * self._batches(kept), last)

    def _epoch(self, tensors: list[Tensor], epoch: int) -> float:
        self.net.train()
        total, rows, batches = 0.0, len(tensors[-1]), self._batches(len(tensors[-1]))
        order = torch.randperm(rows).to(tensors[-1].device)  # (B,)
        for index, chosen in enumerate(order.tensor_split(batches)):
            self._set_rate((epoch * batches + index) / max(self.epochs * batches - 1, 1))
            *inputs, truth = (t[chosen] for t in tensors)
            value = self._step(inputs, truth, f"epoch {epoch + 1}, batch {index + 1} of {batches}")
            total += value * len(chosen) / rows
        return total

    def _step(self, inputs: list[Tensor], truth: Tensor, where: str) -> float:
        self.optimiser.zero_grad()
        loss = self.loss(self.net(*inputs), truth)
        self.fabric.backward(loss)
        norm = self.fabric.clip_gradients(
            self.net, self.optimiser, max_norm=self.training.clip, error_if_nonfinite=False
        )
        assert norm is not None
        value = float(loss.detach())
        if not math.isfinite(value + float(norm)):
            raise SchemaError(
                f"training stopped in {where}: the loss is {value}, its gradient's norm {float(norm)}. "
                f"Check the inputs for NaN, or lower training.rate (now {self.training.rate})"
            )
        self.optimiser.step()
        return value

    @torch.no_grad()
    def _evaluate(self, tensors: list[Tensor]) -> float:
        self.net.eval()
        value = float(self.loss(self.net(*tensors[:-1]), tensors[-1]))
        if not math.isfinite(value):
            raise SchemaError(f"the loss of the {len(tensors[-1])} held-out rows is {value}: check the inputs for NaN")
        return value

    def _batches(self, rows: int) -> int:
        return max(1, round(rows / self.training.batch))

    def _set_rate(self, done: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.training.rate * one_cycle(done)


def one_cycle(done: float, rise: float = 0.3) -> float:
    """Share of the highest learning rate when `done` in [0, 1] of the steps are done: cosine up from 1/25, then to 0.

    Source: Smith and Topin, "Super-convergence", arXiv 1708.07120; shape and defaults as torch's OneCycleLR.

    >>> round(one_cycle(0.0), 2), one_cycle(0.3), round(one_cycle(1.0), 2)
    (0.04, 1.0, 0.0)
    """
    if done < rise:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * done / rise)) / 2
    return (1 + math.cos(math.pi * (done - rise) / (1 - rise))) / 2
