"""Taper: the newest rows whole, the older ones thinner the older they are. A given number of rows, spent well.

Variance Horizon says how many rows are worth their cost, and keeps the newest. But neighbouring hours say much the
same, and the newest weeks know nothing of another season. The same number of rows errs less where only the newest part
is kept whole and the rest is spread over all of the history, evenly and over all hours of the day.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from forecast.errors import SchemaError
from forecast.panel import Panel
from forecast.reduce.counted import count
from forecast.reduce.ranks import even_ranks, lowest
from forecast.reduce.reducer import Reducer, newest
from forecast.reduce.reduction import Reduction
from forecast.schema import Task, duration


class Taper(Reducer):
    """Keep `rows` rows: the newest part of them whole, of the older ones a share that halves with every `half_life`.

    The older rows kept are those of lowest log2(u) - time / half_life, with u the row's even rank in (0, 1). As the
    weight of a row grows with its time instead of falling with its age, its rank never changes: from hour to hour at
    most two rows go and two come, as long as the number of rows stays. Costs about what sorting the rows does.

    Args:
        rows: how many, or the reducer that keeps as many.
        newest: share of them that is kept whole, 0 to 1.
        half_life: age by which the share kept of the older rows halves; None thins evenly.
        seed: which of the many even thinnings.

    Raises:
        SchemaError: `newest` outside [0, 1]; a `half_life` of no length.

    Source: ours. Rank over weight is priority sampling (Duffield, Lund, Thorup 2007, J. ACM 54:6), a weight by time
    forward decay (Cormode et al. 2009, ICDE). The defaults were chosen by ridge on the first half of the New York
    weather's tests (`benchmarks/reducers.py --choose`), where shares of 0.3 to 0.5 and half-lives from 60 days on are
    alike.

    >>> from forecast.schema import Variable
    >>> hours = np.arange("2024-01-01", "2024-05-20", dtype="datetime64[h]").astype("datetime64[us]")
    >>> panel = Panel(np.zeros((1, 3360, 1)), hours, ("a",), ("level",), timedelta(hours=1))
    >>> keep = Taper(1200).reduce(panel, Task([Variable("level")])).keep
    >>> [int(part.sum()) for part in np.split(keep, 4)]
    [129, 174, 222, 675]
    """

    def __init__(
        self, rows: int | Reducer, newest: float = 0.5, half_life: timedelta | str | None = "90d", seed: int = 0
    ) -> None:
        if not 0 <= newest <= 1:
            raise SchemaError(f"newest is {newest}: give the share of the rows that is kept whole, 0 to 1")
        self.rows = rows
        self.newest = newest
        self.half_life = None if half_life is None else duration(half_life)
        if self.half_life is not None and self.half_life <= timedelta(0):
            raise SchemaError(f"half_life is {half_life}: give an age above 0, or null to thin evenly")
        self.seed = seed

    def _reduce(self, panel: Panel, task: Task) -> Reduction:
        asked = count(self.rows, panel, task)
        whole = min(asked.rows, max(1, round(self.newest * asked.rows)))
        keep = newest(panel, whole)  # (T,)
        keep |= lowest(np.where(keep, np.inf, self._ranks(panel)), asked.rows - whole)
        older = len(keep) - whole
        why = f"the newest {whole} rows whole and {asked.rows - whole} of the {older} older ones{asked.words}"
        return Reduction(keep, why, {**asked.evidence, "whole": whole, "thinned": asked.rows - whole})

    def _ranks(self, panel: Panel) -> np.ndarray:
        """(T,) the same for a row in every window that holds it."""
        ranks = even_ranks(panel, self.seed)  # (T,)
        if self.half_life is None:
            return ranks
        hours = panel.times.astype("datetime64[s]").astype(float) / 3600  # (T,)
        return np.log2(ranks) - hours / (self.half_life / timedelta(hours=1))
