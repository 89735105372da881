"""The M4 source: series of different lengths that end together, the test after them, found or told where to find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from forecast.errors import SchemaError, UnknownNameError
from forecast.panel import Panel
from forecast.schema import Variable
from pipelines.sources.m4 import END, M4
from pipelines.sources.replay import MissingTableError

LATE = datetime(9999, 1, 1, tzinfo=UTC)


def tables(folder: Path) -> M4:
    """Series a of 3 values and b of 5, two more of each for the test."""
    train = {"series": [*"aaa", *"bbbbb"], "t": [1, 2, 3, 1, 2, 3, 4, 5], "value": [1, 2, 3, 10, 20, 30, 40, 50]}
    test = {"series": [*"aabb"], "t": [1, 2, 1, 2], "value": [4, 5, 60, 70]}
    pl.DataFrame(train).write_parquet(folder / "train.parquet")
    pl.DataFrame(test).write_parquet(folder / "test.parquet")
    return M4(str(folder / "train.parquet"), str(folder / "test.parquet"), Variable("value"))


def test_series_end_together_and_the_test_follows(tmp_path: Path) -> None:
    panel = Panel.from_frame(tables(tmp_path).poll({}, LATE).frame, timedelta(hours=1))
    np.testing.assert_array_equal(panel.values[0, :, 0], [np.nan, np.nan, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(panel.values[1, :, 0], [10, 20, 30, 40, 50, 60, 70])
    assert panel.times[4] == np.datetime64(END.replace(tzinfo=None))


def test_a_poll_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    source = tables(tmp_path)
    first = source.poll({}, END)
    assert first.frame["time"].max() == END
    rest = source.poll(first.positions, LATE)
    assert sorted(rest.frame["value"]) == [4, 5, 60, 70]
    assert source.poll(rest.positions, LATE).frame.is_empty()
    with pytest.raises(SchemaError, match="without a zone"):
        source.poll({}, datetime(2000, 1, 1))  # noqa: DTZ001


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path))
    source = M4("data:bench/none.parquet", "data:bench/none.parquet", Variable("value"), origin="the repository")
    with pytest.raises(MissingTableError, match=r"FORECAST_DATA.*the repository"):
        source.poll({}, LATE)
    pl.DataFrame({"series": ["a"], "v": [1.0], "t": [1]}).write_parquet(tmp_path / "train.parquet")
    wrong = M4(str(tmp_path / "train.parquet"), str(tmp_path / "train.parquet"), Variable("value"))
    with pytest.raises(UnknownNameError, match="value"):
        wrong.poll({}, LATE)
