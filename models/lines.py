"""Lines: the history of one series and variable as an unbroken run of numbers, which classical models want."""

from __future__ import annotations

import numpy as np


def bridged(line: np.ndarray) -> np.ndarray:
    """(T,) with straight lines over inner gaps; what lies before the first or after the last value stays NaN.

    >>> bridged(np.array([np.nan, 1.0, np.nan, 3.0])).tolist()
    [nan, 1.0, 2.0, 3.0]
    """
    known = np.flatnonzero(~np.isnan(line))
    if len(known) in (0, len(line)):
        return line
    return np.interp(np.arange(len(line)), known, line[known], left=np.nan, right=np.nan)


def newest_run(allowed: np.ndarray) -> slice:
    """The newest unbroken run of True in (T,); empty if there is none.

    >>> newest_run(np.array([True, False, True, True, False]))
    slice(2, 4, None)
    """
    rows = np.flatnonzero(allowed)
    if not len(rows):
        return slice(0, 0)
    breaks = np.flatnonzero(np.diff(rows) > 1)
    first = rows[breaks[-1] + 1] if len(breaks) else rows[0]
    return slice(int(first), int(rows[-1]) + 1)
