"""The raw prediction: the outlook as issued, at its lead, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from forecast.errors import SchemaError
from forecast.panel import Panel
from forecast.schema import Task, Variable
from models.nwp import NWP

TASK = Task(targets=(Variable("t"), Variable("w")), future=(Variable("t_nwp"),), horizon=3, context=2)


def panel(bias: float = 0.0, outlook: bool = True) -> Panel:
    """The prediction of t is right but for `bias`; of w there is none."""
    truth = np.random.default_rng(0).normal(size=(1, 203, 2))  # (N, T+H, C)
    times = np.datetime64("2024-01-01", "us") + np.arange(200) * np.timedelta64(1, "h")
    ahead = np.stack([truth[:, k : k + 200, :1] for k in (1, 2, 3)], axis=2) + bias  # (N, T, K, F)
    return Panel(
        truth[:, :200],
        times,
        ("A",),
        ("t", "w"),
        timedelta(hours=1),
        ahead if outlook else None,
        ("t_nwp",) if outlook else (),
    )


def test_it_says_what_was_issued_and_persists_where_nothing_was() -> None:
    here = panel()
    found = NWP().fit(here, TASK).predict(here)
    np.testing.assert_array_equal(found.point[0, :, 0], here.outlook[0, -1, :, 0])  # type: ignore[index]
    np.testing.assert_array_equal(found.point[0, :, 1], np.full(3, here.values[0, -1, 1]))


def test_without_bias_where_asked() -> None:
    here = panel(bias=2.5)
    plain, mended = (NWP(unbiased=u).fit(here, TASK).predict(here).point[0, :, 0] for u in (False, True))
    np.testing.assert_allclose(plain - mended, 2.5)


def test_a_gap_in_the_outlook_takes_the_last_value() -> None:
    here = panel()
    ahead = np.array(here.outlook)
    ahead[0, -1, 1] = np.nan
    gappy = Panel(here.values, here.times, here.series, here.variables, here.step, ahead, here.outlook_variables)
    point = NWP().fit(gappy, TASK).predict(gappy).point[0, :, 0]
    np.testing.assert_array_equal(point, [ahead[0, -1, 0, 0], here.values[0, -1, 0], ahead[0, -1, 2, 0]])


def test_without_predictions_it_says_so() -> None:
    with pytest.raises((SchemaError, LookupError), match="outlook"):
        NWP().fit(panel(outlook=False), TASK)
