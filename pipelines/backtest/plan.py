"""The plan of a backtest: which rows may be learnt from, and from which rows forecasts are made.

A history has a part to choose settings on and a later part to report: whoever tunes on the rows he reports has reported
nothing. Both are given by where they begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from forecast.errors import SchemaError, ShortHistoryError, UnknownNameError
from forecast.panel import moment, stamp

Place = float | int | str | datetime
PARTS = ("choose", "test")


@dataclass(frozen=True, eq=False)
class Stretch:
    """One fit and the origins that it serves.

    Args:
        first, stop: rows [first, stop) are fitted on. origins: (B,) rows that forecasts are made from.
    """

    first: int
    stop: int
    origins: np.ndarray


@dataclass(frozen=True)
class Split:
    """Where the parts of a history begin and how a part is walked through.

    Args:
        part: whose truths are scored, `choose` or `test`.
        choose, test, end: where the parts begin and the last one ends: a share of the rows, a number of rows (negative:
            from the end), or a time; `end` None: with the data.
        train: where the rows to fit on end; None: just before the first truth of each stretch.
        history: rows a fit may use, the newest; None: all of them.
        cutoffs: number of stretches, each with a fit of its own.
        every: rows between origins.

    Raises:
        UnknownNameError, SchemaError: no such part, or numbers that make no plan.
    """

    part: str = "test"
    choose: Place = 0.6
    test: Place = 0.8
    end: Place | None = None
    train: Place | None = None
    history: int | None = None
    cutoffs: int = 1
    every: int = 1

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise UnknownNameError("part of a backtest", str(self.part), PARTS)
        if self.train is not None and self.cutoffs > 1:
            raise SchemaError(
                "backtest.train ends the rows to fit on, and backtest.cutoffs asks for later fits: drop one"
            )

    def stretches(self, times: np.ndarray, horizon: int) -> list[Stretch]:
        """The fits of this part, for (T,) times: every window of `horizon` truths that lies wholly inside the part.

        Raises:
            ShortHistoryError: no such window, or nothing to fit on.
        """
        begin, end = self.bounds(times)
        origins = np.arange(begin - 1, end - horizon, self.every)  # (B,)
        if begin < 2 or len(origins) < self.cutoffs:
            raise ShortHistoryError(
                f"part '{self.part}' has {end - begin} of {len(times)} rows, from row {begin} on, which gives "
                f"{len(origins)} origins with {horizon} rows after them for {self.cutoffs} fits: move backtest.choose "
                "or backtest.test, or shorten the horizon"
            )
        found = []
        for group in np.array_split(origins, self.cutoffs):
            stop = row_of(self.train, times) if self.train is not None else int(group[0]) + 1
            if stop > group[0] + 1:
                raise SchemaError(f"backtest.train ends at row {stop}, after the part begins (row {begin})")
            found.append(Stretch(max(0, stop - self.history) if self.history else 0, stop, group))
        return found

    def bounds(self, times: np.ndarray) -> tuple[int, int]:
        """Rows [begin, end) of the part."""
        choose, test = row_of(self.choose, times), row_of(self.test, times)
        end = len(times) if self.end is None else row_of(self.end, times)
        if not choose < test < end:
            raise SchemaError(
                f"backtest.choose is row {choose}, test {test}, end {end} of {len(times)}: they must follow each other"
            )
        return (choose, test) if self.part == "choose" else (test, end)


def row_of(place: Place, times: np.ndarray) -> int:
    """The row a place names, between 0 and T: shares are rounded, times are the first row at or after them.

    Raises:
        SchemaError: outside the rows, or no place at all.

    >>> hours = np.datetime64("2024-01-01", "us") + np.arange(10) * np.timedelta64(1, "h")
    >>> row_of(0.8, hours), row_of(4, hours), row_of(-3, hours), row_of("2024-01-01T05:00Z", hours)
    (8, 4, 7, 5)
    """
    if isinstance(place, str):
        place = _moment(place)
    if isinstance(place, datetime):
        return int(np.searchsorted(times, stamp(place)))
    row = round(place * len(times)) if isinstance(place, float) and 0 < place < 1 else place
    row = row + len(times) if row < 0 else row
    if isinstance(place, bool) or row != int(row) or not 0 <= row <= len(times):
        raise SchemaError(
            f"{place!r} names no row of {len(times)}, {moment(times[0])} to {moment(times[-1])}: give a share between "
            "0 and 1, a number of rows or a time"
        )
    return int(row)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SchemaError(f"'{text}' is not a time: write it as 2016-09-01T00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
