"""New rows without a refit: learnt once, in any number of steps, and never from the future.

A model without `traits.updates` only has to say so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecast.checks.data import Make, synthetic_panel, synthetic_task, with_values
from forecast.checks.expect import ContractError, expect, expect_fine, expect_same
from forecast.errors import NotFittedError, SchemaError, ShortHistoryError
from forecast.forecaster import Forecaster
from forecast.panel import Panel

FITTED, HUGE = 150, 1e6


def check_update_is_for_those_that_can(make: Make) -> None:
    """Without `traits.updates` an update is refused; with it, before a fit."""
    panel, task = synthetic_panel(), synthetic_task()
    try:
        make().update(panel)
    except NotFittedError:
        pass
    else:
        raise ContractError("an update before the fit must raise NotFittedError")
    if make().traits.updates:
        return
    try:
        make().fit(panel.rows(slice(0, FITTED)), task).update(panel)
    except SchemaError as error:
        expect("fit it again" in str(error), f"the error must say what to do: {error}")
        return
    raise ContractError("a model without traits.updates must refuse an update")


def check_update_in_steps_is_update_at_once(make: Make) -> None:
    """New rows one by one, in odd parts, or all at once: the same forecasts, also with gaps and from short panels."""
    if not make().traits.updates:
        return
    task, whole = synthetic_task(), _gappy(synthetic_panel())
    once = _after(make, whole, [len(whole.times)]).predict(whole)
    for steps in (range(FITTED + 1, len(whole.times) + 1), [FITTED + 3, FITTED + 31, len(whole.times)]):
        expect_same(_after(make, whole, steps).predict(whole), once, "updates in steps must equal one at once", 1e-6)
    need = task.context + task.horizon
    short = make().fit(whole.rows(slice(0, FITTED)), task)
    for end in range(FITTED + 1, len(whole.times) + 1):
        short.update(whole.rows(slice(end - 3 - need, end)))
    expect_same(short.predict(whole), once, "updates from short panels must equal one from a long panel", 1e-6)


def check_update_learns_rows_once(make: Make) -> None:
    """The same panel again changes nothing; rows up to `data_end_` do not count, whatever they hold now."""
    if not make().traits.updates:
        return
    whole = synthetic_panel()
    model = _after(make, whole, [len(whole.times)])
    wanted = model.predict(whole)
    expect(model.data_end_ == whole.end, f"after an update data_end_ is {model.data_end_}, the rows end {whole.end}")
    expect_same(model.update(whole).predict(whole), wanted, "a second update with the same rows must change nothing")
    altered = with_values(whole, whole.values * HUGE)
    expect_same(model.update(altered).predict(whole), wanted, "rows up to data_end_ must not be learnt twice")


def check_update_learns(make: Make) -> None:
    """An update moves the forecasts, their points if at all towards those of a fit on all rows: the world is warmer."""
    if not make().traits.updates:
        return
    task, whole = synthetic_task(), synthetic_panel(400)
    values = whole.values.copy()  # (N, T, C)
    values[:, FITTED:] += np.cumsum(np.full((400 - FITTED, 1), 0.05), 0) * np.sin(np.arange(400 - FITTED) / 3)[:, None]
    turned = with_values(whole, values)
    before = make().fit(turned.rows(slice(0, FITTED)), task)
    old, refitted = before.predict(turned), make().fit(turned, task).predict(turned)
    found = before.update(turned).predict(turned)
    expect_fine(found, "after an update")
    moved = float(np.abs(found.quantiles - old.quantiles).mean())
    expect(moved > 0, "an update with 250 new rows changes no forecast: nothing was learnt")
    left = float(np.abs(found.point - refitted.point).mean()), float(np.abs(old.point - refitted.point).mean())
    expect(left[0] <= left[1], f"an update leads away from a fit on all rows: {left[0]:.3g} instead of {left[1]:.3g}")


def check_update_is_blind_to_the_future(make: Make) -> None:
    """Rows that lie in memory behind the panel's end are not learnt."""
    if not make().traits.updates:
        return
    whole, end = synthetic_panel(), 180
    values = whole.values.copy()  # (N, T, C)
    values[:, end:] = HUGE
    seen = whole.rows(slice(0, end))
    wanted = _after(make, whole, [end]).predict(seen)
    expect_same(_after(make, with_values(whole, values), [end]).predict(seen), wanted, "rows after the end were learnt")


def check_update_needs_its_context(make: Make) -> None:
    """A panel that does not reach far enough back is refused with the rows needed, and leaves the model as it was."""
    if not make().traits.updates:
        return
    task, whole = synthetic_task(), synthetic_panel()
    model = make().fit(whole.rows(slice(0, FITTED)), task)
    wanted = model.predict(whole)
    try:
        model.update(whole.rows(slice(FITTED - task.context - task.horizon + 1, None)))
    except ShortHistoryError as error:
        need = f"at least {task.context + task.horizon} rows"
        expect(need in str(error), f"the error must say '{need}': {error}")
    else:
        raise ContractError("an update from a panel that does not reach far enough back must raise ShortHistoryError")
    expect_same(model.predict(whole), wanted, "a refused update must leave the model as it was")


def _after(make: Make, panel: Panel, ends: Sequence[int] | range) -> Forecaster:
    """A model fitted on the first rows of the panel and updated up to each of `ends` in turn."""
    model = make().fit(panel.rows(slice(0, FITTED)), synthetic_task())
    for end in ends:
        model.update(panel.rows(slice(0, end)))
    return model


def _gappy(panel: Panel) -> Panel:
    """Single holes, a row without any value, and a newest row that is complete."""
    holes = np.random.default_rng(4).random(panel.shape) < 0.05  # (N, T, C)
    holes[:, [FITTED + 7, FITTED + 8]] = True
    holes[:, -1] = False
    return with_values(panel, np.where(holes, np.nan, panel.values))
