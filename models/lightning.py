"""Training: the one routine every network of the zoo is trained with, on Lightning Fabric.

Fabric, not the Trainer: the loop refits every hour and a fit is a second of work. Measured on one core, over a bare
loop: the Trainer costs 10 ms and 0.50 ms a step, Fabric 9 ms and 0.11 ms; 8 % against 2 % of a one-second fit of 130
steps. Here Fabric chooses device and precision, and wraps nothing: a step costs what the bare loop's costs.
Importing lightning takes seconds, so only `train` does: forecasting never pays for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from forecast.errors import SchemaError
from models.stack.joining import put, size, state, take
from models.stack.paying import group_size
from models.training.checkpoint import Checkpoint, Off
from models.training.loop import Loop, Loss
from models.training.optimisers import OPTIMISERS
from models.training.schedules import one_cycle
from models.training.settings import History, Training

__all__ = ["History", "Loss", "Training", "alone", "one_cycle", "train"]


@contextmanager
def alone(seed: int, threads: int) -> Iterator[None]:
    """Seeded chance, deterministic kernels and `threads` CPU threads inside; all as before outside.

    Denormal numbers count as zero: gradients that fade through a net's steps become denormal, and each operation on one
    takes a hundred times as long (nine stacked LSTMs: 93 CPU seconds with them, 3.8 without). Outside they are left
    on, torch's default; it cannot be asked how it stood.
    """
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        if devices:  # on a CPU the kernels used here repeat anyway, and this switch would cost 7 % of a fit
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.set_flush_denormal(False)
            torch.set_num_threads(before)
            torch.use_deterministic_algorithms(strict, warn_only=lenient)


def train(
    net: nn.Module,
    loss: Loss,
    inputs: Sequence[Tensor],
    truth: Tensor,
    training: Training,
    *,
    seeds: Sequence[int] = (0,),
    warm: bool = False,
    rows: Sequence[int] | None = None,
    checkpoint: Path | None = None,
) -> list[History]:
    """Train the M members of `net` in place, each as if it were alone; it ends on the CPU, in evaluation mode.

    A member ends with the same weights in a stack as alone (to rounding): order of batches, dropout, clipping, rate
    and early stopping are its own. Stacks are trained in groups of as many members as pays (models/stack/paying.py).
    A training that fails leaves the net as it was.

    Args:
        net: a stack (models/stack) of M >= 1 members, which takes the inputs' rows (M, B, ...).
        loss: of an output and truth (M, B, ...), each member's mean (M,), NaN of the truth left out.
        inputs: tensors (M, B, ...), rows oldest first; they may be expanded views. truth: (M, B, ...), NaN unknown.
        training: settings. warm: `training.warm_epochs` instead of `training.epochs`.
        seeds: of the order of batches and of dropout, one per member; global generators are left as they were.
        rows: of each member, the first that are real; the rest is padding, whatever it holds. None: all.
        checkpoint: a folder in which the state is kept while training (safetensors and JSON). Where it holds a
            state of this very training, that is taken up, and the weights come out as if never stopped. None: as
            `training.checkpoints` says.

    Returns:
        What each member's training did.

    Raises:
        SchemaError: the loss or its gradient is NaN or infinite, the message names epoch, batch and member; a seed
            or row count is missing; the checkpoint is of another training; an optimiser lacks its package or GPU;
            there is no such accelerator.
    """
    members = size(net)
    counts = [truth.shape[1]] * members if rows is None else list(rows)
    _check(members, seeds, counts, inputs, truth)
    fabric = _fabric(training.accelerator, training.precision)
    result = {name: value.detach().cpu().clone() for name, value in state(net).items()}
    histories = [History((), 0, 0)] * members
    saved: Off | Checkpoint = Off()
    place = checkpoint or (Path(training.checkpoints) if training.checkpoints else None)
    if place is not None:
        what = {"warm": warm, "seeds": list(seeds), "rows": counts}
        saved = Checkpoint(place, training, what, [*inputs, truth], result, histories, own=checkpoint is None)
    epochs = training.warm_epochs if warm else training.epochs
    groups = _groups(net, counts, training, fabric.device)
    for number in range(saved.begin(), len(groups)):
        group = groups[number]
        with alone(seeds[group[0]], training.threads):
            data = [*inputs, truth], group, [counts[m] for m in group], [seeds[m] for m in group]
            loop = Loop(fabric, take(net, group), loss, training, epochs, data)
            saved.resume(loop)
            with bar(training.progress, loop) as shown:
                trained = loop.run([saved.keep, shown])
        for member, history in zip(group, trained, strict=True):
            histories[member] = history
        put(result, group, loop.result)
        saved.finish(number)
    put(state(net.cpu().eval()), range(members), result)
    saved.clear()
    return histories


@contextmanager
def bar(progress: bool, loop: Loop) -> Iterator[Callable[[Loop], None]]:
    """What shows on stderr how far a loop is; nothing without `progress`."""
    if not progress:
        yield lambda loop: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as shown:
        task = shown.add_task("training", total=loop.steps, completed=loop.step)

        def show(loop: Loop) -> None:
            latest = [losses[-1] for losses in loop.losses if losses]
            told = f"training, loss {sum(latest) / len(latest):.4g}" if latest else "training"
            shown.update(task, completed=loop.step, description=told)

        yield show


@cache
def _fabric(accelerator: str, precision: str) -> Any:
    """Made once: it looks for plugins in every installed package, 10 ms each time."""
    from lightning.fabric import Fabric

    try:
        return Fabric(accelerator=accelerator, devices=1, precision=precision)  # type: ignore[arg-type]
    except (ValueError, RuntimeError) as error:
        raise SchemaError(
            f"training.accelerator '{accelerator}' cannot be used ({error}): choose auto or cpu"
        ) from error


def _groups(net: nn.Module, rows: list[int], training: Training, device: torch.device) -> list[list[int]]:
    """Members that are trained together, those of like many rows side by side."""
    members = sorted(range(len(rows)), key=lambda member: -rows[member])
    parameters = sum(p.numel() for p in net.parameters()) // len(rows)
    most = training.together or group_size(len(rows), parameters, training.batch, device.type)
    if not OPTIMISERS[training.optimiser].stacks:
        most = 1
    parts = -(-len(rows) // most)
    return [part.tolist() for part in torch.tensor(members).tensor_split(parts)] if parts > 1 else [members]


def _check(members: int, seeds: Sequence[int], rows: Sequence[int], inputs: Sequence[Tensor], truth: Tensor) -> None:
    for name, given in (("seeds", seeds), ("rows", rows)):
        if len(given) != members:
            raise SchemaError(f"the net has {members} members and {len(given)} {name}: give one for each")
    shapes = {tuple(tensor.shape[:2]) for tensor in (*inputs, truth)}
    if shapes != {(members, truth.shape[1])}:
        raise SchemaError(f"inputs and truth must begin with axes ({members} members, rows), these do: {shapes}")
    if not all(0 < count <= truth.shape[1] for count in rows):
        raise SchemaError(f"rows must be 1 to {truth.shape[1]}, given: {sorted(set(rows))[:5]}")
