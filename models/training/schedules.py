"""Learning rates over a training, as shares of the highest: one_cycle, cosine, plateau, constant."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

SCHEDULES = ("one_cycle", "cosine", "plateau", "constant")


def one_cycle(done: float, rise: float = 0.3) -> float:
    """Share of the highest learning rate when `done` in [0, 1] of the steps are done: cosine up from 1/25, then to 0.

    Source: Smith and Topin, "Super-convergence", arXiv 1708.07120; shape and defaults as torch's OneCycleLR.

    >>> round(one_cycle(0.0), 2), one_cycle(0.3), round(one_cycle(1.0), 2)
    (0.04, 1.0, 0.0)
    """
    if done < rise:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * done / rise)) / 2
    return (1 + math.cos(math.pi * (done - rise) / (1 - rise))) / 2


def cosine(done: float) -> float:
    """From 1 down to 0. Source: Loshchilov and Hutter, "SGDR", arXiv 1608.03983, equation 5, without restarts.

    >>> cosine(0.0), round(cosine(0.5), 2), cosine(1.0)
    (1.0, 0.5, 0.0)
    """
    return (1 + math.cos(math.pi * done)) / 2


def constant(done: float) -> float:
    """Always 1."""
    return 1.0


def plateau(losses: Sequence[float], patience: int = 5, factor: float = 0.5, threshold: float = 1e-4) -> float:
    """1, times `factor` whenever more than `patience` epochs on end had no loss below 1 - `threshold` of the best.

    As torch's ReduceLROnPlateau, computed from the losses of the epochs so far.

    >>> plateau([1.0] * 6), plateau([1.0] * 7), plateau([1.0] * 13)
    (1.0, 0.5, 0.25)
    """
    share, best, bad = 1.0, math.inf, 0
    for loss in losses:
        best, bad = (loss, 0) if loss < best * (1 - threshold) else (best, bad + 1)
        if bad > patience:
            share, bad = share * factor, 0
    return share


BY_STEP: dict[str, Callable[[float], float]] = {"one_cycle": one_cycle, "cosine": cosine, "constant": constant}


def share(schedule: str, step: int, steps: int) -> float:
    """Share of the highest rate at step 0, ..., steps - 1; `plateau` goes by losses instead."""
    return BY_STEP[schedule](step / max(steps - 1, 1))
