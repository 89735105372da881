"""LSTM: a recurrent net over the newest rows of all series, beside a linear path; one net for all leads and targets.

For nowcasts refitted every hour: the linear path starts at the closed-form ridge solution, so training only has to
learn what a straight line cannot say, and a second of CPU is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import softplus

from forecast.errors import UnknownNameError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, calendar, filled, training_rows, truth_at, windows_at
from models.lightning import Training, alone, train

WEIGHTS = "weights.safetensors"
TARGETS = ("difference", "level")
SCALINGS = ("minmax", "standard")
HARMONICS = 3  # of the day: what a linear path needs to follow it
CALENDAR = 2 * HARMONICS + 2  # columns of `calendar`
LIMIT = 8.0  # scaled inputs are clipped here: one wild value cannot carry the linear path away
PENALTY = 0.05  # of the ridge start, in units of the scaled inputs' variance
BLOCK = 16  # forecasts run on at least so many rows, and outputs come in multiples of it (see `_predict`)
SMALL = Training()


class LSTM(Forecaster):
    """Quantiles of every series from the windows of all of them.

    Input: the window's scaled values of all series and variables, their differences to the newest row, sines and
    cosines of hour (three harmonics) and day of year. Output at each series, lead and target: median = linear
    path + LSTM, the other levels = median -+ sums of softplus, so that they cannot cross. Loss: pinball in scaled
    units, gaps of the truth left out. The linear path (a skip connection from the flattened window) starts at the
    ridge solution and is trained on with the rest; the LSTM's output starts at zero and the intervals at the ridge
    residuals'.

    Args:
        hidden: width of the LSTM. layers: stacked LSTMs. dropout: before the head and between layers.
        target: `difference` to the last known value, or `level`.
        scaling: `minmax` (to [-1, 1]) or `standard` (mean 0, deviation 1; for data with lone extremes), fitted on
            the rows trained on: inputs by series and variable, truth by series, lead and target. A warm start keeps it.
        training: how the net is trained. The default fits 3,360 rows x 3 series in about one CPU second.
        seed: of the initial weights, the order of batches and dropout.

    Raises:
        UnknownNameError: another target or scaling.
        SchemaError: from `fit`, when the loss becomes NaN or infinite.

    Source: Hochreiter and Schmidhuber, "Long short-term memory" (1997); the set-up follows Törnquist et al.,
    arXiv 2309.15207, whose library trains `LSTM(layers=2, dropout=0.1, training=Training(epochs=10, batch=64,
    rate=1e-4, weight_decay=1e-4, split="holdout"))` with Adam, without a linear path and with an MLP head.

    >>> from datetime import timedelta
    >>> from forecast.schema import Variable
    >>> hours = np.arange("2024-01-01", "2024-01-15", dtype="datetime64[h]").astype("datetime64[us]")
    >>> wave = np.sin(2 * np.pi * np.arange(len(hours)) / 24)
    >>> panel = Panel(wave[None, :, None], hours, ("a",), ("level",), timedelta(hours=1))
    >>> forecast = LSTM(hidden=8).fit(panel, Task([Variable("level")], horizon=2)).predict(panel)
    >>> abs(float(forecast.point[0, 0, 0])) < 0.05  # the next value is sin(2 pi 336 / 24) = 0
    True
    """

    traits = Traits(warms=True, multivariate=True, regional=True, seeded=True)

    net_: Net

    def __init__(
        self,
        hidden: int = 32,
        layers: int = 1,
        dropout: float = 0.2,
        target: str = "difference",
        scaling: str = "minmax",
        training: Training = SMALL,
        seed: int = 0,
    ) -> None:
        for kind, given, known in (("target", target, TARGETS), ("scaling", scaling, SCALINGS)):
            if given not in known:
                raise UnknownNameError(kind, given, known)
        self.hidden, self.layers, self.dropout = hidden, layers, dropout
        self.target, self.scaling, self.training, self.seed = target, scaling, training, seed

    @classmethod
    def _prepare(cls) -> None:
        import lightning.fabric  # noqa: F401

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        rows = training_rows(panel, task)
        windows = windows_at(panel, task, rows)
        values = filled(windows.values, self.means_)  # (B, N, L, V)
        truth = truth_at(panel, task, rows) - self._base(values, task)  # (B, N, H, C)
        kept = self.training.trained(len(rows))
        if warm:
            net = deepcopy(self.net_)  # a training that fails or is stopped leaves the present net alone
        else:
            self.inputs_ = Scale.of(values[:kept], (0, 2), self.scaling)  # (1, N, 1, V)
            self.outputs_ = Scale.of(truth[:kept], (0,), self.scaling)  # (1, N, H, C)
        inputs = self._inputs(values, windows.origins)  # (B, L, D)
        scaled = torch.from_numpy(self.outputs_.apply(truth).reshape(len(rows), -1).astype(np.float32))  # (B, O)
        if not warm:
            with alone(self.seed, self.training.threads):
                net = self._net(task)
                net.start(inputs[:kept], scaled[:kept])
        loss = Pinball(task.levels)
        self.history_ = train(net, loss, [inputs], scaled, self.training, seed=self.seed, warm=warm)
        self.net_ = net

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        """A single row takes another matrix kernel than many, which rounds otherwise: short batches are padded.

        So a forecast does not depend on what else is asked in the same call, to the last bit where tried (x86-64).
        """
        inputs = self._inputs(windows.values, windows.origins)  # (B, L, D)
        rows = len(inputs)
        if rows < BLOCK:
            inputs = inputs[torch.arange(BLOCK) % rows]  # (16, L, D)
        with alone(self.seed, self.training.threads), torch.inference_mode():
            scaled = self.net_(inputs)[:rows].double().numpy()  # (B, O, Q)
        shape = (rows, len(windows.series), task.horizon, len(task.targets), -1)
        values = self.outputs_.invert(np.moveaxis(scaled.reshape(shape), -1, 0))  # (Q, B, N, H, C)
        return np.moveaxis(values + self._base(windows.values, task), 0, -1)  # (B, N, H, C, Q)

    def _save(self, folder: Path) -> None:
        tensors = {f"net.{name}": value for name, value in self.net_.state_dict().items()}
        for name, scale in (("inputs", self.inputs_), ("outputs", self.outputs_)):
            tensors |= {f"{name}.{part}": torch.from_numpy(array) for part, array in vars(scale).items()}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS)

    def _load(self, folder: Path) -> None:
        assert self.task_ is not None
        held = load_file(folder / WEIGHTS)
        self.inputs_ = Scale(held["inputs.centre"].numpy(), held["inputs.spread"].numpy())
        self.outputs_ = Scale(held["outputs.centre"].numpy(), held["outputs.spread"].numpy())
        with alone(self.seed, self.training.threads):
            self.net_ = self._net(self.task_).eval()
        self.net_.load_state_dict({k.removeprefix("net."): v for k, v in held.items() if k.startswith("net.")})

    def _net(self, task: Task) -> Net:
        width = len(self.series_) * len(task.variables)
        outputs = len(self.series_) * task.horizon * len(task.targets)
        return Net((task.context, width), outputs, task.levels, self.hidden, self.layers, self.dropout)

    def _base(self, values: np.ndarray, task: Task) -> np.ndarray:
        """What the net's output is added to: the newest value of windows (B, N, L, V), as (B, N, 1, C), or zero."""
        newest = values[:, :, -1:, : len(task.targets)]  # (B, N, 1, C)
        return newest if self.target == "difference" else np.zeros_like(newest)

    def _inputs(self, values: np.ndarray, origins: np.ndarray) -> Tensor:
        """Windows (B, N, L, V) without gaps as (B, L, N*V + 8): scaled, clipped, the origin's calendar at each row."""
        scaled = np.clip(self.inputs_.apply(values), -LIMIT, LIMIT).swapaxes(1, 2)  # (B, L, N, V)
        flat = scaled.reshape(*scaled.shape[:2], -1)  # (B, L, N*V)
        when = np.broadcast_to(calendar(origins, HARMONICS)[:, None], (*flat.shape[:2], CALENDAR))  # (B, L, 8)
        return torch.from_numpy(np.concatenate([flat, when], -1).astype(np.float32))  # (B, L, D)


