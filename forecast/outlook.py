"""Outlook: what was known at each time about the steps after it, from rows as they were issued.

A numerical weather prediction is a row whose `time` lies after its `seen`. Of several about one time the newest seen by
the origin counts; so a model trains on forecasts as issued, never on analyses or on later runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from forecast.errors import UnknownNameError
from forecast.panel import Panel


def with_outlook_of(
    panel: Panel, frame: pl.DataFrame, variables: Sequence[str], steps: int, latency: timedelta = timedelta(0)
) -> Panel:
    """The panel with an outlook from issued rows.

    Args:
        panel: gives times and series.
        frame: `series, time, seen` and Float64 columns; rows with a null in a variable say nothing about it.
        variables: F columns. steps: K steps ahead.
        latency: a forecast from time t is made at t + latency; what was seen by then is known.

    Returns:
        A panel whose outlook (N, T, K, F) at t holds what was known about t + 1 ... t + K; NaN for what was not.

    Raises:
        UnknownNameError: a variable that the frame does not have.

    >>> from datetime import UTC, datetime
    >>> hours = [datetime(2024, 1, 1, h, tzinfo=UTC) for h in range(6)]
    >>> panel = Panel(np.zeros((1, 3, 1)), np.array([h.replace(tzinfo=None) for h in hours[:3]], "M8[us]"), ("A",),
    ...               ("t",), timedelta(hours=1))
    >>> rows = pl.DataFrame({"series": "A", "time": hours[2:4], "seen": [hours[0], hours[1]], "nwp": [7.0, 8.0]})
    >>> with_outlook_of(panel, rows, ["nwp"], 2).outlook[0, :, :, 0].tolist()
    [[nan, 7.0], [7.0, 8.0], [8.0, nan]]
    """
    for name in variables:
        if name not in frame.columns:
            raise UnknownNameError("outlook variable", name, frame.columns)
    first, width = panel.times[0].astype(np.int64), panel.step // timedelta(microseconds=1)
    times = frame["time"].cast(pl.Int64).to_numpy() - first  # (R,)
    seen = frame["seen"].cast(pl.Int64).to_numpy() - first - latency // timedelta(microseconds=1)  # (R,)
    known = np.maximum(-(-seen // width), 0)  # (R,) first row of the panel that may use it
    ahead = times // width - known  # (R,)
    place = {name: i for i, name in enumerate(panel.series)}
    number = np.array([place.get(s, -1) for s in frame["series"].to_list()])  # (R,)
    reach = int(max(ahead.max(initial=0), steps))
    fresh = np.full((*panel.shape[:2], reach + 1, len(variables)), np.nan)  # (N, T, reach + 1, F)
    usable = (number >= 0) & (known < panel.shape[1]) & (ahead >= 1) & (times % width == 0)  # (R,)
    rows = np.flatnonzero(usable)[np.argsort(seen[usable], kind="stable")]  # later vintages are written last
    for f, name in enumerate(variables):
        values = frame[name].fill_null(float("nan")).to_numpy()[rows]
        told = ~np.isnan(values)
        fresh[number[rows][told], known[rows][told], ahead[rows][told] - 1, f] = values[told]
    for t in range(1, panel.shape[1]):  # what was known a step ago is known still, one step nearer
        fresh[:, t, :-1] = np.where(np.isnan(fresh[:, t, :-1]), fresh[:, t - 1, 1:], fresh[:, t, :-1])
    return Panel(
        panel.values,
        panel.times,
        panel.series,
        panel.variables,
        panel.step,
        fresh[:, :, :steps],
        tuple(variables),
        panel.keep,
    )
