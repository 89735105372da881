"""Small questions and answers for the tests of reports."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from forecast.evaluation import Answer, Question
from forecast.panel import Panel
from forecast.schema import Variable
from forecast.windows import forward_fill

DAY = np.timedelta64(1, "D")
START = np.datetime64("2020-01-06", "us")  # a Monday


def walks(series: int = 1, days: int = 700, variables: int = 1, seed: int = 0, *, weekends: bool = False) -> np.ndarray:
    """(N, T, C) random walks around 1,000, NaN on Saturdays and Sundays unless asked for."""
    steps = np.random.default_rng(seed).normal(0, 10, (series, days, variables))  # (N, T, C)
    values = 1000 + steps.cumsum(axis=1)
    if not weekends:
        values[:, np.arange(days) % 7 >= 5] = np.nan
    return values


def ask(values: np.ndarray, first: int = 305, stride: int = 7, horizon: int = 7, patience: int = 6) -> Question:
    """A question about (N, T, C) daily values; the first origin is row `first`, by default a Friday."""
    n, t, c = values.shape
    rows = np.arange(first, t - horizon, stride)  # (B,)
    times = START + np.arange(t) * DAY
    truth = values[:, rows[:, None] + np.arange(1, horizon + 1)].transpose(1, 0, 2, 3)  # (B, N, H, C)
    last = forward_fill(values)[:, rows].swapaxes(0, 1)  # (B, N, C)
    names = [f"v{k}" for k in range(c)]
    made = Panel(values[:, : first + 1], times[: first + 1], [f"s{k:02d}" for k in range(n)], names, timedelta(days=1))
    return Question(truth, last, times[rows], made, [Variable(name) for name in names], stride, patience)


def hold(question: Question, seeds: int = 1) -> Answer:
    """Persistence."""
    points = np.broadcast_to(question.last[:, :, None], question.truth.shape)
    return Answer("persistence", np.stack([points] * seeds))


def near(question: Question, label: str, noise: float, seeds: int = 1, seed: int = 0) -> Answer:
    """The truth (where there is none, the newest value) plus noise."""
    known = np.where(np.isnan(question.truth), question.last[:, :, None], question.truth)
    rng = np.random.default_rng(seed)
    return Answer(label, known + rng.normal(0, noise, (seeds, *known.shape)))


def far(question: Question, label: str, noise: float, seeds: int = 1, seed: int = 1) -> Answer:
    """Persistence plus noise: worse than it by construction."""
    points = hold(question).points + np.random.default_rng(seed).normal(0, noise, (seeds, *question.truth.shape))
    return Answer(label, points)
