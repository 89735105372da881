"""What a ridge equation looks at: the past of a series and of those like it, the calendar, and an outlook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from forecast.schema import Task
from forecast.windows import Windows, calendar, forward_fill

CHAIN = 1e-2  # factor on the penalty of the newest values of discrete targets


@dataclass(frozen=True)
class RidgeInputs:
    """Which columns a row has.

    Args:
        lags: rows before the origin; 0 is always there, and those outside the task's context are left out.
        neighbours: how many other series to look at, the most alike first.
        beside: lags of the neighbours, 0 always there.
        past: read the task's past inputs too, else its targets alone.
        harmonics: of the day, at the origin. year: the day of the year, for histories of many months.
        seasons: periods in rows (24, 168): the targets one period before each lead, where the context reaches.
        around: leads beside each lead at which the outlook is read, on both sides.
        core: factor on the penalty of what a forecast rests on: the targets' level at the origin and the outlook at
            the lead. Small, so that with a large penalty the equation is a mixture of persistence and outlook.

    Seasons and outlook differ between leads, so that leads no longer share one matrix: that costs H times as much.
    """

    lags: Sequence[int] = (1, 2, 3, 4, 5)
    neighbours: int = 2
    beside: Sequence[int] = (1, 2, 3)
    past: bool = True
    harmonics: int = 3
    year: bool = True
    seasons: Sequence[int] = ()
    around: int = 1
    core: float = 1.0

    def __post_init__(self) -> None:
        for name in ("lags", "beside", "seasons"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


def design(
    windows: Windows,
    task: Task,
    inputs: RidgeInputs,
    means: np.ndarray,
    neighbours: np.ndarray,
    own: np.ndarray,
    steps: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """(N', B, G, D) rows of the equations of the series `own` (N',); G is H where leads have columns of their own.

    Args:
        windows: values (B, N, L, V) without gaps; outlook (B, N, K, F) without gaps, or None.
        means: (N, V) what level columns are centred by, so that sums of squares keep their digits.
        neighbours: (N', M) places among the N series.
        steps: per target its discrete values, empty for a continuous one (see `ridge_steps`).

    Columns: 1; level at the origin, then changes from lag to lag, of each variable; the same of each neighbour;
    whether a discrete target is at or below each of its values; calendar; then what belongs to the lead.
    """
    read = windows.values if inputs.past else windows.values[..., : len(task.targets)]  # (B, N, L, V)
    means = means[:, : read.shape[3]]
    values = read[:, own]  # (B, N', L, V)
    size = values.shape[:2]
    parts = [np.ones((*size, 1)), _past(values, means[own], inputs.lags)]
    for m in range(neighbours.shape[1]):
        other = neighbours[:, m]  # (N',)
        parts.append(_past(read[:, other], means[other], inputs.beside))
    parts += [_at_most(values[:, :, -2:, c], levels) for c, levels in enumerate(steps) if len(levels)]
    waves = calendar(windows.origins, inputs.harmonics)  # (B, W)
    waves = waves if inputs.year else waves[:, :-2]
    parts.append(np.broadcast_to(waves[:, None], (*size, waves.shape[1])))
    shared = np.concatenate(parts, -1)[:, :, None]  # (B, N', 1, D')
    leads = _seasons(values, task, inputs.seasons)
    if windows.outlook is not None:
        leads.append(_outlook(windows.outlook[:, own], task.horizon, inputs.around))
    if not leads:
        return np.ascontiguousarray(shared.swapaxes(0, 1))
    common = np.broadcast_to(shared, (*size, task.horizon, shared.shape[-1]))
    return np.ascontiguousarray(np.concatenate([common, *leads], -1).swapaxes(0, 1))


def _past(values: np.ndarray, means: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """(B, N, columns): the newest level less its mean, then the change from each lag to the one before it."""
    last = values.shape[2] - 1
    kept = [0, *sorted(lag for lag in lags if 0 < lag <= last)]
    changes = [values[:, :, last - a] - values[:, :, last - b] for a, b in pairwise(kept)]
    return np.concatenate([values[:, :, last] - means, *changes], -1)


def _at_most(recent: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(B, N, columns): 1 where each of the newest values (B, N, 2 or 1) is at or below each level but the highest."""
    return (recent[..., None] <= levels[:-1]).astype(float).reshape(*recent.shape[:2], -1)


def _seasons(values: np.ndarray, task: Task, seasons: Sequence[int]) -> list[np.ndarray]:
    """Per season within the context, (B, N, H, C): the targets whole seasons before each lead, less the newest."""
    targets = len(task.targets)
    found = [(season, _back(task, season)) for season in _reaching(task, seasons)]
    return [values[:, :, rows, :targets] - values[:, :, -1:, :targets] for _, rows in found]


def _back(task: Task, season: int) -> np.ndarray:
    """(H,) places in the context of the rows whole seasons before each lead."""
    leads = np.arange(1, task.horizon + 1)
    return task.context - 1 + leads - season * np.ceil(leads / season).astype(int)


def _reaching(task: Task, seasons: Sequence[int]) -> list[int]:
    """The seasons that lie within the context."""
    return [season for season in seasons if (_back(task, season) >= 0).all()]


def factors_of(width: int, kinds: int, task: Task, inputs: RidgeInputs, steps: Sequence[np.ndarray]) -> np.ndarray:
    """(D,) what the penalty of each of `width` columns of `design` is multiplied by; `kinds` is F of the outlook.

    `inputs.core` for the targets' level at the origin and the outlook at the lead; `CHAIN` for the newest values of
    discrete targets, so that the rest are corrections of a Markov chain; 1 for all else.
    """
    factors = np.ones(width)
    factors[1 : 1 + len(task.targets)] = inputs.core
    end = width - kinds * (2 + 2 * inputs.around)
    factors[end : end + kinds] = inputs.core
    end -= len(task.targets) * len(_reaching(task, inputs.seasons)) + 2 * inputs.harmonics + 2 * inputs.year
    for levels in reversed([s for s in steps if len(s)]):
        factors[end - len(levels) + 1 : end] = CHAIN
        end -= (len(levels) - 1) * min(2, task.context)
    return factors


def _outlook(outlook: np.ndarray, horizon: int, around: int) -> np.ndarray:
    """(B, N, H, columns): each outlook variable at the lead, its changes to the leads beside it, its first step."""
    steps = outlook.shape[2]
    leads = np.minimum(np.arange(horizon), steps - 1)  # (H,)
    here = outlook[:, :, leads]  # (B, N, H, F)
    parts = [here, here - outlook[:, :, :1]]
    for k in range(1, around + 1):
        parts += [
            outlook[:, :, np.minimum(leads + k, steps - 1)] - here,
            here - outlook[:, :, np.maximum(leads - k, 0)],
        ]
    return np.concatenate(parts, -1)


def without_gaps(outlook: np.ndarray | None, means: np.ndarray) -> np.ndarray | None:
    """The outlook (B, N, K, F) with gaps taken from the step before, else the next, else the series' mean (N, F)."""
    if outlook is None or not np.isnan(outlook).any():
        return outlook
    full = forward_fill(forward_fill(outlook)[..., ::-1, :])[..., ::-1, :]  # (B, N, K, F)
    return np.where(np.isnan(full), means[:, None], full)
