"""Truths with gaps filled forward: what a table on a grid of five days a week scores on holidays."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from forecast.evaluation.question import Question
from forecast.windows import forward_fill

MOSTLY = 0.5  # share of its truths that a weekday has, to be one on which truths are due


def filled_truth(question: Question) -> np.ndarray:
    """(B, N, H, C): gaps take the newest earlier value, that of the origin included.

    With a step of a day, weekdays that mostly have no truth, such as Sundays, stay the gaps that they are.
    """
    full = np.concatenate([question.last[:, :, None], question.truth], axis=2)  # (B, N, 1+H, C)
    found = forward_fill(full)[:, :, 1:]  # (B, N, H, C)
    known = ~np.isnan(question.truth)  # (B, N, H, C)
    if question.history.step != timedelta(days=1):
        return found
    day = (question.times.astype("datetime64[D]").astype(int) + 3) % 7  # (B, H), 0 is Monday
    part = known.mean(axis=(1, 3))  # (B, H)
    due = np.array([part[day == d].mean() >= MOSTLY if (day == d).any() else False for d in range(7)])  # (7,)
    return np.where(due[day][:, None, :, None] | known, found, np.nan)
