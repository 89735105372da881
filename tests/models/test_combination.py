"""Combination: means and medians of quantiles, members as they would be alone."""

from __future__ import annotations

import numpy as np
import pytest

from forecast.checks.data import synthetic_panel, synthetic_task
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.schema import Variable
from models.climatology import Climatology
from models.combination import Combination
from models.persistence import Persistence
from models.seasonal_naive import SeasonalNaive

PANEL, TASK = synthetic_panel(), synthetic_task()


def members() -> dict[str, Forecaster]:
    return {"last": Persistence(), "usual": Climatology(), "yesterday": SeasonalNaive()}


@pytest.mark.parametrize(("by", "way"), [("mean", np.mean), ("median", np.median)])
def test_quantiles_are_combined_level_by_level(by: str, way: object) -> None:
    alone = [m.fit(PANEL, TASK).predict(PANEL).quantiles for m in members().values()]
    found = Combination(members(), by).fit(PANEL, TASK).predict(PANEL).quantiles
    np.testing.assert_allclose(found, way(np.stack(alone), axis=0), atol=1e-9)  # type: ignore[operator]


def test_members_are_combined_as_they_would_answer() -> None:
    """Inside the bounds: a member beyond them would carry the mean away."""
    task = synthetic_task(targets=(Variable("temperature", "degC", -90, 12), Variable("humidity", "%", 60, 100)))
    alone = [m.fit(PANEL, task).predict(PANEL).quantiles for m in members().values()]
    found = Combination(members()).fit(PANEL, task).predict(PANEL).quantiles
    np.testing.assert_allclose(found, np.mean(alone, axis=0), atol=1e-9)


def test_members_given_stay_unfitted() -> None:
    given = members()
    Combination(given).fit(PANEL, TASK)
    assert all(m.task_ is None for m in given.values())


def test_traits_are_those_of_any_member() -> None:
    combined = Combination(members()).traits
    assert combined.regional
    assert combined.missing
    assert not combined.exogenous


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(SchemaError, match="no members"):
        Combination({})
    with pytest.raises(UnknownNameError, match="did you mean 'median'"):
        Combination(members(), "medial")
