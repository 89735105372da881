"""Network: the common forecaster of MLP, LSTM, Transformer and DLinear. A network's own file holds only its network.

For nowcasts refitted every hour: the linear path starts at the closed-form ridge solution, so training only has to
learn what a straight line cannot say, and a second of CPU is enough.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from forecast.errors import SchemaError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.spec import to_spec
from forecast.together import Fit
from forecast.windows import Windows, training_rows
from models import stack
from models.lightning import History, Loss, Training, alone, train
from models.nets.framing import Framing
from models.nets.heads import BLOCK, Net, Pinball, Point, Shape
from models.nets.view import Seen, View, ahead_of

WEIGHTS = "weights.safetensors"
ROWS = 200_000  # window rows (rows x L) that a net forecasts at once: bounds memory of long contexts
TRAITS = Traits(warms=True, exogenous=True, missing=True, multivariate=True, regional=True, named=True, seeded=True)


class Network(Forecaster):
    """Quantiles of every series from windows: scaling, linear path, quantile head, training; the net is a subclass's.

    Inputs: the window's scaled values, sines and cosines of hour and day of year, the task's `future` variables
    (the outlook), newest values of neighbours. Outputs at each series, lead and target: the median, and the other
    levels by sums of softplus away from it, so that they cannot cross. Loss: pinball in scaled units, gaps of the
    truth left out.

    A series silent for a whole window is imputed from the others where those are inputs (models/nets/imputing.py); a
    lead of which training knew no truth is forecast like the nearest one that it did.

    Subclasses call `_see` in their constructor, and write `_body`.

    Raises:
        SchemaError: from `fit`, when the loss becomes NaN or infinite.
    """

    traits = TRAITS

    framing: Framing
    training: Training
    seed: int
    net_: Net | Point
    view_: View
    histories_: list[History]  # one of each member

    @abstractmethod
    def _body(self, shape: Shape) -> nn.Module:
        """Module from windows (M, B, L, D) and extras (M, B, E) to (M, B, shape.raw), built of `models.stack` layers.

        Its last layer is named `out`.
        """

    def _see(self, framing: Framing, training: Training, seed: int) -> None:
        """Store what all networks have; the traits follow from the framing."""
        self.framing, self.training, self.seed = framing, training, seed
        self.traits = replace(TRAITS, regional=framing.bound, multivariate=framing.channels == "mixed")

    @classmethod
    def _prepare(cls) -> None:
        import lightning.fabric  # noqa: F401

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        self._fit_together([Fit(self, panel, task, warm)])

    def _alike(self, panel: Panel, task: Task) -> Hashable | None:
        shape, members = self._shape(panel, task), self.framing.members(panel.shape[0], task)
        parameters = sum(p.numel() for p in self._skeleton(shape).parameters())
        step = min(self.training.batch, len(training_rows(panel, task)))
        if not stack.together_pays(2 * members, parameters, step):
            return None
        words = {key: value for key, value in to_spec(self).items() if key != "seed"}
        return json.dumps(words, sort_keys=True), shape

    @classmethod
    def _fit_together(cls, fits: Sequence[Fit]) -> None:
        """Networks of one shape in one pass, cold and warm ones apart. Each ends as it would alone."""
        asked = [replace(fit, warm=fit.model._goes_on(fit)) for fit in fits]  # type: ignore[attr-defined]
        for warm in (False, True):
            begun = [fit.model._begun(fit) for fit in asked if fit.warm == warm]  # type: ignore[attr-defined]
            if begun:
                _trained(begun, warm)

    def _goes_on(self, fit: Fit) -> bool:
        """Whether a start is warm: with an outlook of another length the net would not fit, and begins anew."""
        return fit.warm and self.net_.shape == self._shape(fit.panel, fit.task)

    def _shape(self, panel: Panel, task: Task) -> Shape:
        return self.framing.shape(len(panel.series), task, ahead_of(panel.outlook))

    def _begun(self, fit: Fit) -> Begun:
        """A fit up to its training: what it sees, its examples, and the net as it starts.

        Nothing after the first held-out origin is trained on or scaled by: older rows do not know their truths there.
        """
        panel, task, framing = fit.panel, fit.task, self.framing
        rows = training_rows(panel, task)
        each = framing.count(len(panel.series), len(task.targets)) if framing.scope == "global" else 1
        kept = self.training.trained(len(rows) * each)
        rows, held = np.split(rows, [max(1, kept // each)])
        past, count = panel.rows(slice(0, int(held[0]) + 1)) if len(held) else panel, len(rows) * each
        view = self.view_ if fit.warm else View.of(past, task, rows, framing)
        windows, extras, truth = view.examples(past, task, rows, self.means_)
        if fit.warm:
            net = deepcopy(self.net_)  # a training that fails or is stopped leaves the present net alone
        else:
            net = self._net(self._shape(panel, task), len(truth))
            net.start(windows, extras, truth)
        if len(held):
            later = view.examples(panel, task, held, self.means_)
            windows, extras, truth = (torch.cat(pair, 1) for pair in zip((windows, extras, truth), later, strict=True))
            truth[:, count:kept] = torch.nan  # an origin of which some series are held out: none is trained on
        return Begun(self, view, net, (windows, extras), truth)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        seen = self._seen(windows, task)
        with quiet(self.training.threads):
            raw = answers(self.net_, seen.windows, seen.extras)
        return self._answered(raw.double().numpy(), seen, windows.series, task)

    def _answered(self, raw: np.ndarray, seen: Seen, series: Sequence[str], task: Task) -> np.ndarray:
        """Outputs (M, R, O, Q) of the net as quantiles (B, N, H, C, Q) of `series`."""
        return self.view_.answered(raw, seen, len(task.targets))

    def _seen(self, windows: Windows, task: Task) -> Seen:
        seen, wanted = (
            self.view_.seen(windows, task, self.series_, self.means_of(windows.series)),
            self.net_.shape.extras,
        )
        if seen.extras.shape[-1] != wanted:
            raise SchemaError(
                f"{type(self).__name__} was fitted with {wanted} inputs beside the window, this panel gives "
                f"{seen.extras.shape[-1]}: give an outlook of as many steps as in training"
            )
        return seen

    def _save(self, folder: Path) -> None:
        tensors = {f"net.{name}": value for name, value in self.net_.state_dict().items()}
        tensors |= {f"view.{name}": torch.from_numpy(array) for name, array in self.view_.arrays().items()}
        tensors["extras"] = torch.tensor(self.net_.shape.extras)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS)

    def _load(self, folder: Path) -> None:
        held = load_file(folder / WEIGHTS)
        own = {key.removeprefix("net."): value for key, value in held.items() if key.startswith("net.")}
        arrays = {key.removeprefix("view."): v.numpy() for key, v in held.items() if key.startswith("view.")}
        self.view_ = View.from_arrays(self.framing, arrays)
        assert self.task_ is not None
        shape = replace(self.framing.shape(len(self.series_), self.task_, 0), extras=int(held["extras"]))
        self.net_ = self._net(shape, len(next(iter(own.values())))).eval()
        self.net_.load_state_dict(own)

    def _net(self, shape: Shape, members: int) -> Net | Point:
        """A net of `members` that are equal at first: each is what it would be alone."""
        with alone(self.seed, self.training.threads):
            net = self._single(shape)
        return stack.stacked([net] * members) if members > 1 else net  # type: ignore[return-value]

    def _single(self, shape: Shape) -> Net | Point:
        return Net(self._body(shape), shape, self.framing.linear)

    def _loss(self, shape: Shape) -> Loss:
        return Pinball(shape.levels)

    def _learn_rest(self, begun: Begun) -> None:
        """What is learnt of the trained net's errors; nothing where it gives quantiles itself."""

    def _skeleton(self, shape: Shape) -> Net | Point:
        """A net without numbers, to count them."""
        with torch.device("meta"):
            return self._single(shape)


