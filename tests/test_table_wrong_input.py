"""Wrong input that others take in silence: each is an error that names series, time and remedy, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl
import pytest

from forecast import Variable
from forecast.errors import ForecastError, NotFittedError, SchemaError, ShortHistoryError, UnknownNameError
from tests.test_table import HOUR, T0, at, edge, table

WRONG: dict[str, tuple[pl.DataFrame, dict[str, Any], type[Exception], list[str]]] = {
    "NaN": (
        at(table(), 65, y=float("nan")),
        {},
        SchemaError,
        ["'y' has 1 missing", "'B' 2024-03-01 05:00", "gaps='null'"],
    ),
    "null": (at(table(), 65, y=None), {}, SchemaError, ["'y' has 1 missing", "'B' 2024-03-01 05:00", "gaps='null'"]),
    "inf": (
        at(table(), 65, y=float("inf")),
        {"gaps": "null"},
        SchemaError,
        ["'y'", "infinite", "'B' 2024-03-01 05:00", "null"],
    ),
    "missing hour": (
        table().filter(pl.col("ds") != T0 + 7 * HOUR),
        {},
        SchemaError,
        ["rows are missing at 2 places", "'A' 2024-03-01 07:00", "gaps='null'"],
    ),
    "twice": (
        pl.concat([table(), table()[70:71]]),
        {},
        SchemaError,
        ["2 rows share (unique_id, ds)", "'B' 2024-03-01 10:00", "keep one"],
    ),
    "naive": (
        table().with_columns(pl.col("ds").dt.replace_time_zone(None)),
        {},
        SchemaError,
        ["'ds' holds naive", "'A' 2024-03-01", "tz='America/New_York'"],
    ),
    "too fine": (
        table(step=HOUR / 2),
        {},
        SchemaError,
        ["freq is 1:00:00", "60 rows", "'A' 2024-03-01 00:30", "usual step of the data is 0:30:00", "correct freq"],
    ),
    "too coarse": (
        table(step=HOUR * 2),
        {},
        SchemaError,
        ["rows are missing", "'A' 2024-03-01 01:00", "usual step of the data is 2:00:00"],
    ),
    "short": (
        pl.concat([table(), table(60, ids=("C",))[-4:]]),
        {},
        ShortHistoryError,
        ["'C' with 4 rows", "at least 7", "context 6"],
    ),
    "ends early": (
        pl.concat([table(), table(50, ids=("C",))]),
        {},
        SchemaError,
        ["'C' at 2024-03-03 01:00", "newest time 2024-03-03 11:00", "gaps='null'"],
    ),
    "empty": (table()[:0], {}, SchemaError, ["no rows"]),
    "unknown column": (table(), {"past_cols": ["xx"]}, UnknownNameError, ["'xx'", "did you mean 'x'"]),
    "unknown target": (
        table().rename({"y": "value"}),
        {"target_col": "valu"},
        UnknownNameError,
        ["did you mean 'value'"],
    ),
    "out of bounds": (
        at(table(), 65, y=412.0),
        {"target_col": Variable("y", "degC", -90, 60)},
        SchemaError,
        ["'y' has 1 values outside [-90, 60] degC", "'B' 2024-03-01 05:00", "412.0"],
    ),
    "all null": (
        table().with_columns(y=pl.when(pl.col("unique_id") == "B").then(None).otherwise(pl.col("y"))),
        {"gaps": "null"},
        SchemaError,
        ["'B' has no value of 'y'", "2024-03-01 00:00", "drop it"],
    ),
    "text target": (table().with_columns(pl.col("y").cast(pl.String)), {}, SchemaError, ["'y' is String", "numbers"]),
    "text time": (table().with_columns(pl.col("ds").cast(pl.String)), {}, SchemaError, ["'ds' is String", "parse it"]),
    "no time": (at(table(), 65, ds=None), {}, SchemaError, ["'ds' has 1 missing times", "'B'", "drop"]),
    "no id": (at(table(), 65, unique_id=None), {}, SchemaError, ["'unique_id' has 1 missing", "drop"]),
    "unknown zone": (
        table().with_columns(pl.col("ds").dt.replace_time_zone(None)),
        {"tz": "America/NewYork"},
        UnknownNameError,
        ["did you mean 'America/New_York'"],
    ),
    "level and quantiles": (table(), {"level": [80], "quantiles": [0.1]}, SchemaError, ["choose one"]),
    "level": (table(), {"level": [0.8, 800]}, SchemaError, ["inside (0, 100)"]),
    "quantiles": (table(), {"quantiles": [10]}, SchemaError, ["(0, 1)"]),
    "gaps": (table(), {"gaps": "fill"}, SchemaError, ["'error' or 'null'"]),
    "freq": (table(), {"freq": "M"}, SchemaError, ["'M' is not a duration"]),
}


@pytest.mark.parametrize("kind", [pl.DataFrame, pd.DataFrame], ids=["polars", "pandas"])
@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_named(case: str, kind: type) -> None:
    frame, options, error, parts = WRONG[case]
    given_frame = frame if kind is pl.DataFrame else frame.to_pandas()
    before = pl.DataFrame(given_frame)
    if case in ("text target", "text time") and kind is pd.DataFrame:
        parts = [p for p in parts if "String" not in p]
    model = edge(**options)
    for call in (model.fit, model.cross_validation):
        with pytest.raises(error) as caught:
            call(given_frame)
        assert isinstance(caught.value, ForecastError)
        for part in parts:
            assert part in str(caught.value)
    assert pl.DataFrame(given_frame).equals(before)
    with pytest.raises(NotFittedError):
        model.predict()


def test_other_tables_are_refused() -> None:
    with pytest.raises(SchemaError, match="a dict was given: pass a pandas or a polars DataFrame"):
        edge().fit({"unique_id": ["A"]})
