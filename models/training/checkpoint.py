"""Checkpoints of a training: safetensors and JSON, replaced whole, so that a killed training can be taken up."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from forecast.errors import CorruptModelError, SchemaError
from models.training.loop import Loop
from models.training.settings import History, Training

STATE = "training.json"


class Off:
    """Keeps nothing."""

    def begin(self) -> int:
        return 0

    def resume(self, loop: Loop) -> None:
        pass

    def keep(self, loop: Loop) -> None:
        pass

    def finish(self, group: int) -> None:
        pass

    def clear(self) -> None:
        pass


class Checkpoint:
    """The state of a training in a folder, every `training.checkpoint_steps` steps.

    Args:
        folder: made where it is missing. own: take a folder in it, named by all that makes this training what it is.
        training: settings. what: whatever else makes this training what it is.
        data: tensors of inputs, truth and initial weights: a checkpoint of others is refused.
        result: state of all members, and their histories: what `train` has got so far; filled from the checkpoint.

    Raises:
        SchemaError: from `begin`, when the folder holds the state of another training.
        CorruptModelError: likewise, when it cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        training: Training,
        what: dict[str, Any],
        data: Sequence[Tensor],
        result: dict[str, Tensor],
        histories: list[History],
        own: bool = False,
    ) -> None:
        self.every = training.checkpoint_steps
        self.result, self.histories = result, histories
        sums = [checksum(tensor) for tensor in (*data, *result.values())]
        self.about = json.loads(json.dumps(asdict(training) | what | {"data": sums}))
        name = hashlib.sha256(json.dumps(self.about, sort_keys=True).encode()).hexdigest()[:16]
        self.folder, self.own = folder / name if own else folder, own
        self.group = 0
        self.loop_state: Any = None

    def begin(self) -> int:
        """Takes up what the folder holds; the number of the group of members to go on with."""
        if not (self.folder / STATE).exists():
            return 0
        try:
            held = json.loads((self.folder / STATE).read_text())
            tensors = load_file(self.folder / held["tensors"])
            about, group, loop = held["about"], held["group"], held["loop"]
            histories = [History(tuple(h["losses"]), h["steps"], h["kept"]) for h in held["histories"]]
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise CorruptModelError(f"the checkpoint in {self.folder} cannot be read: {error}. Delete it") from error
        other = [name for name, value in self.about.items() if about.get(name) != value]
        if other:
            raise SchemaError(
                f"the checkpoint in {self.folder} is of another training, with other {', '.join(other)}: "
                "delete the folder, or name another"
            )
        for name, value in part(tensors, "result").items():
            self.result[name].copy_(value)
        self.histories[:] = histories
        self.group, self.loop_state = group, (part(tensors, "loop"), loop)
        return self.group

    def resume(self, loop: Loop) -> None:
        """Brings the loop to where it was, if it was under way."""
        if self.loop_state and self.loop_state[1]:
            loop.restore(*self.loop_state)
        self.loop_state = None

    def keep(self, loop: Loop) -> None:
        """Called after each step."""
        if loop.step % self.every == 0 and loop.active:
            self._write(*loop.state())

    def finish(self, group: int) -> None:
        """The members of `group` are in `result`."""
        self.group = group + 1
        self._write({}, {})

    def clear(self) -> None:
        """The training is over: nothing to take up."""
        (self.folder / STATE).unlink(missing_ok=True)
        for path in self.folder.glob("training-*.safetensors"):
            path.unlink()
        if self.own and self.folder.exists():
            self.folder.rmdir()

    def _write(self, loop: dict[str, Tensor], plain: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"training-{self.group}-{plain.get('step', 'begin')}.safetensors"
        tensors = {f"result.{k}": v for k, v in self.result.items()} | {f"loop.{k}": v for k, v in loop.items()}
        save_file({k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}, self.folder / name)
        held = {"about": self.about, "tensors": name, "group": self.group, "loop": plain}
        held["histories"] = [asdict(history) for history in self.histories]
        beside = self.folder / (STATE + ".new")
        beside.write_text(json.dumps(held))
        os.replace(beside, self.folder / STATE)
        for path in self.folder.glob("training-*.safetensors"):
            if path.name != name:
                path.unlink()


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those under `prefix.`, without it."""
    return {k.removeprefix(f"{prefix}."): v for k, v in tensors.items() if k.startswith(f"{prefix}.")}


def checksum(tensor: Tensor) -> int:
    """Of the bytes; of a tensor that is one for all members, of one of them."""
    one = tensor[:1] if tensor.stride(0) == 0 else tensor
    return zlib.crc32(one.detach().cpu().contiguous().view(torch.uint8).numpy().data)
