"""Small, large and odd questions: each has an answer of the right shape, or an error in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from forecast.checks.data import TEMPERATURE, Make, synthetic_panel, synthetic_task, with_values
from forecast.checks.expect import ContractError, expect, expect_fine
from forecast.errors import NotFittedError, SchemaError, ShortHistoryError
from forecast.panel import Panel
from forecast.schema import Variable


def check_shape(make: Make) -> None:
    """A forecast has (N, H, C, Q) quantiles, the panel's series and end, and the task's variables and levels."""
    panel, task = synthetic_panel(), synthetic_task()
    found = make().fit(panel, task).predict(panel)
    expect_fine(found, "plain data")
    expect(
        found.quantiles.shape == (3, 3, 2, 3), f"quantiles have shape {found.quantiles.shape}, expected (3, 3, 2, 3)"
    )
    names = found.series, found.origin, found.variables, found.levels
    expect(names == (panel.series, panel.end, task.target_names, task.levels), f"the forecast says {names}")


def check_unfitted_says_so(make: Make) -> None:
    """`predict` before `fit` raises NotFittedError."""
    try:
        make().predict(synthetic_panel())
    except NotFittedError:
        return
    raise ContractError("an unfitted model must raise NotFittedError")


def check_one_series(make: Make) -> None:
    """One series is enough."""
    panel, task = synthetic_panel(series=("JFK",)), synthetic_task()
    expect_fine(make().fit(panel, task).predict(panel), "one series")


def check_one_variable(make: Make) -> None:
    """One target without past inputs is enough."""
    panel, task = synthetic_panel(), synthetic_task(targets=(TEMPERATURE,), past=())
    found = make().fit(panel, task).predict(panel)
    expect_fine(found, "one variable")
    expect(found.quantiles.shape[2] == 1, f"one variable asked, {found.quantiles.shape[2]} given")


def check_horizon_one(make: Make) -> None:
    """A horizon of one step works."""
    panel, task = synthetic_panel(), synthetic_task(horizon=1)
    found = make().fit(panel, task).predict(panel)
    expect_fine(found, "horizon 1")
    expect(found.horizon == 1, f"horizon 1 asked, {found.horizon} given")


def check_single_level(make: Make) -> None:
    """The median alone works: Q = 1."""
    panel, task = synthetic_panel(), synthetic_task(levels=(0.5,))
    found = make().fit(panel, task).predict(panel)
    expect_fine(found, "levels (0.5,)")
    expect(found.quantiles.shape[-1] == 1, f"one level asked, {found.quantiles.shape[-1]} given")


def check_constant_series(make: Make) -> None:
    """Series that never change (scale zero) are forecast near their level."""
    panel, task = synthetic_panel(), synthetic_task()
    flat = with_values(panel, np.full(panel.shape, 20.0))
    found = make().fit(flat, task).predict(flat)
    expect_fine(found, "constant series")
    worst = float(np.abs(found.point - 20).max())
    expect(worst <= 2, f"series constant at 20 are forecast {worst:.3g} away from it")


def check_infinite_is_refused(make: Make) -> None:
    """Infinite inputs never reach a model: the panel refuses them, in words."""
    panel, task = synthetic_panel(), synthetic_task()
    values = panel.values.copy()  # (N, T, C)
    values[0, -1, 0] = np.inf
    try:
        make().fit(panel, task).predict(with_values(panel, values))
    except SchemaError as error:
        expect("infinite" in str(error), f"the error must say 'infinite': {error}")
        return
    raise ContractError("an infinite input must be refused")


def check_huge_values(make: Make) -> None:
    """A spike of 1e9 in the context, or in training, gives finite forecasts inside the bounds."""
    panel, task = synthetic_panel(), synthetic_task()
    values = panel.values.copy()  # (N, T, C)
    values[0, -5] = 1e9
    spiky = with_values(panel, values)
    for model in (make().fit(panel, task), make().fit(spiky, task)):
        found = model.predict(spiky)
        expect_fine(found, "a spike of 1e9")
        _expect_inside(found.quantiles, task.targets)


def check_short_history(make: Make) -> None:
    """Too few rows: an error that names how many are needed, and that many are enough."""
    panel, task = synthetic_panel(), synthetic_task()
    try:
        make().fit(panel.rows(slice(0, task.context)), task)
    except ShortHistoryError as error:
        needed = re.search(r"at least (\d+) rows", str(error))
        expect(needed is not None, f"the error must say 'at least N rows': {error}")
        assert needed is not None
        enough = panel.rows(slice(0, int(needed[1])))
        expect_fine(make().fit(enough, task).predict(enough), f"{needed[1]} rows are said to be enough")
    else:
        raise ContractError(f"a fit on {task.context} rows, the context alone, must raise ShortHistoryError")
    try:
        make().fit(panel, task).predict(panel.tail(task.context - 1))
    except ShortHistoryError as error:
        expect(f"needs {task.context} rows" in str(error), f"the error must name the rows needed: {error}")
    else:
        raise ContractError("a forecast from less than a context must raise ShortHistoryError")


def check_quantiles(make: Make) -> None:
    """Quantiles increase with the level and stay inside the physical bounds, also close to them."""
    panel, task = synthetic_panel(), synthetic_task(levels=(0.05, 0.25, 0.5, 0.75, 0.95))
    values = panel.values.copy()  # (N, T, C)
    values[..., 1] = np.clip(values[..., 1] + 35, 0, 100)
    damp = with_values(panel, values)
    found = make().fit(damp, task).predict(damp)
    expect_fine(found, "humid data")
    expect(bool((np.diff(found.quantiles, axis=-1) >= 0).all()), "quantiles cross")
    _expect_inside(found.quantiles, task.targets)


def check_scale(make: Make) -> None:
    """Data in other units, a thousand times smaller or larger, are forecast inside their own range."""
    panel = synthetic_panel()
    task = synthetic_task(targets=(Variable("temperature"), Variable("humidity")), past=(Variable("wind"),))
    for factor in (1e-3, 1e3):
        scaled = with_values(panel, panel.values * factor)
        found = make().fit(scaled, task).predict(scaled).point  # (N, H, C)
        low, high = scaled.values.min((0, 1))[:2], scaled.values.max((0, 1))[:2]  # (C,)
        inside = (found >= low - 2 * (high - low)) & (found <= high + 2 * (high - low))
        expect(bool(inside.all()), f"data times {factor:g} are forecast far outside their range")


def check_wrong_step(make: Make) -> None:
    """A panel of another step is refused, in words."""
    panel, task = synthetic_panel(), synthetic_task()
    coarse = Panel(panel.values[:, ::2], panel.times[::2], panel.series, panel.variables, step=2 * panel.step)
    try:
        make().fit(coarse, task)
    except SchemaError as error:
        expect("step" in str(error), f"the error must name the step: {error}")
        return
    raise ContractError("a panel of another step must be refused")


def _expect_inside(quantiles: np.ndarray, targets: Sequence[Variable]) -> None:
    for c, v in enumerate(targets):
        inside = (quantiles[..., c, :] >= v.lower) & (quantiles[..., c, :] <= v.upper)
        expect(bool(inside.all()), f"forecasts of '{v.name}' leave [{v.lower:g}, {v.upper:g}]")