@dataclass(frozen=True, eq=False)
class Begun:
    """A fit up to its training: the model, what it sees, its net (M members) as it starts, inputs and truth."""

    model: Network
    view: View
    net: Net | Point
    inputs: tuple[Tensor, Tensor]  # (M, R, L, D), (M, R, E)
    truth: Tensor  # (M, R, O)


def _trained(begun: Sequence[Begun], warm: bool) -> None:
    """Train the nets side by side, and give each model its own."""
    first, longest = begun[0], max(one.truth.shape[1] for one in begun)
    counts = [stack.size(one.net) for one in begun]
    net = stack.stacked([one.net for one in begun]) if len(begun) > 1 else first.net
    histories = train(
        net,
        first.model._loss(first.net.shape),
        [_side_by_side([one.inputs[k] for one in begun], longest) for k in range(2)],
        _side_by_side([one.truth for one in begun], longest),
        first.model.training,
        seeds=[one.model.seed for one, count in zip(begun, counts, strict=True) for _ in range(count)],
        warm=warm,
        rows=[one.truth.shape[1] for one, count in zip(begun, counts, strict=True) for _ in range(count)],
    )
    end = 0
    for one, count in zip(begun, counts, strict=True):
        start, end = end, end + count
        one.model.view_, one.model.histories_ = one.view, histories[start:end]
        one.model.net_ = net if len(begun) == 1 else _given(one.net, net, start, end)  # type: ignore[assignment]
        one.model._learn_rest(one)


@torch.no_grad()
def _given(own: nn.Module, net: nn.Module, start: int, end: int) -> nn.Module:
    """`own` with the weights of the members from `start` to `end` of a stack."""
    theirs = dict(net.named_parameters())
    for name, value in own.named_parameters():
        value.copy_(theirs[name][start:end])
    return own.eval()


def _side_by_side(tensors: Sequence[Tensor], rows: int) -> Tensor:
    """(M_i, R_i, ...) as (sum of M_i, rows, ...), zeros behind the shorter."""
    if len(tensors) == 1:
        return tensors[0]
    return torch.cat([torch.cat([t, t.new_zeros(len(t), rows - t.shape[1], *t.shape[2:])], 1) for t in tensors])


@contextmanager
def quiet(threads: int) -> Iterator[None]:
    """As `alone` for a forecast, which draws no chance: seeding torch costs as much as a small net's forecast."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def answers(net: nn.Module, windows: Tensor, extras: Tensor) -> Tensor:
    """Outputs (M, R, O, Q) of a net for windows (M, R, L, D) and extras (M, R, E), some rows at a time.

    A single row takes another matrix kernel than many, which rounds otherwise: short batches are padded. So a
    forecast does not depend on what else is asked in the same call, to the last bit where tried (x86-64).
    """
    rows = windows.shape[1]
    step = max(BLOCK, ROWS // windows.shape[2])
    parts = []
    with torch.inference_mode():
        for start in range(0, rows, step):
            index = torch.arange(start, min(start + step, rows))
            if len(index) < BLOCK:
                index = index[torch.arange(BLOCK) % len(index)]
            whole = len(index) == rows
            inputs = (windows, extras) if whole else (windows[:, index], extras[:, index])
            parts.append(net(*inputs)[:, : min(step, rows - start)])
    return (parts[0] if len(parts) == 1 else torch.cat(parts, 1)).transpose(2, 3)
