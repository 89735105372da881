"""Views: which pairs of origin and lead a score is taken over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecast.errors import SchemaError
from forecast.evaluation.asked import Views
from forecast.evaluation.question import Question

ALL, LEAD, WEEKDAY, REGIME = "all", "lead", "weekday", "regime"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SHOWN = 8  # leads, where none are asked for by name


@dataclass(frozen=True, eq=False)
class View:
    """One part of the pairs.

    Args:
        group: `all`, `lead`, `weekday` or `regime`. of: which one, in words. mask: (B or 1, H), bool.
    """

    group: str
    of: str
    mask: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(B, H, C) summed over the leads of this view: (B, C)."""
        columns = self.mask.any(axis=0)  # (H,)
        return np.asarray(np.where(self.mask[:, columns, None], values[:, columns], 0.0).sum(axis=1))


def views(question: Question, asked: Views, known: np.ndarray) -> list[View]:
    """The view of everything first, then all that are asked for; those without a pair are left out.

    Args:
        known: (B, H), bool: where there is any pair.

    Raises:
        SchemaError: a lead beyond the horizon.
    """
    one = np.ones((1, question.horizon), bool)
    found = [View(ALL, ALL, one), *_leads(question.horizon, asked.leads, known)]
    if asked.weekdays:
        day = (question.times.astype("datetime64[D]").astype(int) + 3) % 7  # (B, H), 0 is Monday
        found += [View(WEEKDAY, name, day == d) for d, name in enumerate(DAYS)]
    if asked.regimes:
        starts = asked.starts
        number = np.searchsorted(np.array([at for _, at in starts]), question.times, side="right")  # (B, H)
        labels = [f"before {starts[0][1].astype('datetime64[D]')}", *(label for label, _ in starts)]
        found += [View(REGIME, label, number == k) for k, label in enumerate(labels)]
    return [view for view in found if (view.mask & known).any()]


def _leads(horizon: int, asked: Sequence[int] | None, known: np.ndarray) -> list[View]:
    some = np.flatnonzero(known.any(axis=0)) + 1  # (h,)
    if asked is None:
        asked = some[np.unique(np.linspace(0, len(some) - 1, min(SHOWN, len(some))).round().astype(int))].tolist()
    wrong = [lead for lead in asked if not 1 <= lead <= horizon]
    if wrong:
        raise SchemaError(f"leads {wrong} are outside 1 to {horizon}, the horizon: ask for others")
    return [View(LEAD, str(lead), np.arange(1, horizon + 1)[None] == lead) for lead in asked] if horizon > 1 else []
