"""The report of a backtest: one function for any question, with the reference in every table and a test beside claims.

Use it after the forecasts are made: it looks at nothing but truths, forecasts and the history before the first fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from forecast.evaluation.asked import Asked
from forecast.evaluation.facts import facts, notes
from forecast.evaluation.findings import find
from forecast.evaluation.numbers import numbers
from forecast.evaluation.pages import pages
from forecast.evaluation.question import Answer, Question
from forecast.evaluation.sheet import Sheet
from forecast.evaluation.statements import statements


@dataclass(frozen=True, eq=False)
class Report:
    """What can be said, in words and tables.

    Args:
        facts: name -> words: what was asked, of how much data, under which rules.
        statements: sentences on who beats the reference, and who does not.
        sheets: tables. notes: how to read them.
        numbers: label, variable, group, of, measure, value: the figures of the tables, one a row.
    """

    facts: Mapping[str, str]
    statements: Sequence[str]
    sheets: Sequence[Sheet]
    notes: Sequence[str]
    numbers: pl.DataFrame

    def markdown(self, title: str = "") -> str:
        """The whole report; the title is a heading of the first order."""
        parts = [f"# {title}"] if title else []
        parts.append("\n".join(f"- {name}: {words}" for name, words in self.facts.items()))
        parts += ["## What can be said", "\n".join(f"- {sentence}" for sentence in self.statements), "## Tables"]
        parts += [sheet.markdown() for sheet in self.sheets]
        parts += ["## How to read this", "\n".join(f"- {note}" for note in self.notes)]
        return "\n\n".join(parts) + "\n"


def report(question: Question, answers: Sequence[Answer], asked: Asked = Asked()) -> Report:  # noqa: B008  # frozen
    """Compare answers to one question.

    Args:
        question: what was asked and what came. answers: of all contestants, the references among them.
        asked: what the report shall contain.

    Returns:
        Errors, skill with 95 % intervals, paired tests, the model confidence set, directions, seeds, and where asked
        for leads, weekdays, regimes, filled gaps and a trading rule; on the pairs that all contestants have.

    Raises:
        SchemaError: shapes that do not fit, a label twice, a lead beyond the horizon.
        UnknownNameError: no such reference or variable. NoFreshDataError: no pair that all contestants have.

    >>> import numpy as np
    >>> from datetime import timedelta
    >>> from forecast.panel import Panel
    >>> from forecast.schema import Variable
    >>> days = np.datetime64("2024-01-01", "us") + np.arange(60) * np.timedelta64(1, "D")
    >>> walk = 100 + np.random.default_rng(0).normal(size=60).cumsum()
    >>> history = Panel(walk[None, :30, None], days[:30], ["a"], ["open"], timedelta(days=1))
    >>> truth, last = walk[30:].reshape(-1, 1, 1, 1), walk[29:-1].reshape(-1, 1, 1)
    >>> question = Question(truth, last, days[29:-1], history, [Variable("open")])
    >>> answers = [Answer("persistence", last[None, :, :, None]), Answer("lower", last[None, :, :, None] - 0.5)]
    >>> print(report(question, answers).statements[0])
    open, absolute errors: does not beat persistence, is worse: lower (skill -0.260).
    """
    found = find(question, answers, asked)
    return Report(facts(found), statements(found), pages(found), notes(found), numbers(found))
