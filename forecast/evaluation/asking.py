"""Asking by hand: a question from a panel and some origins, an answer from forecasts. For notebooks and scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import numpy as np

from forecast.errors import SchemaError
from forecast.evaluation.question import Answer, Question
from forecast.panel import Panel, stamp
from forecast.result import Forecast
from forecast.schema import Task
from forecast.windows import forward_fill, truth_at

NOTHING: Mapping = MappingProxyType({})


def question_of(panel: Panel, task: Task, origins: Sequence[datetime]) -> Question:
    """What is asked from B `origins`, and what came.

    Args:
        panel: history and truths. task: its targets are asked for.
        origins: on the panel's grid, evenly spaced; rows up to the first one are the history before the first fit.

    Raises:
        SchemaError: no origin, or one that is not on the grid; others as `Question` has them.
        UnknownNameError: a target that the panel does not have.

    >>> from datetime import timedelta
    >>> from forecast.checks import synthetic_panel, synthetic_task
    >>> panel, task = synthetic_panel(), synthetic_task()
    >>> origins = [panel.end - k * task.step for k in (20, 10)]
    >>> question = question_of(panel, task, origins)
    >>> question.truth.shape, question.stride, question.history.end == origins[0]
    ((2, 3, 3, 2), 10, True)
    """
    targets = panel.select(task.target_names).with_outlook(())
    wanted = np.array([stamp(origin) for origin in origins], "datetime64[us]")  # (B,)
    rows = np.searchsorted(targets.times, wanted)  # (B,)
    absent = ~np.isin(wanted, targets.times)  # (B,)
    if absent.any() or not len(wanted):
        given = f"origin {wanted[absent][0]} is not on the panel's grid" if absent.any() else "there is no origin"
        raise SchemaError(f"{given}: take them from panel.times, {targets.times[0]} to {targets.times[-1]}")
    last = forward_fill(targets.values)[:, rows].swapaxes(0, 1)  # (B, N, C)
    stride = int(rows[1] - rows[0]) if len(rows) > 1 else task.horizon
    history = targets.rows(slice(0, int(rows[0]) + 1))
    return Question(truth_at(targets, task, rows), last, wanted, history, task.targets, stride, task.patience)


def answer_of(
    question: Question,
    label: str,
    forecasts: Sequence[Sequence[Forecast]],
    about: Mapping[str, str] = NOTHING,
    cpu_s: Mapping[str, float] = NOTHING,
) -> Answer:
    """What one contestant says: for each seed its forecasts from the question's origins, in their order.

    Raises:
        SchemaError: forecasts from other origins, or of other series or variables.

    >>> from forecast.checks import synthetic_panel, synthetic_task
    >>> from models.persistence import Persistence
    >>> panel, task = synthetic_panel(), synthetic_task()
    >>> origins = [panel.end - k * task.step for k in (20, 10)]
    >>> forecasts = Persistence().fit(panel.until(origins[0]), task).predict_at(panel, origins)
    >>> answer_of(question_of(panel, task, origins), "persistence", [forecasts]).points.shape
    (1, 2, 3, 3, 2)
    """
    for made in forecasts:
        if not np.array_equal([stamp(one.origin) for one in made], question.origins):
            raise SchemaError(f"forecasts of '{label}' are not from the question's origins: predict_at(panel, origins)")
        if any((one.series, one.variables) != (question.history.series, question.names) for one in made):
            raise SchemaError(f"forecasts of '{label}' have other series or variables than the question: ask the same")
    return Answer(label, np.array([[one.point for one in made] for made in forecasts]), about, cpu_s)
