"""The newest errors of each series and lead, in a ring, and their quantiles at the exact finite-sample rank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecast.conformal import quantiles, with_all_leads


def ring_of(errors: np.ndarray, size: int) -> np.ndarray:
    """(N, M, H, C) float32: the newest `size` of errors (N, R, H, C), NaN before the first."""
    kept = errors[:, -size:].astype(np.float32)
    room = np.full((errors.shape[0], size - kept.shape[1], *errors.shape[2:]), np.nan, np.float32)
    return np.concatenate([room, kept], 1)


def quantiles_of(ring: np.ndarray, levels: Sequence[float], shift: bool) -> np.ndarray:
    """(N, H, C, Q) quantiles of the errors (N, M, H, C), NaN left out; NaN for a series and target without any.

    At the exact rank (`forecast.conformal.split`); a lead without an error is as wide as the widest that has some. The
    median is 0, or the errors' own with `shift`; nothing lies on its wrong side.
    """
    found = with_all_leads(quantiles(ring.swapaxes(0, 1), levels))  # (N, H, C, Q)
    asked = np.array(levels)  # (Q,)
    middle = found[..., asked == 0.5] if shift else np.where(np.isnan(found[..., :1]), np.nan, 0.0)  # (N, H, C, 1)
    low, high = np.minimum(found, middle), np.maximum(found, middle)
    return np.where(asked < 0.5, low, np.where(asked > 0.5, high, middle))


def known_or(found: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """`found` (N, H, C, Q), and `usual` where it is NaN."""
    return np.where(np.isnan(found), usual, found)


def mean_of_known(found: np.ndarray) -> np.ndarray:
    """(H, C, Q) the mean over the series of found (N, H, C, Q), NaN left out; 0 where there is nothing else."""
    known = ~np.isnan(found)
    return np.where(known, found, 0).sum(0) / np.maximum(known.sum(0), 1)