@dataclass(frozen=True, eq=False)
class Scale:
    """Affine scaling. What never changed in training has spread 0: it is only centred, and unscaled to its centre."""

    centre: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, axes: tuple[int, ...], kind: str) -> Scale:
        """Fitted over `axes`, gaps left out."""
        known = ~np.isnan(values)
        if kind == "standard":
            count = np.maximum(known.sum(axes, keepdims=True), 1)
            centre = np.where(known, values, 0.0).sum(axes, keepdims=True) / count
            spread = np.sqrt((np.where(known, values - centre, 0.0) ** 2).sum(axes, keepdims=True) / count)
        else:
            some = known.any(axes, keepdims=True)
            low = np.where(some, np.where(known, values, np.inf).min(axes, keepdims=True), 0.0)
            high = np.where(some, np.where(known, values, -np.inf).max(axes, keepdims=True), 0.0)
            centre, spread = low / 2 + high / 2, high / 2 - low / 2
        return cls(centre, np.where(spread > 1e-12 * np.abs(centre), spread, 0.0))

    def apply(self, values: np.ndarray) -> np.ndarray:
        return (values - self.centre) / np.where(self.spread > 0, self.spread, 1.0)

    def invert(self, values: np.ndarray) -> np.ndarray:
        return values * self.spread + self.centre


