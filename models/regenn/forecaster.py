"""RegennForecaster: ReGENN as a model of the zoo: all targets of all series from one window of all variables."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from forecast.errors import SchemaError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.portrait import Matrix
from forecast.schema import Task
from forecast.windows import Windows, filled, training_rows, training_span, truth_at, windows_at
from models.lightning import History, Training, alone, train
from models.nets.network import quiet
from models.nets.scaling import Scale
from models.regenn.graph import cooccurrence, cosine
from models.regenn.network import PAPER, ReGENN, Switches
from models.regenn.shadow import Shadow
from models.regenn.sight import BY_NAME, Seen, Sight
from models.residuals import Residuals
from models.stack.single import Single

FILE = "regenn.safetensors"
ROWS = 20_000  # series of windows forecast at once: bounds memory
TRAITS = Traits(warms=True, multivariate=True, regional=True, named=True, seeded=True)
SIGHT, SHADOW, TRAINING = Sight(), Shadow(), Training()


class RegennForecaster(Forecaster):
    """ReGENN over a panel; past inputs of the task are variables of the graph beside the targets.

    The point is the network's. Its intervals are errors on the newest training origins by a network that was trained
    on the older ones alone, by lead, in units of the window's scale and of the series' own width. A warm fit goes on
    with the weights, scales and intervals that it has.

    Args:
        switches: what the network is made of. sight: windows, scaling, and units of the loss.
        shadow: where its linear part begins.
        training: how it is trained; a row of a batch is a window of all series.
        newest: share of the training origins that the intervals are learnt from; 0: errors of training itself,
            which are too small, at half the time.
        seed: of initial weights, dropout and the order of windows.

    Raises:
        SchemaError: a share outside [0, 1); output relu of numbers whose zero is moved; from `fit`, when the loss
            becomes NaN or infinite, or the window is longer than the context.

    Source: see `ReGENN`; scaling, start and intervals are ours.

    >>> from datetime import timedelta
    >>> from forecast.schema import Variable
    >>> days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]").astype("datetime64[us]")
    >>> values = np.arange(60.0)[None, :, None] * np.array([3.0, 1.0])
    >>> panel = Panel(values, days, ("a",), ("cases", "deaths"), timedelta(days=1))
    >>> task = Task([Variable("cases"), Variable("deaths")], step="1d", horizon=2)
    >>> model = RegennForecaster(Switches(feedforward=16), shadow=Shadow("drift"), training=Training(epochs=1))
    >>> model.fit(panel, task).predict(panel).point.round()[0].tolist()
    [[180.0, 60.0], [183.0, 61.0]]
    """

    net_: Single  # in double precision, so that a forecast does not depend on what else is asked
    scale_of_: Scale  # (1, N, 1, V)
    residuals_: Residuals
    history_: History

    def __init__(
        self,
        switches: Switches = PAPER,
        sight: Sight = SIGHT,
        shadow: Shadow = SHADOW,
        training: Training = TRAINING,
        newest: float = 0.2,
        seed: int = 0,
    ) -> None:
        if not 0 <= newest < 1:
            raise SchemaError(f"newest is {newest}: it is a share of the training origins, from 0 to below 1")
        if switches.output == "relu" and (sight.difference or sight.scaling in BY_NAME):
            raise SchemaError(
                f"output relu cuts at zero, which sight.difference: {str(sight.difference).lower()} with scaling "
                f"{sight.scaling} moves elsewhere: take difference: false and scaling none, last or movement, or "
                "output identity and Variable.lower"
            )
        self.switches, self.sight, self.shadow = switches, sight, shadow
        self.training, self.newest, self.seed = training, newest, seed
        across = switches.encoder and switches.attend_over == "series"
        self.traits = replace(TRAITS, regional=across, named=sight.scaling in BY_NAME)

    @classmethod
    def _prepare(cls) -> None:
        import lightning.fabric  # noqa: F401

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        rows = training_rows(panel, task)
        if warm:
            self._learn(panel, task, rows, warm=True)
            return
        held = rows[len(rows) - int(len(rows) * self.newest) :]
        older = rows[rows <= held[0] - task.horizon] if len(held) else held
        if len(older):
            self._learn(panel.rows(slice(0, int(held[0]) + 1)), task, older)
            errors = self._errors(panel, task, held)
        self._learn(panel, task, rows)
        if not len(older):
            errors = self._errors(panel, task, rows)
        self.residuals_ = Residuals.of(errors, task)

    def _learn(self, panel: Panel, task: Task, rows: np.ndarray, warm: bool = False) -> None:
        """Scale, graph, start and training from origins `rows`; a warm one keeps all but the last."""
        if not warm:
            self.scale_of_ = self.sight.scale(panel, task, rows)
        seen = self._seen(windows_at(panel, task, rows), task)
        truth = truth_at(panel, task, rows) - seen.base  # (B, N, H, C)
        raw = self.sight.errors == "raw"
        whole = float(np.nanmean(np.abs(truth))) or 1.0  # every raw error is divided by it
        unit = seen.size / whole if raw else np.ones_like(seen.size)  # (B, N, 1, C)
        truth = truth / (whole if raw else np.where(seen.size > 0, seen.size, 1.0))
        net = deepcopy(self.net_).float() if warm else self._begun(panel, task, rows, seen, unit, truth)
        inputs = [_single(seen.values), _single(unit)]
        (self.history_,) = train(net, absolute, inputs, _single(truth), self.training, seeds=[self.seed], warm=warm)
        self.net_ = net.double().eval()

    def _begun(
        self, panel: Panel, task: Task, rows: np.ndarray, seen: Seen, unit: np.ndarray, truth: np.ndarray
    ) -> Single:
        """A network before training: chance, the graph, and the shadow's start."""
        graph = self._graph(panel.values[:, training_span(panel, task, rows)])
        with alone(self.seed, self.training.threads):
            net = Asked(ReGENN(self.sight.rows(task), task.horizon, len(task.names), self.switches), graph, task)
        if self.shadow.start != "xavier":
            targets = seen.values[..., : len(task.targets)]  # (B, N, W, C)
            scaled = truth / np.where(unit > 0, unit, 1.0)  # (B, N, Z, C)
            net.start(self.shadow.weights(targets, scaled, unit**2, self.sight.difference), self.shadow.graph_kept)
        return Single(net)

    def _graph(self, values: np.ndarray) -> Tensor:
        """Co-occurrence (V, V) of training rows (N, T, V), each series and variable relative to its largest."""
        known = ~np.isnan(values)  # (N, T, V)
        clean = np.where(known, values, 0.0)
        largest = np.abs(clean).max(1, keepdims=True)  # (N, 1, V)
        present = known if self.sight.present == "finite" else clean > 0
        relative = torch.from_numpy(clean / np.where(largest > 0, largest, 1.0))
        rows = values.shape[0] * values.shape[1]  # the mean over rows: of any size, as the bias b_a
        return cooccurrence(relative, torch.from_numpy(present)).float() / rows

    def _seen(self, windows: Windows, task: Task) -> Seen:
        values = filled(windows.values, self.means_of(windows.series))  # (B, N, L, V)
        return self.sight.seen(values, self.scale_of_, windows.series, self.series_, task)

    def _answered(self, seen: Seen) -> np.ndarray:
        """Scaled points (B, N, H, C)."""
        step, parts = max(1, ROWS // seen.values.shape[1]), []
        with quiet(self.training.threads), torch.inference_mode():
            for values, size in zip(_parts(seen.values, step), _parts(seen.size, step), strict=True):
                parts.append(self.net_(values, torch.ones_like(size)).squeeze(0))
        return torch.cat(parts).numpy()

    def _errors(self, panel: Panel, task: Task, rows: np.ndarray) -> np.ndarray:
        """Truth minus point (B, N, H, C) at origins `rows` (B,), in units of each window's scale."""
        seen = self._seen(windows_at(panel, task, rows), task)
        truth = (truth_at(panel, task, rows) - seen.base) / np.where(seen.size > 0, seen.size, 1.0)
        return truth - self._answered(seen)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        seen = self._seen(windows, task)
        scaled = self.residuals_.around(self._answered(seen), windows.series, self.series_)  # (B, N, H, C, Q)
        return scaled * seen.size[..., None] + seen.base[..., None]

    def _portrait(self) -> dict[str, Matrix]:
        """How alike the variables are, cosines (V, V): by what occurs together (`graph`), and after evolution."""
        assert self.task_ is not None
        asked, names = self.net_.plain(), self.task_.names
        shown = {"graph": asked.graph, "evolved": asked.net.evolved(asked.graph)}
        cosines = {kind: cosine(rows).clamp(-1, 1).numpy() for kind, rows in shown.items()}
        return {kind: Matrix(values, names, names, "cosine", limit=1.0) for kind, values in cosines.items()}

    def _save(self, folder: Path) -> None:
        arrays = {"centre": self.scale_of_.centre, "spread": self.scale_of_.spread}
        arrays |= {"shape": self.residuals_.shape, "widths": self.residuals_.widths}
        tensors = {f"net.{name}": values for name, values in self.net_.state_dict().items()}
        tensors |= {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}
        save_file({name: values.contiguous() for name, values in tensors.items()}, folder / FILE)

    def _load(self, folder: Path) -> None:
        held, task = load_file(folder / FILE), self.task_
        assert task is not None
        arrays = {name: values.numpy() for name, values in held.items() if not name.startswith("net.")}
        self.scale_of_ = Scale(arrays["centre"], arrays["spread"])
        self.residuals_ = Residuals(arrays["shape"], arrays["widths"])
        with alone(self.seed, self.training.threads):  # its chance is drawn for nothing, and must not be the caller's
            net = ReGENN(self.sight.rows(task), task.horizon, len(task.names), self.switches)
        self.net_ = Single(Asked(net, torch.zeros(len(task.names), len(task.names)), task)).double().eval()
        self.net_.load_state_dict({k.removeprefix("net."): v for k, v in held.items() if k.startswith("net.")})


class Asked(nn.Module):
    """A ReGENN with its graph: the targets' forecasts (B, S, Z, C) in units (B, S, 1, C) of the loss."""

    graph: Tensor

    def __init__(self, net: ReGENN, graph: Tensor, task: Task) -> None:
        super().__init__()
        self.net, self.targets = net, len(task.targets)
        self.register_buffer("graph", graph)

    def forward(self, x: Tensor, unit: Tensor) -> Tensor:
        return self.net(x, self.graph)[..., : self.targets] * unit

    @torch.no_grad()
    def start(self, weights: np.ndarray, graph_kept: bool) -> None:
        """Begin at the linear shadow (W + 1, Z) alone: the last graph layer is silent, the graph as it is if asked."""
        if self.net.w_ar is None:
            return
        self.net.w_ar.copy_(_tensor(weights[:-1]))
        if self.net.b_ar is not None:
            self.net.b_ar.copy_(_tensor(weights[-1:].T))
        self.net.target.w_c.zero_()
        for layer in (self.net.source, self.net.target) if graph_kept else ():
            nn.init.eye_(layer.w_a)


def absolute(output: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error (M,) of (M, B, S, Z, C), gaps of the truth left out."""
    gaps = torch.isnan(truth)
    size = torch.where(gaps, 0.0, output - torch.where(gaps, 0.0, truth)).abs().flatten(1).sum(1)
    return size / (~gaps).flatten(1).sum(1).clamp(min=1)


def _parts(values: np.ndarray, step: int) -> tuple[Tensor, ...]:
    return torch.from_numpy(np.ascontiguousarray(values))[None].split(step, 1)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def _single(array: np.ndarray) -> Tensor:
    return _tensor(array)[None]
