"""Arguments and columns that used to end in another library's exception, or in a silent default."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from forecast import TableForecaster, from_long
from forecast.errors import NotFittedError, SchemaError, UnknownNameError
from forecast.panel import Panel
from forecast.result import Status
from models.persistence import Persistence
from tests.test_table import HOUR, T0, edge, table

NOT_WHOLE = [0, -1, 2.0, 1.5, "2", True, None]

ARGUMENTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "level text": ({"level": ["80"]}, ["level ['80']", "inside (0, 100)", "[80, 95]"]),
    "level one text": ({"level": "80"}, ["level '80'", "inside (0, 100)"]),
    "level yes": ({"level": True}, ["level True", "inside (0, 100)"]),
    "level NaN": ({"level": [float("nan")]}, ["level [nan]", "inside (0, 100)"]),
    "level twice": ({"level": [80, 95, 80.0]}, ["level [80, 95, 80.0] has 80 twice", "once"]),
    "quantiles outside": ({"quantiles": [1.5]}, ["quantiles [1.5]", "inside (0, 1)", "[0.1, 0.9]"]),
    "quantiles twice": ({"quantiles": [0.1, 0.1]}, ["quantiles [0.1, 0.1] has 0.1 twice", "once"]),
    "id is time": ({"id_col": "ds"}, ["'ds' would be two of the table's columns ds, ds, y", "id_col"]),
    "id is target": ({"id_col": "y"}, ["'y' would be two of the table's columns", "target_col"]),
    "id is past": ({"past_cols": ["unique_id"]}, ["'unique_id' would be two of the table's columns", "past_cols"]),
    "id lead": ({"id_col": "lead"}, ["'lead' would be two of the results' columns", "id_col"]),
    "id cutoff": ({"id_col": "cutoff"}, ["'cutoff' would be two of the results' columns"]),
    "id variable": ({"id_col": "variable", "target_col": ["y", "x"]}, ["'variable' would be two of the results'"]),
    "time cutoff": ({"time_col": "cutoff"}, ["'cutoff' would be two of the results' columns"]),
    "alias target": ({"alias": "y"}, ["'y' would be two of the results' columns", "alias"]),
    "alias time": ({"alias": "ds"}, ["'ds' would be two of the results' columns", "alias"]),
    "alias empty": ({"alias": ""}, ["alias is ''", "text"]),
    "id number": ({"id_col": 0}, ["id_col is 0", "text"]),
    "target none": ({"target_col": None}, ["[None]", "text or `Variable`s"]),
    "past number": ({"past_cols": ["x", 1]}, ["['x', 1]", "text or `Variable`s"]),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_are_checked_on_entry(case: str) -> None:
    options, parts = ARGUMENTS[case]
    model = edge(**options)
    for call in (model.fit, model.cross_validation):
        with pytest.raises(SchemaError) as caught:
            call(table())
        for part in parts:
            assert part in str(caught.value)
    with pytest.raises(NotFittedError):
        model.predict()


@pytest.mark.parametrize("given", NOT_WHOLE)
def test_steps_and_rows_are_whole_numbers(given: Any) -> None:
    for argument in ("h", "context"):
        with pytest.raises(SchemaError, match=rf"{argument} is .* whole number, at least 1"):
            edge(**{argument: given}).fit(table())
    model = edge().fit(table())
    for argument in ("h", "n_windows", "step_size"):
        if given is None and argument != "n_windows":
            continue
        with pytest.raises(SchemaError, match=rf"{argument} is .* whole number, at least 1"):
            model.cross_validation(table(), **{argument: given})
    if given is not None:
        with pytest.raises(SchemaError, match=r"h is .* whole number, at least 1"):
            model.predict(given)
    for argument in ("history", "columns"):
        with pytest.raises(SchemaError, match=rf"{argument} is .* whole number, at least 1"):
            model.plot(**{argument: given})


def test_numpy_counts_and_single_levels_are_taken() -> None:
    wanted = edge(level=[80]).fit(table()).predict(2)
    assert edge(level=80, h=np.int64(3), context=np.int32(6)).fit(table()).predict(np.int8(2)).equals(wanted)
    assert edge(level=np.array([80.0])).fit(table()).predict(2).equals(wanted)
    assert edge(quantiles=0.1).fit(table()).predict().columns[-1] == "Persistence-q-0.1"


COLUMNS: dict[str, tuple[pd.DataFrame, list[str]]] = {
    "mixed target": (
        table().to_pandas().assign(y=["n/a", *range(119)]),
        ["column 'y' holds int, str", "one type", "pandas.to_numeric"],
    ),
    "mixed id": (
        table().to_pandas().assign(unique_id=["A"] * 60 + [2] * 60),
        ["column 'unique_id' holds int, str", "astype(str)"],
    ),
    "too large for an integer": (table().to_pandas().assign(y=[2**70] * 120), ["column 'y' holds int"]),
    "complex": (table().to_pandas().assign(y=1j), ["column 'y' holds complex"]),
    "column twice": (
        pd.concat([table().to_pandas(), table().to_pandas()[["y"]]], axis=1),
        ["column 'y' is in the table 2 times", "keep one"],
    ),
    "time twice": (
        pd.concat([table().to_pandas(), table().to_pandas()[["ds"]]], axis=1),
        ["column 'ds' is in the table 2 times", "keep one"],
    ),
    "tuples": (
        table().to_pandas().assign(unique_id=[("A", "B")] * 120),
        ["'unique_id' is List(String)", "text, categories or numbers", "astype(str)"],
    ),
    "days": (table().to_pandas().assign(unique_id=date(2024, 1, 1)), ["'unique_id' is Date", "text"]),
    "booleans": (table().to_pandas().assign(unique_id=[True] * 60 + [False] * 60), ["'unique_id' is Boolean"]),
    "no number": (table().to_pandas().assign(unique_id=[1.0] * 60 + [np.nan] * 60), ["'unique_id' has 60 missing"]),
    "too large": (
        table().to_pandas().assign(y=[1.0] * 65 + [-1e40] + [1.0] * 54),
        ["column 'y' has 1 values beyond 1e+30", "'B' 2024-03-01 05:00 UTC: -1e+40", "larger unit"],
    ),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_that_cannot_be_read_are_named(case: str) -> None:
    frame, parts = COLUMNS[case]
    model = edge()
    for call in (model.fit, model.cross_validation):
        with pytest.raises(SchemaError) as caught:
            call(frame)
        for part in parts:
            assert part in str(caught.value)


def test_other_objects_of_pandas_are_refused_and_its_index_is_nothing() -> None:
    with pytest.raises(SchemaError, match="a Series was given"):
        edge().fit(table().to_pandas()["y"])
    frame = table().to_pandas()
    parts = pd.concat([frame[:60], frame[60:].reset_index(drop=True)])
    assert parts.index.has_duplicates
    pd.testing.assert_frame_equal(edge().fit(parts).predict(), edge().fit(frame).predict())


@pytest.mark.parametrize("size", [1e-30, 4e28])
def test_sizes_within_the_bounds_can_be_learnt(size: float) -> None:
    xgboost = pytest.importorskip("models.xgboost")
    boosting = pytest.importorskip("models.trees.boosting")
    model = TableForecaster(xgboost.XGBoost(boosting.Trees(rounds=2)), 2, context=5, level=80)
    found = model.fit(table().with_columns(pl.col("y") * size)).predict()
    assert found["XGBoost"].is_finite().all()


# gaps at the edge of the context


@pytest.mark.parametrize("row", range(54, 60))
def test_a_gap_may_lie_anywhere_in_the_context(row: int) -> None:
    """A row that is missing says the same as a row without a value."""
    whole, here = table(), pl.col("ds") == T0 + row * HOUR
    if row == 59:  # the newest row places the origin: it is missing in one series only
        here &= pl.col("unique_id") == "B"
    missing = edge(gaps="null").fit(whole.filter(~here)).predict()
    null = edge(gaps="null").fit(whole.with_columns(y=pl.when(~here).then("y"))).predict()
    assert missing.equals(null)
    assert missing["Persistence"].null_count() == 0


@pytest.mark.parametrize("rows", ["all", "but the first of the context", "B begins there", "both begin later"])
def test_a_served_model_takes_the_same_gaps(rows: str) -> None:
    pytest.importorskip("mlflow")
    from pipelines.trackers.pyfunc_model import ForecasterModel

    frame = from_long(table())
    task = edge(level=80).task
    served = ForecasterModel()
    served.forecaster_ = Persistence().fit(Panel.from_frame(frame, HOUR), task)
    kept = {
        "all": pl.lit(value=True),
        "but the first of the context": pl.col("time") != T0 + 54 * HOUR,
        "B begins there": (pl.col("series") == "A") | (pl.col("time") >= T0 + 56 * HOUR),
        "both begin later": pl.col("time") >= T0 + 56 * HOUR,
    }[rows]
    given = frame.filter(kept).drop("seen").to_pandas()
    found = pl.from_pandas(served.predict(None, given))
    gaps = frame.with_columns(y=pl.when(kept).then("y"))
    assert found.equals(served.forecaster_.predict(Panel.from_frame(gaps, HOUR)).frame())
    assert (found["status"] == Status.OK).all()
    few = pl.from_pandas(served.predict(None, given[given["time"] >= T0 + timedelta(hours=58)]))
    assert (few["status"] == Status.MISSING).all()
    with pytest.raises(SchemaError, match="column 'y' holds float, str"):
        served.predict(None, given.assign(y=["?", *given["y"][1:]]))
    with pytest.raises(UnknownNameError, match="unknown column 'y'"):
        served.predict(None, given.drop(columns="y"))
