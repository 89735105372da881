"""ADWIN: can the window be cut in two whose means differ by more than chance allows?

The window is kept as an exponential histogram: row r holds at most `max_buckets` sums of 2**r values each, oldest
first. Cuts are only looked at every `clock` values, so new values wait and are packed into the rows in one go.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecast.detect.base import Detector
from forecast.detect.signal import Signals, signals
from forecast.detect.state import Floats, State, put

ROWS = 24  # more than 2**24 values per stream: enough for an hourly stream of 1,900 years
CHUNK = 512  # streams looked at together, so that the work stays in the processor's cache


class ADWIN(Detector):
    """Adaptive windowing: DRIFT when two parts of the window have different means.

    Alarms at the same steps as `river.drift.ADWIN`, and begins anew after each. `level` is the mean of the window,
    and after an alarm the mean of the part after the clearest cut. The bound has a term in the error's own unit:
    it is made for errors in [0, 1]; much smaller ones never alarm, much larger ones only by their variance.

    Parameters
    ----------
    delta : chance of a false alarm, in (0, 1).
    clock : values between two looks; an alarm comes at a multiple of it.
    max_buckets : buckets per row, >= 2; more are finer cuts.
    min_window_length : values each part must have, >= 1.
    grace_period : values to see before the first look, >= 1.

    Source: A. Bifet and R. Gavalda, Learning from Time-Changing Data with Adaptive Windowing, SDM 2007.

    >>> detector = ADWIN()
    >>> [i for i in range(300) if detector.update([0.1 if i < 200 else 0.9])[0] == 2]
    [223]
    """

    def __init__(
        self,
        delta: float = 0.002,
        clock: int = 32,
        max_buckets: int = 5,
        min_window_length: int = 5,
        grace_period: int = 10,
    ) -> None:
        self.delta = delta
        self.clock = clock
        self.max_buckets = max_buckets
        self.min_window_length = min_window_length
        self.grace_period = grace_period

    def _rules(self) -> dict[str, bool]:
        return {
            "delta must be in (0, 1)": 0 < self.delta < 1,
            "clock must be >= 1": self.clock >= 1,
            "max_buckets must be >= 2": self.max_buckets >= 2,
            "min_window_length must be >= 1": self.min_window_length >= 1,
            "grace_period must be >= 1": self.grace_period >= 1,
        }

    def _empty(self, count: int) -> State:
        return {
            "waiting": np.zeros((count, self.clock)),
            "sums": np.zeros((count, ROWS, self.max_buckets)),
            "buckets": np.zeros((count, ROWS), np.int64),
            "seen": np.zeros(count, np.int64),
            "total": np.zeros(count),
            "width": np.zeros(count),
            "variance": np.zeros(count),  # times width
        }

    def _step(self, state: State, error: Floats) -> Signals:
        self._insert(state, error)
        drift = np.zeros(len(error), bool)  # (S,)
        due = state["seen"] % self.clock == 0  # (S,)
        if due.any():
            for some in np.array_split(np.flatnonzero(due), due.sum() // CHUNK + 1):
                part = {name: values[some] for name, values in state.items()}
                self._pack(part["sums"], part["buckets"], part["waiting"])
                drift[some] = self._cut(part)
                put(state, some, part)
        return signals(drift)

    def _insert(self, state: State, error: Floats) -> None:
        width, total = state["width"], state["total"]  # (S,)
        deviation = error - total / np.maximum(width, 1)  # (S,)
        state["variance"] += width * deviation * deviation / (width + 1)
        width += 1
        total += error
        state["waiting"][np.arange(len(error)), state["seen"] % self.clock] = error
        state["seen"] += 1

    def _pack(self, sums: Floats, buckets: npt.NDArray[np.int64], new: Floats) -> None:
        """Push new values (D, K) into the rows; whatever is too much in a row moves on in pairs."""
        count = np.full(len(new), new.shape[1])  # (D,)
        for row in range(ROWS):
            kept, size, new, count = self._pack_row(sums[:, row], buckets[:, row], new, count)
            sums[:, row], buckets[:, row] = kept, size
            if not new.size:
                return

    def _pack_row(
        self, held: Floats, size: npt.NDArray[np.int64], new: Floats, count: npt.NDArray[np.int64]
    ) -> tuple[Floats, npt.NDArray[np.int64], Floats, npt.NDArray[np.int64]]:
        """One row after the push: its sums (D, M) and how many, then the pairs (D, P) that leave and how many."""
        room, arrived = held.shape[1], new.shape[1]
        line = np.zeros((len(held), room + arrived + 1))  # (D, M + K + 1)
        line[:, :room] = held
        np.put_along_axis(line, size[:, None] + np.arange(arrived), new, axis=1)
        size = size + count
        pairs = np.maximum(0, (size - room + 1) // 2)  # (D,)
        most = int(pairs.max())
        leaving = line[:, 0 : 2 * most : 2] + line[:, 1 : 2 * most : 2]  # (D, P)
        leaving[np.arange(most) >= pairs[:, None]] = 0
        kept = np.take_along_axis(line, 2 * pairs[:, None] + np.arange(room), axis=1)  # (D, M)
        return kept, size - 2 * pairs, leaving, pairs

    def _cut(self, state: State) -> npt.NDArray[np.bool_]:
        """Which of D streams have a cut beyond chance; their window becomes the part after the clearest one."""
        n1, u1, beyond = self._cuts(state)  # (D, B) each
        best = beyond.argmax(axis=1)  # (D,)
        each = np.arange(len(best))
        drift = (beyond[each, best] > 0) & (state["width"] > self.grace_period)  # (D,)
        state["width"][drift] = n1[each, best][drift]
        state["total"][drift] = u1[each, best][drift]
        return drift

    def _cuts(self, state: State) -> tuple[Floats, Floats, Floats]:
        """For the cut after each bucket, oldest first: length and sum of the later part, and |difference| - bound."""
        top = int(np.flatnonzero(state["buckets"].any(axis=0)).max()) + 1
        count = state["buckets"][:, top - 1 :: -1]  # (D, R)
        filled = np.arange(self.max_buckets) < count[:, :, None]  # (D, R, M)
        length = (filled * 2.0 ** np.arange(top)[::-1, None]).reshape(len(count), -1)  # (D, B)
        sums = state["sums"][:, top - 1 :: -1].reshape(len(count), -1)  # (D, B)
        n0, u0 = length.cumsum(axis=1), sums.cumsum(axis=1)
        n1 = state["width"][:, None] - n0
        u1 = np.subtract.accumulate(np.hstack([state["total"][:, None], sums]), axis=1)[:, 1:]
        with np.errstate(all="ignore"):  # impossible cuts are masked below
            beyond = np.abs(u0 / n0 - u1 / n1) - self._bound(state, n0, n1)
        possible = (n0 >= self.min_window_length) & (n1 >= self.min_window_length)
        return n1, u1, np.where(possible, beyond, -np.inf)

    def _bound(self, state: State, n0: Floats, n1: Floats) -> Floats:
        width = state["width"]  # (D,)
        confidence = np.log(2 * np.log(width) / self.delta)[:, None]
        inverse = 1 / (n0 - self.min_window_length + 1) + 1 / (n1 - self.min_window_length + 1)  # (D, B)
        variance = (state["variance"] / width)[:, None]
        return np.sqrt(2 * inverse * variance * confidence) + 2 / 3 * confidence * inverse

    def _level(self, state: State) -> Floats:
        return np.where(state["width"] > 0, state["total"] / np.maximum(state["width"], 1), np.nan)  # (S,)