class Net(nn.Module):
    """Linear path and LSTM from windows (B, L, D) to quantiles (B, O, Q) that do not cross.

    Args:
        window: rows L and columns of a window, the calendar's eight not counted.
        outputs: O numbers to forecast. levels: Q quantile levels with 0.5 among them.
        hidden, layers, dropout: of the LSTM.
    """

    def __init__(
        self,
        window: tuple[int, int],
        outputs: int,
        levels: Sequence[float],
        hidden: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        rows, columns = window
        self.levels, self.outputs, self.median = tuple(levels), outputs, levels.index(0.5)
        self.linear = nn.Linear(rows * columns + CALENDAR, _padded(outputs))
        self.lstm = nn.LSTM(
            2 * columns + CALENDAR, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, _padded(outputs * len(levels)))
        for part in (self.linear, self.head):
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)

    def forward(self, x: Tensor) -> Tensor:
        values = x[..., :-CALENDAR]  # (B, L, N*V)
        hidden = self.lstm(torch.cat([x, values - values[:, -1:]], -1))[0][:, -1]  # (B, hidden)
        raw = self.head(self.dropout(hidden))[:, : self.outputs * len(self.levels)]  # (B, O*Q)
        raw = raw.unflatten(-1, (self.outputs, -1))  # (B, O, Q)
        middle = self.linear(flattened(x))[:, : self.outputs, None] + raw[..., self.median, None]  # (B, O, 1)
        below = softplus(raw[..., : self.median]).flip(-1).cumsum(-1).flip(-1)  # (B, O, below)
        above = softplus(raw[..., self.median + 1 :]).cumsum(-1)  # (B, O, above)
        return torch.cat([middle - below, middle, middle + above], -1)  # (B, O, Q)

    @torch.no_grad()
    def start(self, x: Tensor, truth: Tensor) -> None:
        """Ridge from windows (B, L, D) to `truth` (B, O), its gaps taken as zero, and intervals of its residuals."""
        inputs = flattened(x).double().numpy()  # (B, F)
        outputs = np.nan_to_num(truth.double().numpy())  # (B, O)
        weights, bias = ridge(inputs, outputs, PENALTY)  # (F, O), (O,)
        self.linear.weight[: self.outputs] = torch.from_numpy(weights.T)
        self.linear.bias[: self.outputs] = torch.from_numpy(bias)
        spread = np.quantile(outputs - inputs @ weights - bias, self.levels, axis=0)  # (Q, O)
        gaps = np.log(np.expm1(np.maximum(np.diff(spread, axis=0), 1e-3)))  # (Q - 1, O): softplus undone
        gaps = np.insert(gaps, self.median, 0.0, axis=0)  # (Q, O)
        self.head.bias[: gaps.size] = torch.from_numpy(gaps.T.reshape(-1))


class Pinball:
    """Mean pinball loss of quantiles (B, O, Q) against truth (B, O), its gaps left out.

    >>> float(Pinball((0.1, 0.5))(torch.tensor([[[0.0, 0.0]], [[9.0, 9.0]]]), torch.tensor([[1.0], [torch.nan]])))
    0.30000001192092896
    """

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels = tuple(levels)

    def __call__(self, quantiles: Tensor, truth: Tensor) -> Tensor:
        levels = quantiles.new_tensor(self.levels)  # (Q,)
        known = ~torch.isnan(truth)  # (B, O)
        error = torch.where(known, truth, 0.0)[..., None] - quantiles  # (B, O, Q)
        losses = torch.maximum(levels * error, (levels - 1) * error).mean(-1)  # (B, O)
        return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)


def flattened(x: Tensor) -> Tensor:
    """(B, L, D) as (B, F): every value of the window, and the calendar once."""
    return torch.cat([x[..., :-CALENDAR].flatten(1), x[:, -1, -CALENDAR:]], 1)


def ridge(inputs: np.ndarray, outputs: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights (F, O) and bias (O,) that minimise mean squared error + `penalty` * |weights|^2.

    Solved in the smaller of its two forms: F x F, or B x B when there are more inputs than rows.
    """
    centre, bias = inputs.mean(0), outputs.mean(0)  # (F,), (O,)
    x, y = inputs - centre, outputs - bias  # (B, F), (B, O)
    rows, columns = x.shape
    if columns <= rows:
        weights = np.linalg.solve(x.T @ x + penalty * rows * np.eye(columns), x.T @ y)  # (F, O)
    else:
        weights = x.T @ np.linalg.solve(x @ x.T + penalty * rows * np.eye(rows), y)  # (F, O)
    return weights, bias - centre @ weights


def _padded(outputs: int) -> int:
    return -(-outputs // BLOCK) * BLOCK
