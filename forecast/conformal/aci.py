"""Adaptive conformal inference: the level that is asked of the newest errors moves until the coverage is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecast.conformal.adaptive import Adaptive, State
from forecast.conformal.split import at_ranks

ROUNDING = 1e-9


@dataclass(frozen=True)
class ACI(Adaptive):
    """Quantiles of the newest errors of each stream, at a level that rises after a miss and falls after a hit.

    p <- p + rate * (q - [error <= bound]). With several rates each has its own p, and what is asked is their mean,
    weighted by how well each did of late: DtACI. A level beyond what the window can vouch for takes its widest error.

    Args:
        rates: steps of the level; one is ACI, several are DtACI.
        window: newest errors that are kept of each stream, and ranked; S * window numbers of memory.
        interval: DtACI's length of a stretch over which the errors are alike, in errors.

    Source: Gibbs and Candes, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 34 (2021), equation 2;
    with several rates, "Conformal Inference for Online Prediction with Arbitrary Distribution Shifts", JMLR 25 (2024),
    algorithm 1, its weighted mean, and sigma and eta of its section 3.2.
    """

    rates: Sequence[float] = (0.01,)
    window: int = 200
    interval: int = 500

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", tuple(self.rates))

    def _begin(self, offsets: np.ndarray, errors: np.ndarray, levels: np.ndarray) -> State:
        newest = np.moveaxis(errors, 0, -1)  # (S, E, T)
        order = np.argsort(~np.isnan(newest), axis=-1, kind="stable")  # what is known last, still oldest first
        newest = np.take_along_axis(newest, order, axis=-1)[..., -self.window :]
        room = np.full((*newest.shape[:2], self.window - newest.shape[2]), np.nan)
        window = np.concatenate([room, newest], axis=-1)  # (S, E, W), oldest first
        shape = (*offsets.shape, len(self.rates))
        level = np.broadcast_to(levels[:, None], shape).copy()  # (S, Q, K)
        return {"first": np.array(offsets, float), "window": window, "level": level, "weight": np.ones(shape)}

    def _step(self, state: State, error: np.ndarray, levels: np.ndarray) -> State:
        place = _place(state["window"], error, levels)  # (S, Q)
        miss = levels[:, None] - (place[..., None] <= state["level"])  # (S, Q, K)
        weight = self._weighed(state, place, levels)
        level = np.clip(state["level"] + np.array(self.rates) * miss, 0.0, 1.0)
        window = np.concatenate([state["window"][..., 1:], error[..., None]], axis=-1)
        asked = (weight * level).sum(-1) / weight.sum(-1)  # (S, Q)
        found = _at_levels(window, asked, levels)
        offsets = np.where(levels == 0.5, state["first"], found)
        return {"offsets": offsets, "first": state["first"], "window": window, "level": level, "weight": weight}

    def _weighed(self, state: State, place: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """(S, Q, K) weights after the pinball loss of each rate's level, shared out a little so that none dies."""
        count = len(self.rates)
        if count == 1:
            return state["weight"]
        tail = 1 - np.maximum(levels, 1 - levels)  # (Q,)
        spread = (1 - tail) ** 2 * tail**3 + tail**2 * (1 - tail) ** 3  # (Q,)
        eta = np.sqrt(3 / self.interval * (math.log(count * self.interval) + 2) / spread)  # (Q,)
        gap = place[..., None] - state["level"]  # (S, Q, K)
        loss = np.maximum(levels[:, None] * gap, (levels[:, None] - 1) * gap)
        weight = state["weight"] * np.exp(-eta[:, None] * loss)
        total = weight.sum(-1, keepdims=True)
        sigma = 1 / (2 * self.interval)
        return (1 - sigma) * weight / total + sigma / count


def _place(window: np.ndarray, error: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(S, Q) the lowest level of the window (S, E, W) whose bound the error (S, E) is not above.

    An error beyond the whole window is beyond every level: out of [0, 1].
    """
    count = (~np.isnan(window)).sum(-1)  # (S, E)
    below = (window < error[..., None]).sum(-1)  # (S, E): NaN is not below
    upto = (window <= error[..., None]).sum(-1)  # (S, E)
    inside = np.where(levels < 0.5, (upto + 1) / (count + 1), (below + ROUNDING) / (count + 1))  # (S, Q)
    inside = np.where((below == count) & (levels > 0.5), 1.0 + ROUNDING, inside)
    return np.where((upto == 0) & (levels < 0.5), -ROUNDING, inside)


def _at_levels(window: np.ndarray, asked: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(S, Q) errors of the window (S, E, W) at the exact ranks of levels `asked` (S, Q)."""
    rows = np.sort(window, axis=-1)  # (S, E, W), NaN last
    places = ((~np.isnan(rows)).sum(-1) + 1) * asked  # (S, Q)
    wanted = np.where(levels < 0.5, np.floor(places + ROUNDING), np.ceil(places - ROUNDING)).astype(np.int64)
    if rows.shape[1] == 1:
        return at_ranks(rows[:, 0], wanted)
    return at_ranks(rows, wanted[..., None])[..., 0]
