"""What the base does to every model's answer: statuses from the freshness of the data, quantiles in order."""

from __future__ import annotations

import numpy as np

from forecast.result import Status
from forecast.schema import Task

STATUSES = (Status.OK, Status.STALE, Status.MISSING)
OK = STATUSES.index(Status.OK)


def ordered(values: np.ndarray, median: int) -> np.ndarray:
    """Quantiles (..., Q) in order. The median stays the model's point: what is on its wrong side moves onto it."""
    point = values[..., median, None]  # (..., 1)
    below, above = np.minimum(values[..., :median], point), np.maximum(values[..., median + 1 :], point)
    return np.concatenate([np.sort(below, axis=-1), point, np.sort(above, axis=-1)], axis=-1)


def issued(values: np.ndarray, task: Task) -> np.ndarray:
    """Quantiles (..., C, Q) as they are handed out: in order, and inside the physical bounds of the targets."""
    low, high = (np.array([getattr(v, side) for v in task.targets])[:, None] for side in ("lower", "upper"))  # (C, 1)
    return np.clip(ordered(values, task.median), low, high)


def statuses(values: np.ndarray, task: Task) -> np.ndarray:
    """(B, N) indices of STATUSES, from the targets' windows (B, N, L, C).

    A series is ok if every target is fresh and half of its context is known.
    """
    known = ~np.isnan(values)  # (B, N, L, C)
    if known.all():
        return np.full(values.shape[:2], OK)
    age = np.where(known.any(2), known[:, :, ::-1].argmax(2), values.shape[2])  # (B, N, C)
    few = (known.sum(2) * 2 < values.shape[2]).any(-1)  # (B, N)
    stale = (age > task.patience).any(-1)  # (B, N)
    gone = (~known.any(2)).any(-1)  # (B, N)
    missing, late = STATUSES.index(Status.MISSING), STATUSES.index(Status.STALE)
    return np.select([gone, stale, few], [missing, late, missing], OK)


def placed(values: np.ndarray, status: np.ndarray, place: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles (N, H, C, Q) and statuses (N,) of the series asked for: `place` is each one's index, -1 if unknown."""
    known = np.array(place) >= 0
    status = np.where(known, status[place], STATUSES.index(Status.MISSING))  # (N,)
    return np.where(known[:, None, None, None], values[place], np.nan), status
