"""No model may know what was not known at the origin, nor learn from rows it was not given."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from forecast.checks.data import HOUR, Make, as_frame, synthetic_panel, synthetic_task, with_values
from forecast.checks.expect import expect_same
from forecast.frame import latest
from forecast.panel import Panel, moment

HUGE = 1e6


def check_future_is_unseen(make: Make) -> None:
    """Values after the origin, made huge, change no forecast from it."""
    panel, task, row = synthetic_panel(), synthetic_task(), 150
    origin = moment(panel.times[row])
    model = make().fit(panel.until(origin), task)
    found = model.predict_at(_poisoned_after(panel, row), [origin])[0]
    expect_same(found, model.predict(panel.until(origin)), "values after the origin must not change the forecast")


def check_training_ends_at_its_end(make: Make) -> None:
    """Rows that lie in memory behind the end of the training panel are not learnt from."""
    panel, task, row = synthetic_panel(), synthetic_task(), 150
    end = moment(panel.times[row])
    found = make().fit(_poisoned_after(panel, row).until(end), task).predict(panel.until(end))
    wanted = make().fit(panel.until(end), task).predict(panel.until(end))
    expect_same(found, wanted, "rows after the end of the training panel must not be learnt from")


def check_training_obeys_keep(make: Make) -> None:
    """Rows outside the kept origins' contexts and truths, made huge, change nothing that is learnt (scalers too)."""
    panel, task = synthetic_panel(), synthetic_task()
    first, last = 90, 150
    keep = np.zeros(len(panel.times), bool)
    keep[first : last + 1] = True
    values = panel.values.copy()  # (N, T, C)
    values[:, : first - task.context + 1] *= HUGE
    values[:, last + task.horizon + 1 :] *= HUGE
    found = make().fit(with_values(panel, values).with_keep(keep), task).predict(panel)
    wanted = make().fit(panel.with_keep(keep), task).predict(panel)
    expect_same(found, wanted, "rows that `keep` excludes must not be learnt from, by scalers neither")


def check_later_vintages_are_unseen(make: Make) -> None:
    """A revision seen after the origin, filtered by `as_of` at the frame, changes no forecast."""
    panel, task = synthetic_panel(), synthetic_task()
    frame = as_frame(panel)
    revision = frame.tail(40).with_columns(pl.col(panel.variables) * 3, seen=pl.col("seen") + pl.duration(days=30))
    known = latest(pl.concat([frame, revision]), as_of=panel.end)
    model = make().fit(panel, task)
    found = model.predict(Panel.from_frame(known, HOUR))
    expect_same(found, model.predict(panel), "a revision seen later must not change the forecast")


def check_many_origins_equal_one_by_one(make: Make) -> None:
    """`predict_at` of many origins equals `predict` of each: windows of one batch do not see each other."""
    panel, task = synthetic_panel(), synthetic_task()
    model = make().fit(panel.rows(slice(0, 150)), task)
    origins = [panel.end - timedelta(hours=h) for h in (45, 30, 7, 1, 0)]
    for origin, found in zip(origins, model.predict_at(panel, origins), strict=True):
        expect_same(found, model.predict(panel.until(origin)), f"predict_at must equal predict at {origin:%d %H:%M}")


def _poisoned_after(panel: Panel, row: int) -> Panel:
    values = panel.values.copy()  # (N, T, C)
    values[:, row + 1 :] = HUGE
    return with_values(panel, values)
