"""One contract for every store, and what only the Delta store does; its crashes are in test_store_processes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from deltalake import DeltaTable

from forecast.errors import SchemaError, UnknownNameError
from forecast.schema import Variable
from pipelines.protocols import Store
from pipelines.stores.base import StoreError
from pipelines.stores.delta import FOLD_EVERY, DeltaStore
from pipelines.stores.memory import MemoryStore

T, W = Variable("temperature", "degC", -60, 60), Variable("wind", "m/s", 0, 75)
START = datetime(2013, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rows(hour=0, series=("EWR", "JFK"), temperature=1.0, wind=2.0, late=1):
    """One row per series at `hour`, seen `late` hours later."""
    at = START + hour * HOUR
    return pl.DataFrame({"series": list(series)}).with_columns(
        time=pl.lit(at),
        seen=pl.lit(at + late * HOUR),
        temperature=pl.lit(temperature, pl.Float64),
        wind=pl.lit(wind, pl.Float64),
    )


@pytest.fixture(params=["memory", "delta"])
def store(request, tmp_path):
    return MemoryStore([T, W]) if request.param == "memory" else DeltaStore(tmp_path / "store", [T, W])


def test_store_keeps_the_protocol(store):
    assert isinstance(store, Store)


def test_new_store_is_empty_and_typed(store):
    assert store.read().columns == ["series", "time", "seen", "temperature", "wind"]
    assert (store.positions(), store.version(), store.records("costs").shape) == ({}, 0, (0, 0))


def test_rows_are_added_once_per_position(store):
    assert store.append(rows(0), {"a": 1})
    assert not store.append(rows(0), {"a": 1})
    assert not store.append(rows(0), {"a": 0})
    assert store.append(rows(1), {"a": 1, "b": 5})
    assert store.positions() == {"a": 1, "b": 5}
    assert store.read(vintages=True).height == 4


def test_position_moves_without_rows_and_never_falls(store):
    assert store.append(rows(0).head(0), {"a": 3})
    assert store.append(rows(0), {"a": 2, "b": 1})
    assert store.positions() == {"a": 3, "b": 1}


def test_rows_without_position_are_refused(store):
    with pytest.raises(SchemaError, match="without a position"):
        store.append(rows(0), {})


def test_version_grows_with_commits_only(store):
    versions = [store.version()]
    for hour in (0, 1, 1):
        store.append(rows(hour), {"a": hour + 1})
        versions.append(store.version())
    assert versions[0] < versions[1] < versions[2] == versions[3]


def test_answer_does_not_depend_on_the_order_written(store):
    for position, hour in enumerate((5, 1, 3, 0, 4, 2), 1):
        store.append(rows(hour, series=("LGA", "EWR", "JFK")), {"a": position})
    found = store.read()
    assert found.equals(found.sort("series", "time"))
    assert found.height == 18


def test_vintages_as_of(store):
    store.append(rows(0, ["EWR"], temperature=1.0, late=1), {"a": 1})
    store.append(rows(0, ["EWR"], temperature=None, wind=9.0, late=3), {"a": 2})
    store.append(rows(0, ["EWR"], temperature=7.0, wind=None, late=6), {"a": 3})
    known = {h: store.read(as_of=START + h * HOUR).select("temperature", "wind").rows() for h in (0, 1, 2, 3, 6)}
    assert known == {0: [], 1: [(1.0, 2.0)], 2: [(1.0, 2.0)], 3: [(1.0, 9.0)], 6: [(7.0, 9.0)]}
    assert store.read(vintages=True)["temperature"].to_list() == [1.0, None, 7.0]


def test_row_delivered_twice_is_one_row(store):
    store.append(rows(0), {"a": 1})
    store.append(rows(0), {"a": 2})
    assert store.read(vintages=True).height == 2


def test_read_bounds_are_inclusive_and_name_series(store):
    for hour in range(4):
        store.append(rows(hour), {"a": hour + 1})
    some = store.read(start=START + HOUR, end=START + 2 * HOUR, series=["JFK"])
    assert some.select("series", "time").rows() == [("JFK", START + HOUR), ("JFK", START + 2 * HOUR)]
    assert store.read(series=[]).height == 0
    with pytest.raises(SchemaError, match="start"):
        store.read(start=datetime(2013, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (rows(0).drop("wind"), UnknownNameError),
        (rows(0).with_columns(cloud=pl.lit(1.0)), UnknownNameError),
        (rows(0, temperature=412.0), SchemaError),
        (rows(0).with_columns(pl.col("time").dt.replace_time_zone(None)), SchemaError),
        (pl.concat([rows(0), rows(0)]), SchemaError),
    ],
)
def test_rows_that_do_not_fit_leave_nothing(store, bad, error):
    with pytest.raises(error):
        store.append(bad, {"a": 1})
    assert (store.positions(), store.read().height) == ({}, 0)


def test_records_are_added_once_per_key_in_order(store):
    def costs(slot, cpu):
        return pl.DataFrame({"slot": [START + slot * HOUR] * 2, "cpu_s": cpu, "note": [None, None]})

    assert store.record("costs", costs(0, [3.0, 1.0]), 10)
    assert not store.record("costs", costs(0, [9.0, 9.0]), 10)
    assert store.record("costs", costs(1, [2.0, 0.5]).with_columns(note=pl.lit("x")), 11)
    assert store.records("costs")["cpu_s"].to_list() == [3.0, 1.0, 2.0, 0.5]
    assert store.records("costs", since=START + HOUR)["note"].to_list() == ["x", "x"]
    assert store.record("costs", costs(2, [1.0, 1.0]).head(0), 12)
    assert not store.record("costs", costs(2, [1.0, 1.0]), 12)


def test_records_refuse_what_no_store_can_keep(store):
    store.record("costs", pl.DataFrame({"n": [1]}), 1)
    with pytest.raises(SchemaError, match="Int64"):
        store.record("costs", pl.DataFrame({"n": ["one"]}), 2)
    with pytest.raises(SchemaError, match="write a number"):
        store.record("costs", pl.DataFrame({"took": [HOUR]}), 2)
    with pytest.raises(SchemaError, match="a-z"):
        store.record("../costs", pl.DataFrame({"n": [1]}), 2)
    with pytest.raises(SchemaError, match="slot"):
        store.records("costs", since=START)


def test_compact_keeps_rows_vintages_positions_and_order(store):
    for hour in range(5):
        store.append(rows(hour, late=1), {"a": hour + 1})
        store.append(rows(hour, temperature=8.0, late=4), {"b": hour + 1})
        store.record("costs", pl.DataFrame({"n": [hour, -hour]}), hour)
    before = store.read(vintages=True), store.read(), store.positions(), store.records("costs")
    store.compact()
    after = store.read(vintages=True), store.read(), store.positions(), store.records("costs")
    for now, then in zip(after, before, strict=True):
        assert now.equals(then) if isinstance(now, pl.DataFrame) else now == then
    assert not store.append(rows(4), {"a": 5})


def test_delta_and_memory_answer_alike(tmp_path):
    chance = random.Random(1)
    twins = MemoryStore([T, W]), DeltaStore(tmp_path, [T, W])
    for at in range(1, 13):
        frame = rows(chance.randrange(4), temperature=chance.choice([None, chance.random()]), late=chance.randrange(3))
        assert len({store.append(frame, {"a": at - at % 5 % 2}) for store in twins}) == 1
    for as_of in (None, START + 2 * HOUR, START + 4 * HOUR):
        for vintages in (False, True):
            one, other = (store.read(as_of=as_of, vintages=vintages) for store in twins)
            assert one.equals(other)


# -- Delta only ------------------------------------------------------------------------------------------------


def test_another_opening_sees_everything_and_a_reader_follows_the_writer(tmp_path):
    writer, reader = DeltaStore(tmp_path, [T, W]), DeltaStore(tmp_path, [T, W])
    for hour in range(3):
        writer.append(rows(hour), {"a": hour + 1})
        assert (reader.read().height, reader.positions()) == (2 * (hour + 1), {"a": hour + 1})
        assert not reader.append(rows(hour), {"a": hour + 1})


def test_small_files_are_folded_as_commits_come(tmp_path):
    store = DeltaStore(tmp_path, [T, W])
    for hour in range(FOLD_EVERY + 5):
        store.append(rows(hour), {"a": hour + 1})
    assert len(DeltaTable(tmp_path / "observations").file_uris()) < 10
    assert store.read().height == 2 * (FOLD_EVERY + 5)
    assert DeltaStore(tmp_path, [T, W]).positions() == {"a": FOLD_EVERY + 5}


def test_an_old_version_still_reads(tmp_path):
    store = DeltaStore(tmp_path, [T, W])
    store.append(rows(0), {"a": 1})
    version = store.version()
    store.append(rows(1), {"a": 2})
    store.compact()
    assert pl.read_delta(str(tmp_path / "observations"), version=version).height == 2


def test_folder_that_cannot_be_one_says_so(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="Give a folder") as caught:
            DeltaStore(folder, [T, W]).append(rows(0), {"a": 1})
        assert caught.value.exit_code == 2


def test_folder_of_other_variables_says_so(tmp_path):
    DeltaStore(tmp_path, [T]).append(rows(0).drop("wind"), {"a": 1})
    with pytest.raises(SchemaError, match="another folder"):
        DeltaStore(tmp_path, [T, W]).read()
