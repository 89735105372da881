"""Tables that the project may not bring along: where they are looked for, which series, and predictions in columns."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from forecast.errors import UnknownNameError
from forecast.schema import Variable
from pipelines.sources.ahead import Ahead
from pipelines.sources.mapping import Columns, Reading
from pipelines.sources.replay import MissingTableError, Replay
from pipelines.sources.shared import shared_folder

T, NWP = Variable("t", "degC", -60, 60), Variable("nwp", "degC", -60, 60)
COLUMNS = Columns("site", "at", [Reading(T, "t")], zone="UTC")
LATE = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path))
    times = ["2024-01-01T00:00", "2024-01-01T01:00"]
    table = {"site": ["A", "A", "B", "B"], "at": times * 2, "t": [1.0, 2.0, 3.0, 4.0]}
    table |= {"p1": [1.5, 2.5, 3.5, 99.0], "p2": [2.5, 3.5, 4.5, 5.5]}
    pl.DataFrame(table).write_parquet(tmp_path / "table.parquet")
    return tmp_path


def test_the_folder_is_the_named_one_else_beside_the_checkout_else_beside_us(tmp_path: Path) -> None:
    assert shared_folder({"FORECAST_DATA": str(tmp_path)}, ()) == tmp_path
    home, here = tmp_path / "home/checkout", tmp_path / "work/here"
    for place in (home, here):
        place.mkdir(parents=True)
    (tmp_path / "work/shared/data").mkdir(parents=True)
    assert shared_folder({}, (home, here)) == tmp_path / "work/shared/data"
    (tmp_path / "home/shared/data").mkdir(parents=True)
    assert shared_folder({"FORECAST_DATA": ""}, (home, here)) == tmp_path / "home/shared/data"


def test_a_table_of_the_folder_and_some_of_its_series(folder: Path) -> None:
    rows = Replay("data:table.parquet", COLUMNS, only=["B"]).poll({}, LATE).frame
    assert rows["series"].unique().to_list() == ["B"]
    assert rows["t"].to_list() == [3.0, 4.0]
    with pytest.raises(UnknownNameError, match="known: A, B"):
        Replay("data:table.parquet", COLUMNS, only=["C"]).poll({}, LATE)


def test_a_missing_table_says_where_it_is_to_be_had(folder: Path) -> None:
    with pytest.raises(MissingTableError, match=r"set FORECAST_DATA .* 'else/x.parquet'.* It comes from the moon"):
        Replay("data:else/x.parquet", COLUMNS, origin="the moon").poll({}, LATE)


def test_predictions_arrive_with_the_row_they_were_issued_with(folder: Path) -> None:
    source = Replay("data:table.parquet", COLUMNS, ahead=[Ahead([Reading(NWP, "p{lead}")], leads=2)])
    first = source.poll({}, datetime(2024, 1, 1, 0, 30, tzinfo=UTC))
    rows = first.frame.filter(pl.col("series") == "A").select(pl.col("time").dt.hour(), "t", "nwp").rows()
    assert rows == [(0, 1.0, None), (1, None, 1.5), (2, None, 2.5)], "what was at hand at midnight, and no more"
    rest = source.poll(first.positions, LATE)
    assert rest.frame.filter(pl.col("nwp").is_not_null()).select("series", pl.col("time").dt.hour(), "nwp").rows() == [
        ("A", 2, 2.5),
        ("A", 3, 3.5),
        ("B", 3, 5.5),
    ]
    assert rest.rejected.select("series", "variable", "value").rows() == [("B", "nwp", 99.0)]
    assert rest.rejected["time"].to_list() == [datetime(2024, 1, 1, 2, tzinfo=UTC)], "the hour it was about"
