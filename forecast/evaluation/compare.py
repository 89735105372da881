"""Contestants against a reference: skill, its interval, the test, and what several tests together may say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecast.evaluation.blocks import block_means
from forecast.evaluation.bootstrap import skill_interval
from forecast.evaluation.confidence import model_confidence_set
from forecast.evaluation.ground import ABSOLUTE, SQUARED, UNIT, Ground
from forecast.evaluation.holm import holm
from forecast.evaluation.measure import Measured
from forecast.evaluation.paired import FEWEST, diebold_mariano

LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Versus:
    """A contestants against one reference; kinds are absolute and squared errors.

    Args:
        reference: its label. labels: of the A others.
        skill: (A, 2, V, C') in MAE and RMSE, for every view.
        low, high: (A, 2, C') 95 % interval of the skill over everything; NaN with fewer than 8 blocks of origins.
        p: (A, 2, V', C') Diebold-Mariano, of the tested views. holm: adjusted for the A contestants.
        lower: (A, 2, V', C') whether the losses that are tested are the lower ones. Origins with few truths weigh as
            much as others there, unlike in the skill: rarely the two point in opposite directions.
    """

    reference: str
    labels: tuple[str, ...]
    skill: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    holm: np.ndarray
    lower: np.ndarray

    def verdict(self, place: int, kind: int, column: int) -> str:
        """In words, over everything.

        The test may speak against a contestant as well; a skill above zero is only called one where it does speak for
        it, after the correction for the number of contestants.
        """
        skill, p, adjusted = (x[place, kind, 0, column] for x in (self.skill, self.p, self.holm))
        lower = self.lower[place, kind, 0, column]
        if np.isnan(skill):
            return "-"
        if skill <= 0:
            return f"does not beat {self.reference}{', is worse' if adjusted < LEVEL and not lower else ''}"
        if np.isnan(p):
            return f"ahead of {self.reference}, too few origins for a test"
        if adjusted < LEVEL and lower:
            return f"beats {self.reference}"
        if not lower:
            return f"ahead of {self.reference}, but not in the mean over origins that is tested"
        return f"ahead of {self.reference}, may be chance" + (f" among {len(self.labels)}" if p < LEVEL else "")


def against(reference: Measured, others: Sequence[Measured], block: int) -> Versus:
    """Compare `others` with the reference.

    Args:
        block: origins per block of the tests; see `block_of_tests` and `block_of_draws`.
    """
    ground = reference.ground
    lead, blocks = ground.question.overlap, block_of_tests(ground, block)
    theirs = np.moveaxis(reference.losses(), 2, 0)  # (B, 2, V', C')
    losses = [np.moveaxis(one.losses(), 2, 0) for one in others]  # A of (B, 2, V', C')
    p = np.stack([diebold_mariano(mine, theirs, lead, blocks) for mine in losses])
    lower = np.stack([_mean(block_means(mine - theirs, blocks)) < 0 for mine in losses])
    mine = np.stack([one.per_origin[:, 0] for one in others])  # (A, 2, B, C')
    same = np.broadcast_to(reference.per_origin[:, 0], mine.shape)
    low, high = skill_interval(np.moveaxis(mine, 2, 0), np.moveaxis(same, 2, 0), block_of_draws(ground, block))
    few = _blocks(theirs[:, :, 0], blocks) < FEWEST  # (2, C')
    low, high = (np.where(few, np.nan, end) for end in (low, high))  # (A, 2, C')
    low[:, SQUARED], high[:, SQUARED] = _root(low[:, SQUARED]), _root(high[:, SQUARED])
    skill = np.stack([one.skill(reference) for one in others])
    labels = tuple(one.answer.label for one in others)
    return Versus(reference.answer.label, labels, skill, low, high, p, holm(p), lower)


def block_of_tests(ground: Ground, block: int) -> int:
    """Origins per block of a test: what is asked for, at least a horizon."""
    return max(block, ground.question.overlap)


def block_of_draws(ground: Ground, block: int) -> int:
    """Origins per block of a bootstrap: that of the tests, at least the cube root of the number of origins."""
    return max(block_of_tests(ground, block), round(len(ground.question.origins) ** (1 / 3)))


def confidence(measured: Sequence[Measured], block: int) -> np.ndarray:
    """(A, 2, C') p-values of the model confidence set over everything; NaN with fewer than 8 blocks of origins."""
    ground = measured[0].ground
    losses = np.stack([one.losses()[:, 0] for one in measured])  # (A, 2, B, C')
    found = np.full((len(measured), 2, losses.shape[3]), np.nan)
    enough = _blocks(np.moveaxis(losses[0], 1, 0), block_of_tests(ground, block)) >= FEWEST  # (2, C')
    for kind, column in np.argwhere(enough):
        here = losses[:, kind, :, column].T  # (B, A)
        found[:, kind, column] = model_confidence_set(here, block_of_draws(ground, block))
    return found


def left_out(ground: Ground) -> list[tuple[str, str]]:
    """Series and variables that have pairs but no unit to be pooled in: their history never changes."""
    known = ground.known.any(axis=(0, 2))  # (N, C)
    nowhere = np.isnan(ground.weights[ABSOLUTE, UNIT]).all(axis=1)  # (N, C)
    return [
        (ground.question.history.series[n], ground.question.names[c]) for n, c in np.argwhere(known & nowhere).tolist()
    ]


def _blocks(losses: np.ndarray, block: int) -> np.ndarray:
    """Blocks of origins in which (B, ...) has any value: (...,)."""
    return np.asarray((~np.isnan(block_means(losses, block))).sum(axis=0))


def _mean(values: np.ndarray) -> np.ndarray:
    """(K, ...) over the first axis, NaN left out; NaN where there is nothing."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan))


def _root(skill: np.ndarray) -> np.ndarray:
    """The skill in RMSE that a skill in MSE is."""
    return 1 - np.sqrt(1 - skill)
