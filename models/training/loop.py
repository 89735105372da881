"""The training loop of one group of members: batches, steps, evaluation, and members that leave when they are done."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from forecast.errors import SchemaError
from models.stack.dropout import Draws, drawing
from models.stack.joining import keep_only, put, state, take
from models.training.batches import Batches, Rows
from models.training.schedules import plateau, share
from models.training.settings import History, Training
from models.training.stepper import Stepper

Loss = Callable[[Tensor, Tensor], Tensor]
CHECK = 16  # steps between two looks at the losses: a look makes a GPU wait


class Loop:
    """One training of members side by side.

    Args:
        fabric: device and precision. net: the members; it is used up. loss: of each member (M,).
        training: settings. epochs: the most there will be.
        tensors: the data (M, B, ...) of all members there are, truth last. group: those trained here.
        rows: of each of the group, the first that are real. seeds: of each of the group.

    After `run`, `result` holds the state of the trained members.
    """

    def __init__(
        self,
        fabric: Any,
        net: nn.Module,
        loss: Loss,
        training: Training,
        epochs: int,
        data: tuple[Sequence[Tensor], Sequence[int], Sequence[int], Sequence[int]],
    ) -> None:
        tensors, group, rows, seeds = data
        self.fabric, self.loss, self.training, self.epochs = fabric, loss, training, epochs
        self.result = {name: value.detach().cpu().clone() for name, value in state(net).items()}
        self.net = net.to(fabric.device)
        self.stepper = Stepper(self.net, training)
        self.data, self.group = Rows(tensors, fabric.device), list(group)
        self.active = list(range(len(group)))  # positions in the group
        self.chosen = torch.tensor(self.group, device=fabric.device)[:, None]  # (A, 1): the active among all members
        kept = [training.trained(count) for count in rows]
        parts = [(first, count) for first, count in zip(kept, rows, strict=True)]
        truth = tensors[-1]  # what holds no truth can judge nothing: such a member trains for all epochs
        judges = [not torch.isnan(truth[m, slice(*part)]).all() for m, part in zip(group, parts, strict=True)]
        self.held = [torch.arange(*part) if can else torch.empty(0) for part, can in zip(parts, judges, strict=True)]
        self.batches = Batches(kept, training.batch, [torch.Generator().manual_seed(seed) for seed in seeds])
        self.draws = Draws([torch.Generator(fabric.device).manual_seed(seed) for seed in seeds])
        self.losses: list[list[float]] = [[] for _ in group]  # of each epoch
        self.totals = [0.0] * len(group)  # of the present epoch, active members
        self.best = {name: value.detach().clone() for name, value in state(self.net).items()}  # active members
        self.histories = [History((), 0, 0)] * len(group)
        self.pending: list[tuple[int, Tensor, Tensor, list[int]]] = []
        self.step = 0

    def run(self, after_step: Sequence[Callable[[Loop], None]] = ()) -> list[History]:
        """Until the last member is done; each of `after_step` is called between steps."""
        self.net.train()
        with drawing(self.net, self.draws):
            while self.active:
                self._step()
                self.step += 1
                for act in after_step:
                    act(self)
        return self.histories

    @property
    def steps(self) -> int:
        """The most steps that there will be."""
        return self.epochs * max(self.batches.per_epoch, default=0)

    def look(self) -> None:
        """Reads the losses of the last steps.

        Raises:
            SchemaError: one is not finite.
        """
        if not self.pending:
            return
        values = torch.stack([value for _, value, _, _ in self.pending]).cpu()  # (S, M)
        norms = torch.stack([norm for _, _, norm, _ in self.pending]).cpu()  # (S, M)
        if not bool(torch.isfinite(values + norms).all()):
            row, member = torch.nonzero(~torch.isfinite(values + norms))[0].tolist()
            self._stop(self.pending[row][0], member, float(values[row, member]), float(norms[row, member]))
        for line, (_, _, _, counts) in zip(values.tolist(), self.pending, strict=True):
            self.totals = [t + value * count for t, value, count in zip(self.totals, line, counts, strict=True)]
        self.pending.clear()

    def _step(self) -> None:
        index, counts = self.batches.at(self.step)
        self.draws.rows = counts
        *inputs, truth = self._rows(self.chosen, index, counts)
        with self.fabric.autocast():
            output = self.net(*inputs)
        values = self.loss(output, truth)  # (A,)
        values.sum().backward()
        norms = self.stepper.step(self._rates())
        self.pending.append((self.step, values.detach(), norms, counts))
        ends = self.batches.ends(self.step)
        if ends or len(self.pending) >= CHECK:
            self.look()
        if ends:
            self._end_epochs(ends)

    def _rows(self, members: Tensor, index: Tensor, counts: list[int]) -> list[Tensor]:
        """Rows (A, B) of members (A, 1); the truth of rows beyond the counts is NaN."""
        device = self.fabric.device
        taken = self.data.take(members, index.to(device))
        if min(counts) < index.shape[1]:
            padding = torch.arange(index.shape[1], device=device) >= torch.tensor(counts, device=device)[:, None]
            taken[-1][padding] = math.nan
        return taken

    def _rates(self) -> list[float]:
        training, highest = self.training, self.training.highest_rate
        if training.schedule == "plateau":
            how = training.plateau, training.factor, training.threshold
            return [highest * plateau(self.losses[member], *how) for member in self.active]
        lengths = {batches: self.epochs * batches for batches in set(self.batches.per_epoch)}
        shares = {batches: share(training.schedule, self.step, steps) for batches, steps in lengths.items()}
        return [highest * shares[batches] for batches in self.batches.per_epoch]

    def _end_epochs(self, ends: list[int]) -> None:
        for position in ends:
            self.losses[self.active[position]].append(self.totals[position] / self.batches.rows[position])
            self.totals[position] = 0.0
        judged = [position for position in ends if len(self.held[self.active[position]])]
        if judged:
            self._judge(judged)
        done = [position for position in ends if self._done(self.losses[self.active[position]], position in judged)]
        if done:
            self._release(done)

    def _judge(self, positions: list[int]) -> None:
        """Losses on the held-out rows take the place of those in training; the best weights are copied."""
        better = []
        for position, loss in zip(positions, self._evaluate(positions), strict=True):
            losses = self.losses[self.active[position]]
            losses[-1] = loss
            if loss < min(losses[:-1], default=math.inf):
                better.append(position)
        if better:
            for name, value in state(self.net).items():
                self.best[name][better] = value.detach()[better]

    @torch.no_grad()
    def _evaluate(self, positions: list[int]) -> list[float]:
        whole = len(positions) == len(self.active)
        net = (self.net if whole else take(self.net, positions)).eval()
        members = [self.active[position] for position in positions]
        counts = [len(self.held[member]) for member in members]
        index = torch.nn.utils.rnn.pad_sequence([self.held[member] for member in members], batch_first=True)
        *inputs, truth = self._rows(self.chosen[positions], index, counts)
        with self.fabric.autocast():
            output = net(*inputs)
        values = self.loss(output, truth).tolist()
        self.net.train()
        for member, value, count in zip(members, values, counts, strict=True):
            if not math.isfinite(value):
                raise SchemaError(
                    f"the loss of the {count} held-out rows{self._who(member)} is {value}: check the inputs for NaN"
                )
        return values

    def _done(self, losses: list[float], judged: bool) -> bool:
        stale = len(losses) - 1 - losses.index(min(losses)) if judged else 0
        return len(losses) >= self.epochs or stale >= self.training.patience

    def _release(self, positions: list[int]) -> None:
        """Members that are done leave the net for `result`, with their best weights where rows were held out."""
        members = [self.active[position] for position in positions]
        values = {name: value.detach()[positions] for name, value in state(self.net).items()}
        for at, (position, member) in enumerate(zip(positions, members, strict=True)):
            losses, judged = self.losses[member], len(self.held[member]) > 0
            if judged:
                put(values, [at], {name: value[[position]] for name, value in self.best.items()})
            kept = losses.index(min(losses)) if judged else len(losses) - 1
            self.histories[member] = History(tuple(losses), self.step + 1, kept)
        put(self.result, members, values)
        self.keep_only([position for position in range(len(self.active)) if position not in positions])

    def keep_only(self, positions: list[int]) -> None:
        """The other members leave the loop."""
        self.active = [self.active[position] for position in positions]
        if not positions:
            return
        self.chosen = self.chosen[positions]
        keep_only(self.net, positions)
        self.stepper.keep_only(positions)
        self.batches.keep_only(positions)
        self.draws.generators = [self.draws.generators[position] for position in positions]
        self.totals = [self.totals[position] for position in positions]
        self.best = {name: value[positions] for name, value in self.best.items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Where the loop is: tensors by name, and the rest for JSON."""
        self.look()
        moments, plain = self.stepper.state()
        named = {"net": state(self.net), "group": self.result, "best": self.best, "moments": moments}
        tensors = {f"{kind}.{name}": value for kind, values in named.items() for name, value in values.items()}
        tensors["chance"] = torch.get_rng_state()
        tensors["orders"] = self.batches.orders
        for position in range(len(self.active)):
            tensors[f"batches.{position}"] = self.batches.generators[position].get_state()
            tensors[f"draws.{position}"] = self.draws.generators[position].get_state()
        progress = {"step": self.step, "active": self.active, "losses": self.losses, "totals": self.totals}
        return tensors, progress | {"moments": plain, "histories": [asdict(history) for history in self.histories]}

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
        """Goes on from a `state` of a loop that was made like this one."""
        self.keep_only(plain["active"])
        self.step, self.losses, self.totals = plain["step"], plain["losses"], plain["totals"]
        self.histories = [History(tuple(h["losses"]), h["steps"], h["kept"]) for h in plain["histories"]]
        for kind, values in (("net", state(self.net)), ("group", self.result), ("best", self.best)):
            for name, value in values.items():
                value.data.copy_(tensors[f"{kind}.{name}"])
        torch.set_rng_state(tensors["chance"])
        moments = {k.removeprefix("moments."): v for k, v in tensors.items() if k.startswith("moments.")}
        self.stepper.restore(moments, plain["moments"])
        self.batches.orders = tensors["orders"]
        for position in range(len(self.active)):
            self.batches.generators[position].set_state(tensors[f"batches.{position}"])
            self.draws.generators[position].set_state(tensors[f"draws.{position}"])

    def _stop(self, step: int, position: int, value: float, norm: float) -> None:
        batches = self.batches.per_epoch[position]
        raise SchemaError(
            f"training stopped in epoch {step // batches + 1}, batch {step % batches + 1} of {batches}"
            f"{self._who(self.active[position])}: the loss is {value}, its gradient's norm {norm}. "
            f"Check the inputs for NaN, or lower training.rate (now {self.training.highest_rate})"
        )

    def _who(self, member: int) -> str:
        total = max(len(self.group), max(self.group) + 1)
        return f" of member {self.group[member] + 1} of {total}" if total > 1 else ""
