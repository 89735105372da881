"""Contestants against a reference: skill, its interval, the test, and what several tests together may say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
        low, high: (A, 2, C') 95 % interval of the skill over everything; NaN with fewer than 8 origins.
        p: (A, 2, V', C') Diebold-Mariano, of the tested views. holm: adjusted for the A contestants.
    """

    reference: str
    labels: tuple[str, ...]
    skill: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    holm: np.ndarray

    def verdict(self, place: int, kind: int, column: int) -> str:
        """In words, over everything.

        The test may speak against a contestant as well; a skill above zero is only called one where it does speak for
        it, after the correction for the number of contestants.
        """
        skill, p, adjusted = (x[place, kind, 0, column] for x in (self.skill, self.p, self.holm))
        if np.isnan(skill):
            return "-"
        if skill <= 0:
            return f"does not beat {self.reference}{', is worse' if adjusted < LEVEL else ''}"
        if np.isnan(p):
            return f"ahead of {self.reference}, too few origins for a test"
        if adjusted < LEVEL:
            return f"beats {self.reference}"
        return f"ahead of {self.reference}, may be chance" + (f" among {len(self.labels)}" if p < LEVEL else "")


def against(reference: Measured, others: Sequence[Measured], block: int) -> Versus:
    """Compare `others` with the reference.

    Args:
        block: origins per block of the tests; see `block_of_tests` and `block_of_draws`.
    """
    ground = reference.ground
    lead, drawn = ground.question.overlap, block_of_draws(ground, block)
    theirs = reference.losses()  # (2, V', B, C')
    p = np.stack([_p_values(one.losses(), theirs, lead, block_of_tests(ground, block)) for one in others])
    mine = np.stack([one.per_origin[:, 0] for one in others])  # (A, 2, B, C')
    same = np.broadcast_to(reference.per_origin[:, 0], mine.shape)
    low, high = skill_interval(np.moveaxis(mine, 2, 0), np.moveaxis(same, 2, 0), drawn)  # (A, 2, C')
    if len(ground.question.origins) < FEWEST:
        low, high = np.full(low.shape, np.nan), np.full(high.shape, np.nan)
    low[:, SQUARED], high[:, SQUARED] = _root(low[:, SQUARED]), _root(high[:, SQUARED])
    skill = np.stack([one.skill(reference) for one in others])
    labels = tuple(one.answer.label for one in others)
    return Versus(reference.answer.label, labels, skill, low, high, p, holm(p))


def block_of_tests(ground: Ground, block: int) -> int:
    """Origins per block of a test: what is asked for, at least a horizon."""
    return max(block, ground.question.overlap)


def block_of_draws(ground: Ground, block: int) -> int:
    """Origins per block of a bootstrap: that of the tests, at least the cube root of the number of origins."""
    return max(block_of_tests(ground, block), round(len(ground.question.origins) ** (1 / 3)))


def confidence(measured: Sequence[Measured], block: int) -> np.ndarray:
    """(A, 2, C') p-values of the model confidence set over everything; see `model_confidence_set`."""
    ground = measured[0].ground
    losses = np.stack([one.losses()[:, 0] for one in measured])  # (A, 2, B, C')
    found = np.full((len(measured), 2, losses.shape[3]), np.nan)
    for kind in (ABSOLUTE, SQUARED):
        for column in range(losses.shape[3]):
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


def _p_values(mine: np.ndarray, theirs: np.ndarray, lead: int, block: int) -> np.ndarray:
    """(2, V', C') of losses (2, V', B, C')."""
    a, b = (np.moveaxis(x, 2, 0) for x in (mine, theirs))  # (B, 2, V', C')
    return diebold_mariano(a, b, lead, block)


def _root(skill: np.ndarray) -> np.ndarray:
    """The skill in RMSE that a skill in MSE is."""
    return 1 - np.sqrt(1 - skill)
