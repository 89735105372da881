"""What is known at a slot, as panels: read from the store once per slot and cut, seen by each nowcaster as it asks."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from forecast.panel import Panel, stamp
from pipelines.fleet import Fleet, Nowcaster
from pipelines.slot import Slot


def known(fleet: Fleet, this: Slot, rows: int) -> Panel:
    """The newest `rows` rows of every series as known now; a longer panel that this slot has read already is cut."""
    if this.panel is None or len(this.panel.times) < rows:
        this.panel, this.views = read(fleet, this.slot, this.now, rows), {}
    if len(this.panel.times) == rows:
        return this.panel
    if rows not in this.cuts or this.cuts[rows].end != this.panel.end:
        this.cuts[rows] = this.panel.tail(rows)
    return this.cuts[rows]


def seen_by(fleet: Fleet, this: Slot, nowcaster: Nowcaster, panel: Panel) -> Panel:
    """A panel as the nowcaster's region sees it; equal regions share one.

    Raises:
        UnknownNameError: no such series so far.
    """
    region = nowcaster.region
    key = (region.series, region.neighbours, id(panel))
    if key not in this.views:
        this.views[key] = (region.panel(panel, fleet.task), panel)  # the panel too, so that its id stays its own
    return this.views[key][0]


def read(fleet: Fleet, end: datetime, as_of: datetime, rows: int) -> Panel:
    """The `rows` rows of every series up to `end` as known then; one that has been silent for so long is all gaps."""
    start, names, series = end - (rows - 1) * fleet.task.step, fleet.task.names, fleet.state.series
    frame = fleet.edges.store.read(as_of=as_of, start=start, end=end, series=series)
    if frame.is_empty():
        times = stamp(start) + np.arange(rows) * np.timedelta64(fleet.task.step)  # (T,)
        return Panel(np.full((len(series), rows, len(names)), np.nan), times, tuple(series), names, fleet.task.step)
    return Panel.from_frame(frame, fleet.task.step, names, start=start, end=end, series=series)
