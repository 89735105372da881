"""A question and an answer made from a panel and forecasts, against a loop over origins, series and leads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forecast.errors import SchemaError
from forecast.evaluation import Asked, report
from forecast.evaluation.asking import answer_of, question_of
from forecast.panel import Panel, stamp
from forecast.schema import Task, Variable
from models.persistence import Persistence
from tests.evaluation.asking import START, walks

DAY = timedelta(days=1)
TASK = Task([Variable("a"), Variable("b")], step=DAY, horizon=7, context=14, past=[Variable("c")], patience=6)
ORIGINS = [datetime(2020, 9, 4, tzinfo=UTC) + 7 * k * DAY for k in range(9)]  # Fridays


@pytest.fixture
def panel() -> Panel:
    values = walks(series=2, days=303, variables=3)  # ends three days after the last origin
    values[1, 240:260, 1] = np.nan
    return Panel(values, START + np.arange(303) * np.timedelta64(1, "D"), ("x", "y"), ("c", "b", "a"), DAY)


def test_question_is_what_a_loop_finds(panel: Panel) -> None:
    question, column = question_of(panel, TASK, ORIGINS), {"a": 2, "b": 1}
    for b, origin in enumerate(ORIGINS):
        row = int(np.flatnonzero(panel.times == stamp(origin))[0])
        for n in range(2):
            for c, name in enumerate(("a", "b")):
                seen = panel.values[n, : row + 1, column[name]]
                assert question.last[b, n, c] == seen[~np.isnan(seen)][-1]
                for h in range(7):
                    inside = row + 1 + h < len(panel.times)
                    came = panel.values[n, row + 1 + h, column[name]] if inside else np.nan
                    np.testing.assert_equal(question.truth[b, n, h, c], came)
    assert (question.stride, question.patience, question.names) == (7, 6, ("a", "b"))
    assert question.history.end == ORIGINS[0]


def test_answers_of_seeds_fill_a_report(panel: Panel) -> None:
    question = question_of(panel, TASK, ORIGINS)
    forecasts = Persistence().fit(panel.until(ORIGINS[0]), TASK).predict_at(panel, ORIGINS)
    answer = answer_of(question, "last", [forecasts, forecasts], {"fits": "1"}, {"fit": 2.0})
    assert answer.seeds == 2
    for b, one in enumerate(forecasts):
        np.testing.assert_equal(answer.points[1, b], one.point)
    scored = report(question, [answer], Asked("last")).numbers
    assert scored.height
    assert answer.cpu_s == {"fit": 2.0}


def test_what_does_not_fit_is_refused(panel: Panel) -> None:
    with pytest.raises(SchemaError, match=r"origin 2020-09-04T06:00:00\.000000 is not on the panel's grid"):
        question_of(panel, TASK, [ORIGINS[0] + timedelta(hours=6)])
    with pytest.raises(SchemaError, match="there is no origin"):
        question_of(panel, TASK, [])
    with pytest.raises(SchemaError, match="apart"):
        question_of(panel, TASK, [ORIGINS[0], ORIGINS[1], ORIGINS[3]])
    question = question_of(panel, TASK, ORIGINS)
    model = Persistence().fit(panel.until(ORIGINS[0]), TASK)
    late = model.predict_at(panel, [origin + DAY for origin in ORIGINS])
    with pytest.raises(SchemaError, match="forecasts of 'late' are not from the question's origins"):
        answer_of(question, "late", [late])
    one = Panel(panel.values[:1], panel.times, ("x",), panel.variables, DAY)
    fewer = Persistence().fit(one.until(ORIGINS[0]), TASK).predict_at(one, ORIGINS)
    with pytest.raises(SchemaError, match="other series or variables"):
        answer_of(question, "fewer", [fewer])
    with pytest.raises(SchemaError, match="one row per seed"):
        answer_of(question, "none", [])
