"""The long/flat rule over all contestants, series, seeds and costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecast.evaluation.asked import Trade
from forecast.evaluation.question import Answer, Question
from forecast.evaluation.trading import Earned, decisions, earned

HOLD, FLAT = "buy and hold", "always flat"


def traded(question: Question, answers: Sequence[Answer], trade: Trade) -> dict[str, Earned]:
    """label -> what it earned, (K, S, N) for K costs, S seeds and N series; holding and doing nothing first.

    Truths that only some contestants forecast can be traded at all the same. Nothing without a variable.
    """
    if not trade.variable:
        return {}
    c = question.names.index(trade.variable)
    shape = question.truth.shape[:2]  # (B, N)
    wants = {HOLD: np.ones((1, *shape), bool), FLAT: np.zeros((1, *shape), bool)}  # (1, B, N)
    for answer in answers:
        points = np.moveaxis(answer.points[..., c], 2, 0)  # (N, S, B, H)
        calls = [decisions(points[n], question.last[:, n, c]) for n in range(shape[1])]  # N of (S, B)
        wants[answer.label] = np.stack(calls, axis=-1)  # (S, B, N)
    return {label: _all(want, question, c, trade) for label, want in wants.items()}


def _all(want: np.ndarray, question: Question, c: int, trade: Trade) -> Earned:
    made = [
        [
            earned(
                want[..., n],
                question.truth[:, n, :, c],
                cost_bp=cost,
                stride=question.stride,
                step=question.history.step,
            )
            for n in range(want.shape[2])
        ]
        for cost in trade.costs_bp
    ]
    fields = ("total", "sharpe", "trades", "long")
    return Earned(*(np.stack([np.stack([getattr(e, f) for e in row], axis=-1) for row in made]) for f in fields))
