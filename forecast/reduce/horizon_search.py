"""The search behind Variance Horizon: sums of distances per row, found afresh or kept up row by row.

A window of m rows holds m^2 distances, but a window of m + 1 rows adds only those of one row. So each row keeps the
sums of its distances and of their squares to all newer rows, and its distances to the last H rows. Cumulated from the
newest row backwards they give every std and so the whole curve: O(T^2 D) by BLAS, and only as far back as the rule
asks. A new row adds one distance to each sum: O(T D).
"""

from __future__ import annotations

import numpy as np

from forecast.errors import SchemaError, ShortHistoryError
from forecast.reduce.distances import squared_distances, squared_distances_to, squared_sizes
from forecast.reduce.horizon_rule import first_calm, variance_ratios
from forecast.reduce.reduction import Reduction

STRIDE = 128  # older rows taken at once: their distances to 3,360 rows are 3.4 MB and stay in cache
SPARE = 4 * STRIDE  # rows known beyond the stop: each costs every update a little, too few mean reaching back often
MANY = 48  # new rows at once from which a fresh search is cheaper
LARGEST = 1e150  # its square is still a float


class HorizonSearch:
    """Variance Horizon over a table that grows: the answer of a fresh search for a fraction of its cost.

    Args:
        target_horizon: H, rows in the horizon block.
        test_size: rows kept on top of the horizon found.
        threshold: the ratio has settled when its mean absolute change is below this.
        change_window: how many points of the curve, newest first, that mean is taken over.
        step: rows the window grows by from one point of the curve to the next.
        max_rows: rows held at most; `update` drops the oldest beyond it.
        curve: put the curve up to where the search stopped into the evidence.

    Raises:
        SchemaError: a parameter out of its range; a table that is not (T, D) or has NaN, infinite or huge values.
        ShortHistoryError: no more than `target_horizon` rows.

    >>> x = np.random.default_rng(0).normal(size=(900, 4))
    >>> search = HorizonSearch(target_horizon=6, test_size=24, max_rows=800)
    >>> search.search(x[:800]).rows, search.update(x[800:]).rows
    (628, 694)
    """

    def __init__(
        self,
        target_horizon: int,
        test_size: int,
        threshold: float = 2.5e-4,
        change_window: int = 100,
        step: int = 1,
        max_rows: int = 3360,
        curve: bool = False,
    ) -> None:
        _check_at_least(1, target_horizon=target_horizon, step=step)
        _check_at_least(0, test_size=test_size, threshold=threshold)
        _check_at_least(2, change_window=change_window)
        _check_at_least(target_horizon + 1, max_rows=max_rows)
        self.target_horizon = target_horizon
        self.test_size = test_size
        self.threshold = threshold
        self.change_window = change_window
        self.step = step
        self.max_rows = max_rows
        self.curve = curve
        self._centre = np.empty(0)  # (D,) one for all rows held, so that equal rows stay equal; see `distances`
        self._rows = np.empty((0, 0))  # (room, D), oldest first, less the centre; rows begin .. end are held
        self._sizes = np.empty(0)  # (room,), their squared sizes
        self._newer = np.empty((2, 0))  # (2, room), sums of distances and of their squares to all newer rows
        self._block = np.empty((target_horizon, 0))  # (H, room), distances to the last H rows
        self._begin = self._end = 0
        self._known = 0  # the newest rows for which newer and block are valid

    def search(self, x: np.ndarray) -> Reduction:
        """Forget everything and search `x` (T, D), oldest row first, T at most `max_rows`."""
        x = _checked(x)
        if len(x) > self.max_rows:
            raise SchemaError(f"x has {len(x)} rows, max_rows is {self.max_rows}: pass x[-{self.max_rows}:].")
        if len(x) <= self.target_horizon:
            raise ShortHistoryError(
                f"x has {len(x)} rows, target_horizon is {self.target_horizon}: give at least "
                f"{self.target_horizon + 1} rows, or a shorter target_horizon."
            )
        self._centre = x[-1].copy()
        return self._search(x - self._centre)

    def _search(self, rows: np.ndarray) -> Reduction:
        """Hold `rows` (T, D), less the centre, know nothing of their distances, and search."""
        self._rows, self._sizes = rows, squared_sizes(rows)
        self._newer = np.empty((2, len(rows)))
        self._block = np.empty((self.target_horizon, len(rows)))
        self._begin, self._end, self._known = 0, len(rows), 0
        return self._settle()

    def update(self, new_rows: np.ndarray) -> Reduction:
        """Append `new_rows` (K, D), drop the oldest rows beyond `max_rows`, and search the rows then held.

        The answer speaks of the rows held, the newest `max_rows` of all that were given. The first update searches.
        """
        new = _checked(new_rows)
        held = self._rows[self._begin : self._end]  # (T, D)
        if not len(held):
            return self.search(new[-self.max_rows :])
        if new.shape[1] != held.shape[1]:
            raise SchemaError(f"new rows have {new.shape[1]} columns, the rows held {held.shape[1]}: give the same.")
        new = new - self._centre
        if len(new) >= MANY:
            return self._search(np.concatenate([held, new])[-self.max_rows :])
        for row in new:
            self._append(row)
        return self._settle()

    def _append(self, row: np.ndarray) -> None:
        """Store a new row (D,), less the centre, and add the distances to it to what is kept of the known rows."""
        if self._end == len(self._rows):
            self._make_room()
        self._rows[self._end], self._sizes[self._end], self._newer[:, self._end] = row, row @ row, 0.0
        self._end += 1
        self._begin = max(self._begin, self._end - self.max_rows)
        self._known = min(self._known + 1, self._end - self._begin - 1)
        known = slice(self._end - self._known, self._end)
        squared = squared_distances_to(self._rows[known], self._sizes[known], row)  # (M,)
        distances = np.sqrt(squared)  # (M,), the last is 0: the row itself
        self._newer[:, known] += distances, squared
        self._block[:-1, known] = self._block[1:, known]
        self._block[-1, known] = distances
        self._block[:, self._end - 1] = distances[-self.target_horizon :]

    def _make_room(self) -> None:
        """Move the rows held to the front of larger arrays."""
        held, size = slice(self._begin, self._end), self._end - self._begin
        room = size + max(STRIDE, size // 4)
        for name in ("_newer", "_block"):
            old = getattr(self, name)
            setattr(self, name, np.empty((len(old), room)))
            getattr(self, name)[:, :size] = old[:, held]
        rows, sizes = np.empty((room, self._rows.shape[1])), np.empty(room)
        rows[:size], sizes[:size] = self._rows[held], self._sizes[held]
        self._rows, self._sizes, self._begin, self._end = rows, sizes, 0, size

    def _settle(self) -> Reduction:
        """Reach further back until the ratio settles or the rows end. The oldest row is never in a window."""
        z = None
        while True:
            known = slice(self._end - self._known, self._end)
            ratios = variance_ratios(self._newer[:, known], self._block[:, known], self.step)  # (K,)
            stop = first_calm(ratios, self.threshold, self.change_window)
            if stop is not None or self._known == self._end - self._begin - 1:
                return self._answer(stop, ratios)
            if z is None:  # centred on the newest row, which is in every window: an offset costs no digits
                z = self._rows[self._begin : self._end] - self._rows[self._end - 1]  # (T, D)
            self._reach_back(z)

    def _reach_back(self, z: np.ndarray) -> None:
        """Find the distances of the next older rows, given all rows held, centred (T, D)."""
        wanted = min(max(self._known + STRIDE, self.target_horizon), len(z) - 1)
        k = wanted - self._known
        older = slice(self._end - wanted, self._end - self._known)
        window = z[-wanted:]  # (M, D)
        squared = squared_distances(window[:k], window)  # (K, M)
        self._block[:, older] = np.sqrt(squared[:, -self.target_horizon :]).T
        squared[:, :k] = np.triu(squared[:, :k], 1)  # of two rows the older one counts the pair
        self._newer[1, older] = squared.sum(axis=1)
        self._newer[0, older] = np.sqrt(squared, out=squared).sum(axis=1)
        self._known = wanted

    def _answer(self, stop: int | None, ratios: np.ndarray) -> Reduction:
        """Word the answer, and forget sums far older than the window that settled: they would cost every update."""
        held = self._end - self._begin
        rows = held
        if stop is None:
            why = f"all {held} rows: the variance ratio did not settle within them"
        else:
            horizon = stop * self.step
            rows = min(held, horizon + self.test_size)
            ratios = ratios[: stop + 1]
            self._known = min(self._known, self.target_horizon + horizon + SPARE)
            why = f"the newest {rows} of {held} rows: the variance ratio settled at a horizon of {horizon} rows"
        evidence = {
            "converged": stop is not None,
            "final_ratio": float(ratios[-1]),
            "stopped_at": None if stop is None else stop * self.step,
        }
        if self.curve:
            evidence["curve"] = ratios.tolist()
        return Reduction(np.arange(held) >= held - rows, why, evidence)


def _check_at_least(least: int, **parameters: float) -> None:
    for name, given in parameters.items():
        if not given >= least:  # true for NaN
            raise SchemaError(f"{name} is {given}: give {least} or more.")


def _checked(x: np.ndarray) -> np.ndarray:
    """`x` as float64, or an error that names the first value that cannot be used."""
    x = np.ascontiguousarray(x, dtype=float)
    if x.ndim != 2 or not x.shape[1]:
        raise SchemaError(f"x has shape {x.shape}: give a table (T, D), one row per time; one variable is x[:, None].")
    usable = np.abs(x) <= LARGEST  # (T, D), False for NaN too
    if not usable.all():
        row, column = np.argwhere(~usable)[0]
        raise SchemaError(
            f"x has {x.size - np.count_nonzero(usable)} values that are NaN, infinite or beyond {LARGEST:g}, first at "
            f"row {row}, column {column}: {x[row, column]}. Drop those rows or fill the gaps, and scale the columns."
        )
    return x
