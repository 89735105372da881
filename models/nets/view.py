"""View: how a network sees windows of a panel, scaled and in its scope, and what its outputs say about the series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, calendar, filled, training_span, truth_at, windows_at
from models.nets.framing import Framing
from models.nets.imputing import Imputer
from models.nets.scaling import Scale, nearest_known
from models.nets.scopes import SCOPES
from models.trees.tabular import most_alike

LIMIT = 8.0  # scaled inputs are clipped here: one wild value cannot carry a linear path away
CHUNK = 2_000_000  # window values held at once in double precision while examples are cut


@dataclass(frozen=True, eq=False)
class View:
    """What a network learnt of the data before training: scales, means, neighbours. U series ("units") of W variables.

    Args:
        framing: how it sees the question.
        inputs: scale (1, U, 1, W). outputs: scale (1, U, H, C). outlook: scale (1, N, 1, F).
        imputer: of scaled inputs (D,), in `joint` framings; else of none.
        neighbours: (U, M) the units whose newest values are inputs.
        source: (S,) for each of a row's outputs the one that is forecast in its place: itself, unless training knew no
            truth of it. S = H * C for `global`, else U * H * C.
    """

    framing: Framing
    inputs: Scale
    outputs: Scale
    outlook: Scale
    imputer: Imputer
    neighbours: np.ndarray
    source: np.ndarray

    @classmethod
    def of(cls, panel: Panel, task: Task, rows: np.ndarray, framing: Framing) -> View:
        """From the training origins `rows` (B,) of a panel, and nothing else."""
        span, count = training_span(panel, task, rows), len(task.targets)
        history = framing.units(panel.values[None, :, span], count)  # (1, U, T, W)
        inputs = Scale.of(history, (0, 2), framing.scaling)
        scaled = np.clip(inputs.apply(history), -LIMIT, LIMIT)[0]  # (U, T, W)
        joint = scaled.swapaxes(0, 1).reshape(scaled.shape[1], -1) if framing.joint else np.empty((0, 0))  # (T, D)
        outputs, known = cls._outputs(panel, task, rows, framing)
        if framing.scope == "global":
            known = np.any(known, 0, keepdims=True)  # (1, H, C) one net for all: what one series teaches, all know
        outlook = (
            np.empty((1, panel.shape[0], 1, 0)) if panel.outlook is None else panel.outlook[:, rows].swapaxes(0, 1)
        )
        return cls(
            framing,
            inputs,
            outputs,
            Scale.of(outlook, (0, 2), framing.scaling),
            Imputer.of(joint),
            most_alike(scaled, framing.neighbours),
            nearest_known(known),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything learnt, by name."""
        scales = {"inputs": self.inputs, "outputs": self.outputs, "outlook": self.outlook, "imputer": self.imputer}
        found = {f"{name}.{part}": array for name, scale in scales.items() for part, array in vars(scale).items()}
        return found | {"neighbours": self.neighbours, "source": self.source}

    @classmethod
    def from_arrays(cls, framing: Framing, held: dict[str, np.ndarray]) -> View:
        inputs, outputs, outlook = (
            Scale(held[f"{name}.centre"], held[f"{name}.spread"]) for name in ("inputs", "outputs", "outlook")
        )
        imputer = Imputer(held["imputer.means"], held["imputer.covariance"])
        return cls(framing, inputs, outputs, outlook, imputer, held["neighbours"], held["source"])

    @staticmethod
    def _outputs(panel: Panel, task: Task, rows: np.ndarray, framing: Framing) -> tuple[Scale, np.ndarray]:
        """Scale (1, U, H, C) of the truth, from evenly spaced origins where there are many, and what is known of it."""
        some = rows[:: max(1, len(rows) * panel.shape[0] * task.horizon * len(task.targets) // (4 * CHUNK))]
        windows = windows_at(panel, task, some)
        truth = truth_at(panel, task, some)
        if framing.target == "difference":
            truth = truth - filled(windows.values, np.full(panel.shape[2], np.nan))[:, :, -1:, : len(task.targets)]
        truth = framing.units(truth, len(task.targets))  # (B, U, H, C)
        known = ~np.isnan(truth).all(0)  # (U, H, C)
        return Scale.of(truth, (0,), framing.scaling).picked(nearest_known(known)), known

    def examples(self, panel: Panel, task: Task, rows: np.ndarray, means: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Windows (M, R, L, D), extras (M, R, E) and scaled truth (M, R, O) of origins `rows` (B,).

        Cut some origins at a time: only the result is held whole, in single precision.

        Args:
            means: (N, V) of the series, for gaps.
        """
        scope, count = SCOPES[self.framing.scope], len(task.targets)
        step = max(1, CHUNK // (panel.shape[0] * (task.context * panel.shape[2] + task.horizon * count)))
        parts = []
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step]
            seen = self.seen(windows_at(panel, task, chosen), task, panel.series, means)
            truth = self.framing.units(truth_at(panel, task, chosen), count) - seen.base  # (B, U, H, C)
            parts.append((seen.windows, seen.extras, _single(scope.flat(self.outputs.apply(truth)))))
        windows, extras, truths = zip(*parts, strict=True)
        return torch.cat(windows, 1), torch.cat(extras, 1), torch.cat(truths, 1)

    def seen(self, windows: Windows, task: Task, known: Sequence[str], means: np.ndarray) -> Seen:
        """What a network sees of windows.

        Args:
            known: the N series fitted on. means: (N, V) of the windows' series, for gaps.
        """
        framing, count = self.framing, len(task.targets)
        values = windows.values  # (B, N, L, V)
        if np.isnan(values).any():  # a joint framing imputes later what is silent through the whole window
            values = filled(values, np.full(means.shape, np.nan) if framing.joint else means)
        values = framing.units(values, count)  # (B, U, L, W)
        place = placed(windows.series, known)
        scales, shift = (self.inputs, self.outputs, self.outlook), np.zeros((1, 1, 1, values.shape[3]))
        if place is not None:
            units = place if framing.channels == "mixed" else spread_out(place, count)
            scales = self.inputs.at(units), self.outputs.at(units), self.outlook.at(place)
            shift = _shift(values, scales[0], units < 0)  # (B, U, 1, W)
        scaled = self._imputed(np.clip(scales[0].apply(values - shift), -LIMIT, LIMIT))  # (B, U, L, W)
        base = values[:, :, -1:] if framing.target == "difference" else shift + np.zeros_like(values[:, :, -1:])
        extras = self._extras(windows, scaled, scales[2], count)  # (M, R, E)
        tensors = _single(SCOPES[framing.scope].windows(scaled)), _single(extras)
        answered = self.outputs.centre.shape[3]
        return Seen(*tensors, base[..., :answered], scales[1], values[:, :, -1:, :answered])

    def _imputed(self, scaled: np.ndarray) -> np.ndarray:
        """(B, U, L, W) without NaN."""
        if not np.isnan(scaled).any():
            return scaled
        batch, units, rows, columns = scaled.shape
        flat = scaled.swapaxes(1, 2).reshape(batch, rows, units * columns)  # (B, L, D)
        return self.imputer.filled(flat).reshape(batch, rows, units, columns).swapaxes(1, 2)

    def _extras(self, windows: Windows, scaled: np.ndarray, outlook: Scale, targets: int) -> np.ndarray:
        """(M, R, E): calendar, the neighbours' newest values, outlook."""
        framing, scope, units = self.framing, SCOPES[self.framing.scope], scaled.shape[1]
        parts = [scope.shared(self._calendar(windows.origins), units)]
        if self.neighbours.size:
            parts.append(scope.flat(scaled[:, self.neighbours, -1]))
        if windows.outlook is not None:
            ahead = np.nan_to_num(np.clip(outlook.apply(windows.outlook), -LIMIT, LIMIT))  # (B, N, K, F)
            parts.append(scope.flat(ahead if framing.scope == "regional" else framing.per_unit(ahead, targets)))
        return np.concatenate(parts, -1)

    def _calendar(self, origins: np.ndarray) -> np.ndarray:
        """(B, 2 * harmonics + 2), or (B, 0) without."""
        return calendar(origins, self.framing.harmonics) if self.framing.harmonics else np.empty((len(origins), 0))

    def answered(self, raw: np.ndarray, seen: Seen, targets: int) -> np.ndarray:
        """Outputs (M, R, O, Q) as quantiles (B, N, H, C, Q) in the units of the targets."""
        units, horizon, columns = seen.outputs.centre.shape[1:]
        scaled = SCOPES[self.framing.scope].restored(raw, units)  # (B, U, O / U, Q)
        flat = scaled.reshape(len(scaled), -1, len(self.source), scaled.shape[-1])[:, :, self.source]  # (B, ., S, Q)
        values = seen.outputs.invert(flat.reshape(len(flat), units, horizon, columns, -1)) + seen.base[..., None]
        return self.framing.series(values, targets)


@dataclass(frozen=True, eq=False)
class Seen:
    """Windows as a network sees them.

    Args:
        windows: (M, R, L, D). extras: (M, R, E).
        base: (B, U, 1, C) what outputs are added to: the last known value, or zero. outputs: their scale.
        last: (B, U, 1, C) the last known value.
    """

    windows: Tensor
    extras: Tensor
    base: np.ndarray
    outputs: Scale
    last: np.ndarray


def ahead_of(outlook: np.ndarray | None) -> int:
    """K * F numbers of an outlook (..., K, F)."""
    return 0 if outlook is None else outlook.shape[-2] * outlook.shape[-1]


def placed(series: Sequence[str], known: Sequence[str]) -> np.ndarray | None:
    """(N,) the place of each of `series` among the `known`, -1 for a strange one; None if they are the same."""
    if tuple(series) == tuple(known):
        return None
    place = {name: i for i, name in enumerate(known)}
    return np.array([place.get(s, -1) for s in series])


def spread_out(place: np.ndarray, targets: int) -> np.ndarray:
    """Places of series (N,) as places of their targets (N * C,)."""
    each = place[:, None] * targets + np.arange(targets)  # (N, C)
    return np.where(place[:, None] < 0, -1, each).reshape(-1)


def _shift(values: np.ndarray, scale: Scale, strange: np.ndarray) -> np.ndarray:
    """(B, U, 1, W) how far strange series are moved to where the known ones live.

    A window whose mean lies within their range stays; beyond two spreads it is centred, and in between in part.
    """
    away = values.mean(2, keepdims=True) - scale.centre  # (B, U, 1, W)
    left = np.clip(2 * scale.spread - np.abs(away), 0, np.minimum(np.abs(away), scale.spread))
    return np.where(strange[None, :, None, None], away - np.sign(away) * left, 0.0)


def _single(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))
