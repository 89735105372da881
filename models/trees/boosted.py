"""Boosted: a table of rows to all leads and targets at once, by trees that share one pass of binning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.trees.boosting import Boosters, Trees, grow, scores


@dataclass(frozen=True, eq=False)
class Boosted:
    """What trees have learnt of one table.

    Args:
        boosters: their outputs lie side by side: targets, in each the leads, in each the levels.
        centre, width: (H, C) mean and deviation of what was learnt.
    """

    boosters: Boosters
    centre: np.ndarray
    width: np.ndarray

    @classmethod
    def learnt(
        cls,
        x: np.ndarray,
        truth: np.ndarray,
        trees: Trees,
        each_lead: bool = False,
        levels: Sequence[float] = (),
        held: np.ndarray | None = None,
        threads: int = 1,
        seed: int = 0,
    ) -> Boosted:
        """Trained on rows `x` (R, F) and what came after each, `truth` (R, H, C), NaN where that is not known.

        Args:
            each_lead: one booster per target and lead, else one per target whose leaves hold all leads.
            levels: quantiles to learn by the pinball loss, each lead by itself; else the loss of `trees`.
            held: (R,) bool, rows that are not trained on (see `grow`).
        """
        kept = truth if held is None else truth[~held]
        centre, width = _moments(kept)  # (H, C), (H, C)
        labels = ((truth - centre) / width).astype(np.float32).transpose(0, 2, 1).reshape(len(x), -1)  # (R, C*H)
        size = 1 if each_lead or levels else truth.shape[1]
        groups = [slice(k, k + size) for k in range(0, labels.shape[1], size)]
        return cls(grow(x, labels, groups, trees, threads, seed, levels, held), centre, width)

    def answers(self, x: np.ndarray) -> np.ndarray:
        """(R, H, C, E) for rows `x` (R, F): E is the number of levels learnt, or 1."""
        horizon, targets = self.centre.shape
        raw = scores(self.boosters, x).reshape(len(x), targets, horizon, -1).swapaxes(1, 2)  # (R, H, C, E)
        return raw * self.width[..., None] + self.centre[..., None]


def _moments(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (H, C) of labels (R, H, C), NaN left out; 0 and 1 where nothing varies."""
    known = ~np.isnan(truth)
    count = np.maximum(known.sum(0), 1)  # (H, C)
    centre = np.where(known, truth, 0).sum(0) / count  # (H, C)
    width = np.sqrt(np.where(known, (truth - centre) ** 2, 0).sum(0) / count)  # (H, C)
    return centre, np.where(width > 0, width, 1.0)
