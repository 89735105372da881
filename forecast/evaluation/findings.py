"""All that was found out about the answers, before it is put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecast.errors import SchemaError, UnknownNameError
from forecast.evaluation.asked import Asked, Views
from forecast.evaluation.compare import Versus, against, confidence
from forecast.evaluation.denominators import matched_scale
from forecast.evaluation.direction import Direction, direction
from forecast.evaluation.filling import filled_truth
from forecast.evaluation.ground import Ground, common_ground
from forecast.evaluation.measure import Measured, measure
from forecast.evaluation.question import Answer, Question
from forecast.evaluation.traded import traded
from forecast.evaluation.trading import Earned

FEW = 3  # models, from which on a model confidence set says more than a pair


@dataclass(frozen=True, eq=False)
class Findings:
    """Of A contestants, the best first by skill in MAE against the reference, over everything.

    Args:
        question: as it was given. asked: the settings. ground: the common pairs and views.
        measured: label -> errors. versus: label of each reference -> the others against it; none without others.
        confidence: (A, 2, C') p-values of the model confidence set; None for fewer than three models.
        directions: label -> one per variable. filled: label -> errors with filled gaps; empty where not asked for.
        traded: label -> (K, S, N) of the long/flat rule, holding and doing nothing among them; empty likewise.
    """

    question: Question
    asked: Asked
    ground: Ground
    measured: Mapping[str, Measured]
    versus: Mapping[str, Versus]
    confidence: np.ndarray | None
    directions: Mapping[str, Sequence[Direction]]
    filled: Mapping[str, Measured]
    traded: Mapping[str, Earned]

    @property
    def answers(self) -> list[Answer]:
        return [one.answer for one in self.measured.values()]

    @property
    def reference(self) -> Measured:
        return self.measured[self.asked.reference]


def find(question: Question, answers: Sequence[Answer], asked: Asked) -> Findings:
    """Measure, rank, compare.

    Raises:
        SchemaError, UnknownNameError, NoFreshDataError: see `report`.
    """
    _check(question, answers, asked)
    scale = matched_scale(question)
    ground = common_ground(question, answers, scale, asked.views, pool=asked.pool)
    measured = _ranked({a.label: measure(a, ground) for a in answers}, asked.reference)
    references = (asked.reference, *asked.references)
    versus = {
        label: against(measured[label], [one for other, one in measured.items() if other != label], asked.block)
        for label in (references if len(answers) > 1 else ())
    }
    filled = {}
    if asked.views.filled:
        truth = filled_truth(question)
        full = common_ground(replace(question, truth=truth), answers, scale, Views(leads=()), pool=False)
        filled = {label: measure(one.answer, full) for label, one in measured.items()}
    return Findings(
        question=question,
        asked=asked,
        ground=ground,
        measured=measured,
        versus=versus,
        confidence=confidence(list(measured.values()), asked.block) if len(answers) >= FEW else None,
        directions={label: _directions(one.answer, ground, asked.block) for label, one in measured.items()},
        filled=filled,
        traded=traded(question, answers, asked.trade),
    )


def _check(question: Question, answers: Sequence[Answer], asked: Asked) -> None:
    labels = [a.label for a in answers]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise SchemaError(f"contestants {twice} are there more than once: give each a label of its own")
    for label in (asked.reference, *asked.references):
        if label not in labels:
            raise UnknownNameError("contestant to compare with", label, labels)
    if asked.trade.variable and asked.trade.variable not in question.names:
        raise UnknownNameError("variable to trade", asked.trade.variable, question.names)
    if asked.trade.variable:
        check_prices(question.truth[..., question.names.index(asked.trade.variable)], asked.trade.variable)


def check_prices(values: np.ndarray, name: str) -> None:
    """Refuse to trade at what is no price.

    Raises:
        SchemaError: values at or below zero.
    """
    wrong = values[values <= 0]
    if wrong.size:
        raise SchemaError(
            f"'{name}' has {wrong.size} values at or below zero, the lowest {wrong.min():g}: one can only trade at "
            "prices. Name a variable that is one, or leave the rule out"
        )


def _ranked(measured: dict[str, Measured], reference: str) -> dict[str, Measured]:
    """By mean skill over the variables, or by the pooled one."""
    base = measured[reference]

    def mean(one: Measured) -> float:
        skill = one.skill(base)[0, 0]  # (C',)
        skill = skill[-1:] if one.ground.pool else skill
        return float(np.nanmean(skill)) if not np.isnan(skill).all() else -np.inf

    return dict(sorted(measured.items(), key=lambda pair: -mean(pair[1])))


def _directions(answer: Answer, ground: Ground, block: int) -> list[Direction]:
    q = ground.question
    block = 1 if block == q.overlap == 1 else max(block, q.overlap)
    return [
        direction(q.truth[..., c], q.last[..., c], answer.points[..., c], q.overlap, block)
        for c in range(len(q.variables))
    ]
