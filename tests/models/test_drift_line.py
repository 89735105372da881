"""The drift line against a literal loop, and which rows it looks at."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from forecast.errors import SchemaError
from forecast.panel import Panel
from forecast.schema import Task, Variable
from models.drift_line import DriftLine

TASK = Task([Variable("a"), Variable("b")], step="1d", horizon=5, context=9)


def panel_of(values: np.ndarray) -> Panel:
    times = np.datetime64("2024-01-01", "us") + np.arange(values.shape[1]) * np.timedelta64(1, "D")
    return Panel(values, times, tuple(f"S{n}" for n in range(len(values))), ("a", "b"), timedelta(days=1))


def walks() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(3, 40, 2)).cumsum(1)  # (N, T, C)


@pytest.mark.parametrize("rows", [2, 5, 9, None])
def test_each_lead_adds_the_mean_of_the_newest_changes(rows: int | None) -> None:
    values = walks()
    found = DriftLine(rows).fit(panel_of(values), TASK).predict(panel_of(values)).point  # (N, H, C)
    for n in range(3):
        for c in range(2):
            line = values[n, :, c].tolist()
            changes = [line[-k] - line[-k - 1] for k in range(1, rows or TASK.context)]
            wanted = [line[-1] + (h + 1) * sum(changes) / len(changes) for h in range(5)]
            np.testing.assert_allclose(found[n, :, c], wanted, rtol=0, atol=1e-12)


def test_what_lies_between_the_ends_or_before_them_is_not_read() -> None:
    values, changed = walks(), walks()
    model = DriftLine(4).fit(panel_of(values), TASK)
    changed[:, [-3, -2]] += 100
    changed[:, :-4] += 1e6
    point = model.predict(panel_of(values)).point
    np.testing.assert_array_equal(model.predict(panel_of(changed)).point, point)
    changed[:, -4] += 1
    assert (model.predict(panel_of(changed)).point != point).all()


@pytest.mark.parametrize("rows", [0, 1, 10, -3])
def test_rows_that_span_no_line_or_leave_the_context_are_refused(rows: int) -> None:
    with pytest.raises(SchemaError, match=rf"spans {rows} rows, the task's context is 9: give from 2 to 9 rows"):
        DriftLine(rows).fit(panel_of(walks()), TASK)
