"""Split conformal: which of n past errors bounds the next one, exactly, however few they are.

If n errors and the next are exchangeable, the next is at most the k-th smallest with probability at least k / (n + 1).
So level q takes rank ceil((n + 1) q) above the median and, mirrored, n + 1 - ceil((n + 1) (1 - q)) below it. The
empirical quantile, which interpolates between ranks near n q, covers too little, the more so the fewer errors.

Source: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005), section 2.2; Lei et al., JASA 113
(2018), section 2.2; for the two tails apart, Romano, Patterson and Candes, NeurIPS 32 (2019), theorem 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from forecast.errors import SchemaError


def ranks(counts: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Ranks (*S, Q), from 1, of the sorted errors that bound the next one at each level.

    Rank 0 and n + 1 say that `counts` (*S) errors are too few for that level: none of them is surely far enough out.
    The median, of which no guarantee is asked, takes the upper one of two.

    Raises:
        SchemaError: a level outside (0, 1).

    >>> ranks(np.array([99, 9, 5]), (0.1, 0.5, 0.9))
    array([[10, 50, 90],
           [ 1,  5,  9],
           [ 0,  3,  6]])
    """
    counts = np.asarray(counts)[..., None] + 1  # (*S, 1)
    exact = [_exact(level) for level in levels]
    over = np.array([q.denominator for q in exact])  # (Q,)
    up = np.array([q.numerator for q in exact])  # (Q,)
    above = -(-counts * up // over)  # (*S, Q): ceil
    below = counts * up // over  # (*S, Q): floor, which is n + 1 - ceil((n + 1) (1 - q))
    return np.where(2 * up < over, below, above)


def needed(level: float) -> int:
    """How many errors a level needs, or its bound is the widest error seen and covers less than it says.

    >>> needed(0.9), needed(0.05)
    (9, 19)
    """
    outer = max(_exact(level), 1 - _exact(level))
    return math.ceil(outer / (1 - outer))


def quantiles(errors: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Bounds (*S, Q) for the next error of each stream, from the errors (n, *S); NaN is left out.

    Where a stream has fewer errors than `needed`, the level takes the widest of them on its side: n errors vouch for no
    level beyond n / (n + 1), and an infinite bound would be no forecast. A stream without errors has NaN.

    >>> quantiles(np.arange(1.0, 10.0), (0.1, 0.5, 0.9))  # nine errors, 1 to 9
    array([1., 5., 9.])
    """
    rows = np.sort(np.moveaxis(np.asarray(errors, float), 0, -1), axis=-1)  # (*S, n), NaN last
    if not rows.shape[-1]:
        return np.full((*rows.shape[:-1], len(levels)), np.nan)
    return at_ranks(rows, ranks((~np.isnan(rows)).sum(-1), levels))


def at_ranks(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of sorted rows (*S, n), NaN last, those at ranks (*S, Q) from 1; ranks that do not exist take the nearest."""
    counts = (~np.isnan(rows)).sum(-1)[..., None]  # (*S, 1)
    return np.take_along_axis(rows, np.clip(wanted, 1, np.maximum(counts, 1)) - 1, axis=-1)


def with_all_leads(bounds: np.ndarray) -> np.ndarray:
    """Bounds (..., H, C, Q) whose leads without errors (NaN) have those of the widest lead that has some.

    The history ended before such a lead: it is no surer than those that were seen. NaN remains where no lead has any.
    """
    none = np.isnan(bounds).any(-1)  # (..., H, C)
    reach = np.maximum(bounds[..., -1], 0) - np.minimum(bounds[..., 0], 0)  # (..., H, C), the point at 0 included
    widest = np.where(none, -1.0, reach).argmax(-2)  # (..., C)
    lent = np.take_along_axis(bounds, widest[..., None, :, None], axis=-3)  # (..., 1, C, Q)
    return np.where(none[..., None], lent, bounds)


def _exact(level: float) -> Fraction:
    """0.7 means 7/10, not its binary neighbour."""
    if not 0 < level < 1:
        raise SchemaError(f"level {level} must lie inside (0, 1)")
    return Fraction(str(float(level)))
