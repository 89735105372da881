"""Missing, stale and unknown: a number where the data allow one, a status and NaN elsewhere, never a crash."""

from __future__ import annotations

import numpy as np

from forecast.checks.data import NAMES, Make, synthetic_panel, synthetic_task, with_values
from forecast.checks.expect import expect, expect_fine, expect_same
from forecast.panel import moment
from forecast.result import Forecast, Status
from forecast.schema import Variable
from forecast.windows import truth_at


def check_missing_values(make: Make) -> None:
    """A fifth of all values missing in training and in the context: every series is still forecast."""
    panel, task = synthetic_panel(), synthetic_task()
    holes = np.random.default_rng(3).random(panel.shape) < 0.2  # (N, T, C)
    holes[:, -1] = False
    gappy = with_values(panel, np.where(holes, np.nan, panel.values))
    expect_fine(make().fit(gappy, task).predict(gappy), "a fifth of the values missing")


def check_dead_input(make: Make) -> None:
    """A past input without any value, in the context or in training, does not stop a forecast."""
    panel, task = synthetic_panel(), synthetic_task()
    values = panel.values.copy()  # (N, T, C)
    values[:, :, panel.variables.index("wind")] = np.nan
    silent = with_values(panel, values)
    expect_fine(make().fit(panel, task).predict(silent), "an input missing from the context")
    expect_fine(make().fit(silent, task).predict(silent), "an input missing from training")


def check_newest_value_missing(make: Make) -> None:
    """Newest rows missing within the task's patience: still a forecast."""
    panel, task = synthetic_panel(), synthetic_task()
    values = panel.values.copy()  # (N, T, C)
    values[0, -task.patience :] = np.nan
    expect_fine(make().fit(panel, task).predict(with_values(panel, values)), "newest values missing within patience")


def check_stale_series(make: Make) -> None:
    """A series silent for longer than the patience is stale and NaN; the others go on."""
    panel, task = synthetic_panel(), synthetic_task()
    values = panel.values.copy()  # (N, T, C)
    values[1, -task.patience - 1 :] = np.nan
    _expect_one_out(make, values, Status.STALE)


def check_dead_series(make: Make) -> None:
    """A series without a value in the context is missing and NaN; the others go on."""
    task = synthetic_task()
    values = synthetic_panel().values.copy()  # (N, T, C)
    values[1, -task.context :] = np.nan
    _expect_one_out(make, values, Status.MISSING)


def check_dead_neighbour_is_harmless(make: Make) -> None:
    """A series at quite another level goes silent: the errors of the others at most double, for regional models too."""
    task = synthetic_task(targets=(Variable("temperature"), Variable("humidity")), past=(Variable("wind"),))
    plain, fitted, rows = synthetic_panel(400), 300, np.arange(330, 390)
    panel = with_values(plain, plain.values + np.array([0.0, 100.0, 1000.0])[:, None, None])
    silenced = panel.values.copy()  # (N, T, C)
    silenced[2, fitted:] = np.nan
    model = make().fit(panel.rows(slice(0, fitted)), task)
    origins = [moment(t) for t in panel.times[rows]]
    truth = truth_at(panel, task, rows)[:, :2]  # (B, 2, H, C)
    errors = []
    for given in (panel, with_values(panel, silenced)):
        point = np.stack([f.point[:2] for f in model.predict_at(given, origins)])  # (B, 2, H, C)
        errors.append(np.abs(point - truth).mean((0, 1, 2)))  # (C,)
    worst = float((errors[1] / errors[0]).max())
    expect(worst <= 2, f"a silent neighbour makes the errors of other series {worst:.3g} times as large")


def check_dead_from_the_start(make: Make) -> None:
    """A series that never had a value may stand in the training panel; it is missing, the others are forecast."""
    panel, task = synthetic_panel(), synthetic_task()
    values = panel.values.copy()  # (N, T, C)
    values[1] = np.nan
    dead = with_values(panel, values)
    found = make().fit(dead, task).predict(dead)
    expect(found.status == (Status.OK, Status.MISSING, Status.OK), f"a series without values: {found.status}")


def check_unseen_series(make: Make) -> None:
    """A series that training did not know: forecast by a model across series, missing for a regional one."""
    panel, task = synthetic_panel(), synthetic_task()
    wide = synthetic_panel(series=(*NAMES, "ZRH"))
    values = np.concatenate([panel.values, wide.values[-1:]])  # (N+1, T, C)
    model = make().fit(panel, task)
    found = model.predict(with_values(wide, values))
    wanted = Status.MISSING if model.traits.regional else Status.OK
    expect(found.status[-1] == wanted, f"an unseen series is {found.status[-1]}, expected {wanted}")
    known = Forecast(
        found.origin, found.step, NAMES, found.variables, found.levels, found.status[:-1], found.quantiles[:-1]
    )
    expect_same(known, model.predict(panel), "an unseen series must not change the others", tolerance=1e-4)


def check_absent_series(make: Make) -> None:
    """A panel without one of the fitted series forecasts the others, and names only what was asked."""
    panel, task = synthetic_panel(), synthetic_task()
    model = make().fit(panel, task)
    part = synthetic_panel(series=NAMES[:2])
    found = model.predict(with_values(part, panel.values[:2]))
    expect(found.series == NAMES[:2], f"asked for {NAMES[:2]}, got {found.series}")
    expect_fine(found, "a fitted series absent from the panel")


def _expect_one_out(make: Make, values: np.ndarray, status: Status) -> None:
    """Series 1 of `values` has `status`; the others are ok, and unchanged unless the model is regional."""
    panel, task = synthetic_panel(), synthetic_task()
    model = make().fit(panel, task)
    found, whole = model.predict(with_values(panel, values)), model.predict(panel)
    expect(found.status == (Status.OK, status, Status.OK), f"expected series 1 {status}, found {found.status}")
    if not model.traits.regional:
        gap = np.abs(found.quantiles - whole.quantiles)[[0, 2]].max()
        expect(gap <= 1e-4, f"a {status} series changed the forecasts of others by {gap:.3g}")
