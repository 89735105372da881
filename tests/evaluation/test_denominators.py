"""Denominators against literal loops, and against the plain ones where the task has no stride and no gap."""

from __future__ import annotations

import numpy as np
import pytest

from forecast.evaluation.denominators import matched_scale
from forecast.metrics import naive_scale
from tests.evaluation.asking import ask, walks


def test_without_stride_and_patience_they_are_the_plain_ones() -> None:
    values = walks(2, variables=2)
    values[0, 40:90, 1] = np.nan
    q = ask(values, stride=1, patience=0)
    scale = matched_scale(q)
    leads = range(1, 8)
    np.testing.assert_allclose(scale.absolute, naive_scale(q.history.values, leads))
    np.testing.assert_allclose(scale.squared, naive_scale(q.history.values, leads, kind="squared"))


@pytest.mark.parametrize("first", [305, 307, 309])  # a Friday, a Sunday, a Tuesday
@pytest.mark.parametrize("patience", [0, 2, 6])
def test_with_a_stride_they_are_those_of_a_loop_over_rows_of_the_phase(first: int, patience: int) -> None:
    values = walks(2)
    values[:, 100:103] = np.nan
    q = ask(values, first, patience=patience)
    scale, history = matched_scale(q), q.history.values[..., 0]
    for n in range(2):
        for h in range(1, 8):
            gaps = []
            for t in range(first % 7, history.shape[1] - h, 7):
                ages = [a for a in range(patience + 1) if t - a >= 0 and not np.isnan(history[n, t - a])]
                if ages and not np.isnan(history[n, t + h]):
                    gaps.append(history[n, t + h] - history[n, t - ages[0]])
            want = [np.mean(np.abs(gaps)), np.sqrt(np.mean(np.square(gaps)))] if gaps else [np.nan] * 2
            np.testing.assert_allclose([scale.absolute[n, h - 1, 0], scale.squared[n, h - 1, 0]], want)


def test_persistence_of_a_walk_scores_about_one_at_every_lead() -> None:
    """What the matching is for: of a random walk, MASE of persistence is 1 at lead 1 as at lead 7."""
    q = ask(walks(40, 3000), first=1502)  # a Friday
    scale = matched_scale(q).absolute  # (N, H, C)
    assert np.isnan(scale[:, :2]).all()  # weekends
    error = np.abs(q.truth - q.last[:, :, None])[:, :, 2:]  # (B, N, 5, C)
    np.testing.assert_allclose(np.mean(error / scale[:, 2:], axis=(0, 1, 3)), 1, atol=0.1)


def test_what_never_changed_has_none() -> None:
    values = walks(2)
    values[1, :306] = 0.1 + 0.2
    scale = matched_scale(ask(values))
    assert np.isnan(scale.absolute[1]).all()
    assert np.isnan(scale.unit()[:, 1]).all()
    assert np.isfinite(scale.unit()[:, 0]).all()
