"""One contestant's errors on the common ground: sums by view, and per origin where there is a test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.evaluation.ground import ABSOLUTE, MATCHED, RAW, SQUARED, UNIT, Ground
from forecast.evaluation.question import Answer

SCORES = {"mae": (ABSOLUTE, RAW), "rmse": (SQUARED, RAW), "mase": (ABSOLUTE, MATCHED), "rmsse": (SQUARED, MATCHED)}


@dataclass(frozen=True, eq=False)
class Measured:
    """Losses of a contestant, means over its seeds.

    Args:
        totals: (2, 3, V, C') sums of absolute and squared errors under the three weights, by view.
        per_origin: (2, V', B, C') sums in units of the series' naive error, of the views that are tested.
        seeds: (2, 2, S, C') means of absolute and squared losses over everything, raw and in units, of each seed.
    """

    answer: Answer
    ground: Ground
    totals: np.ndarray
    per_origin: np.ndarray
    seeds: np.ndarray

    def mean(self, kind: int, weight: int) -> np.ndarray:
        """(V, C') mean of the losses; NaN where there is no pair."""
        count = self.ground.counts[weight].sum(axis=1)  # (V, C')
        return np.where(count > 0, self.totals[kind, weight] / np.maximum(count, 1), np.nan)

    def score(self, name: str) -> np.ndarray:
        """(V, C') of `mae`, `rmse`, `mase` or `rmsse`."""
        kind, weight = SCORES[name]
        found = self.mean(kind, weight)
        return found if kind == ABSOLUTE else np.sqrt(found)

    def skill(self, other: Measured, weight: int = UNIT) -> np.ndarray:
        """(2, V, C') of MAE and of RMSE against another contestant; NaN where that one makes no error.

        Args:
            weight: errors add up in units of each series' naive error, or as they are (RAW).
        """
        mine, theirs = self.totals[:, weight], other.totals[:, weight]  # (2, V, C')
        ratio = np.where(theirs > 0, mine / np.where(theirs > 0, theirs, 1.0), np.nan)
        return 1 - np.stack([ratio[ABSOLUTE], np.sqrt(ratio[SQUARED])])

    def losses(self) -> np.ndarray:
        """(2, V', B, C') mean losses per origin, NaN where an origin has no pair."""
        count = self.ground.counts[UNIT][self.ground.tested]  # (V', B, C')
        return np.where(count > 0, self.per_origin / np.maximum(count, 1), np.nan)


def measure(answer: Answer, ground: Ground) -> Measured:
    """Errors of all seeds on the common pairs."""
    clean = np.nan_to_num(ground.weights)  # (2, 3, N, H, C), nothing where undefined
    loss = np.zeros((2, *ground.question.truth.shape))  # (2, B, N, H, C)
    seeds = []
    for points in answer.points:
        one = _losses(points, ground)  # (2, B, N, H, C)
        loss += one / answer.seeds
        raw, unit = one.sum((1, 2, 3)), np.einsum("kbnhc,knhc->kc", one, clean[:, UNIT])  # (2, C)
        seeds.append(np.stack([ground.with_pool(raw, RAW), ground.with_pool(unit, UNIT)], axis=1))  # (2, 2, C')
    count = ground.counts[[RAW, UNIT], 0].sum(axis=1)  # (2, C')
    by_seed = np.stack(seeds, axis=2) / np.where(count > 0, count, np.nan)[:, None]  # (2, 2, S, C')
    sums = _sums(loss, clean, ground)  # (2, 3, V, B, C')
    return Measured(answer, ground, sums.sum(axis=3), sums[:, UNIT, ground.tested], by_seed)


def _losses(points: np.ndarray, ground: Ground) -> np.ndarray:
    """(2, B, N, H, C) absolute and squared errors, nothing off the common pairs."""
    error = np.where(ground.known, np.abs(points - ground.question.truth), 0.0)  # (B, N, H, C)
    return np.stack([error, error**2])


def _sums(loss: np.ndarray, weights: np.ndarray, ground: Ground) -> np.ndarray:
    """(2, 3, V, B, C') weighted sums over series and the leads of each view."""
    per_lead = np.einsum("kbnhc,kwnhc->kwbhc", loss, weights)  # (2, 3, B, H, C)
    return np.stack(
        [
            [ground.with_pool(np.stack([v.sums(one) for v in ground.views]), w) for w, one in enumerate(kind)]
            for kind in per_lead
        ]
    )
