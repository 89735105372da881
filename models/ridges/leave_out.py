"""The errors a ridge equation would make on rows it was not fitted on, in closed form; and the penalty they choose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.ridges.sums import penalised

FEWEST = 5  # blocks, however short the history
ROUNDING = 1e-12  # of the squares: a variance below this is rounding


def left_out(
    x: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    sums: tuple[np.ndarray, np.ndarray, np.ndarray],
    penalties: Sequence[float],
    block: int,
) -> np.ndarray:
    """(P, S, R, O) truth minus the forecast of the equation fitted without the row's block of `block` rows.

    Args:
        x: (S, R, D). y: (S, R, O), NaN where unknown. weight: (S, R) of the rows inside `sums`.
        sums: X'X (S, D, D) and X'y (S, D, O) of those rows, factors (D,) of the penalty. penalties: P of them.

    Nothing is fitted again from rows: for one row by the diagonal of the hat matrix (PRESS, Allen 1974), for a block
    by taking its sums from the whole's. Hourly rows overlap, so a row alone is as good as known from those beside it,
    and blocks longer than the horizon give the honest error.
    """
    gram, cross, factors = sums
    block = max(1, min(block, x.shape[1] // FEWEST))
    matrices = np.stack([penalised(gram, np.full(len(x), p), factors) for p in penalties])  # (P, S, D, D)
    if block == 1:
        base = x @ np.linalg.solve(matrices, cross[None])  # (P, S, R, O)
        solved = np.linalg.solve(matrices, x.swapaxes(1, 2)[None]).swapaxes(2, 3)  # (P, S, R, D)
        hat = (x * solved).sum(-1) * weight  # (P, S, R)
        return (y - base) / np.maximum(1 - hat, 1e-9)[..., None]
    errors = np.empty((len(matrices), *y.shape))
    for start in range(0, x.shape[1], block):
        part = slice(start, start + block)
        weighted = (x[:, part] * weight[:, part, None]).swapaxes(1, 2)  # (S, D, b)
        truth = np.where(weight[:, part, None] > 0, y[:, part], 0)  # (S, b, O)
        less, rest = weighted @ x[:, part], cross - weighted @ truth  # (S, D, D), (S, D, O)
        errors[:, :, part] = y[:, part] - x[:, part] @ np.linalg.solve(matrices - less, rest[None])
    return errors


def chosen(
    x: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    sums: tuple[np.ndarray, np.ndarray, np.ndarray],
    penalties: Sequence[float],
    block: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The penalty (S,) with the least squared errors on rows left out, and those errors (S, R, O).

    Each output's squares are divided by its variance, so that all have a say; one that never varies has none.
    """
    known = ~np.isnan(y) & (weight > 0)[..., None]  # (S, R, O)
    learnt = np.where(known, y, 0)  # (S, R, O)
    size = learnt.var(1) + ROUNDING * (learnt**2).mean(1) + 1e-300  # (S, O)
    errors = left_out(x, y, weight, sums, penalties, block)  # (P, S, R, O)
    squares = np.where(known, errors, 0) ** 2 * weight[..., None]  # (P, S, R, O)
    best = (squares.sum(2) / size).sum(-1).argmin(0)  # (S,)
    return np.array(penalties, float)[best], errors[best, np.arange(len(x))]
