"""Sums that a ridge equation is solved from: each new row is added to them, and none is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

ALMOST_NONE = 1e-8  # of a row: what the column of ones is penalised by, so that no rows at all can be solved too
DULL = 1e-10  # a column whose variance is below this part of its square is constant: it gets no weight


@dataclass(eq=False)
class Sums:
    """X'X and X'y of S equations with O outputs, in G groups of outputs that have the same rows.

    Args:
        gram: (S, G, D, D). cross: (S, O, D). The first column of X is 1, so gram[..., 0, 0] counts the rows.
        groups: (O,) the group of each output. leads: (O,) the lead, from 0, of each output.
        factors: (D,) what each column's penalty is multiplied by.
    """

    gram: np.ndarray
    cross: np.ndarray
    groups: np.ndarray
    leads: np.ndarray
    factors: np.ndarray

    @classmethod
    def none(cls, equations: int, groups: np.ndarray, leads: np.ndarray, factors: np.ndarray) -> Sums:
        width = len(factors)
        gram = np.zeros((equations, int(groups.max()) + 1, width, width))
        return cls(gram, np.zeros((equations, len(groups), width)), groups, leads, factors)

    def outputs(self, group: int) -> np.ndarray:
        """Places of the group's outputs."""
        return np.flatnonzero(self.groups == group)

    def rows_of(self, x: np.ndarray, group: int) -> np.ndarray:
        """(S, R, D) the group's inputs, from x (S, R, 1 or H, D)."""
        return x[:, :, self.leads[self.outputs(group)[0]] if x.shape[2] > 1 else 0]

    def plus(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, fade: float = 1.0) -> Sums:
        """These sums times `fade`, and rows x (S, R, 1 or H, D), y (S, R, O) with weights (S, R, G) added.

        Where a weight is 0, y may be NaN.
        """
        gram, cross = self.gram * fade, self.cross * fade
        for g in range(gram.shape[1]):
            chosen, w = self.outputs(g), weight[..., g, None]  # (S, R, 1)
            rows = self.rows_of(x, g)  # (S, R, D)
            weighted = rows * w
            gram[:, g] += weighted.swapaxes(1, 2) @ rows
            cross[:, chosen] += np.where(w > 0, y[..., chosen], 0).swapaxes(1, 2) @ weighted
        return replace(self, gram=gram, cross=cross)

    def solve(self, penalty: np.ndarray) -> np.ndarray:
        """(S, O, D) the equations, for penalties (S, G) relative to the variance of each column."""
        out = np.empty_like(self.cross)
        for g in range(self.gram.shape[1]):
            chosen = self.outputs(g)
            matrix = penalised(self.gram[:, g], penalty[:, g], self.factors)
            out[:, chosen] = np.linalg.solve(matrix, self.cross[:, chosen].swapaxes(1, 2)).swapaxes(1, 2)
        return out

    def solve_with(self, penalty: np.ndarray, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """`solve`, with P further rows x (S, P, D), y (S, P, O), each output having those of its own weight (S, P, O).

        For the newest rows, whose truths are known at the short leads only, and sums of one group. One factorisation
        still serves all outputs (Sherman-Morrison-Woodbury; Golub and Van Loan 2013, 2.1.4), but where the rows are
        more than the columns, as those of many pooled series, each output is cheaper solved by itself.
        """
        many = self.cross.shape[1]
        matrix = penalised(self.gram[:, 0], penalty[:, 0], self.factors)
        if x.shape[1] > x.shape[2]:
            each = [_solved(matrix, self.cross[:, o], x, y[..., o], weight[..., o]) for o in range(many)]
            return np.stack(each, 1)
        both = np.concatenate([self.cross.swapaxes(1, 2), x.swapaxes(1, 2)], -1)  # (S, D, O + P)
        solved = np.linalg.solve(matrix, both)
        base, reach = solved[..., :many], solved[..., many:]  # (S, D, O), (S, D, P)
        lack = np.where(weight > 0, y - x @ base, 0).swapaxes(1, 2)  # (S, O, P)
        root = np.sqrt(weight).swapaxes(1, 2)  # (S, O, P)
        inner = (x @ reach)[:, None] * root[..., None] * root[..., None, :]  # (S, O, P, P)
        inner[..., range(x.shape[1]), range(x.shape[1])] += 1
        gain = np.linalg.solve(inner, (lack * root)[..., None])[..., 0] * root  # (S, O, P)
        return base.swapaxes(1, 2) + gain @ reach.swapaxes(1, 2)


def _solved(matrix: np.ndarray, cross: np.ndarray, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(S, D) the equation of X'X (S, D, D), X'y (S, D) and rows x (S, P, D), y and weight (S, P)."""
    weighted = (x * weight[..., None]).swapaxes(1, 2)  # (S, D, P)
    truth = np.where(weight > 0, y, 0)[..., None]  # (S, P, 1)
    return np.linalg.solve(matrix + weighted @ x, cross[..., None] + weighted @ truth)[..., 0]


def penalised(gram: np.ndarray, penalty: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """(S, D, D) X'X plus each column's sum of squares about its mean, times the penalty (S,) and its factor (D,).

    So the penalty has no unit, and no scaling of the columns is needed. The column of ones has next to none; a column
    that does not vary is made to have no weight.
    """
    square = gram.diagonal(0, -2, -1)  # (S, D)
    spread = square - gram[:, 0] ** 2 / np.maximum(gram[:, :1, 0], 1e-300)  # (S, D)
    dull = spread <= DULL * square
    ridge = np.where(dull, square + 1, penalty[:, None] * factors * spread)  # (S, D)
    ridge[:, 0] = ALMOST_NONE
    matrix = gram.copy()
    matrix[:, range(ridge.shape[1]), range(ridge.shape[1])] += ridge
    return matrix
