"""The canonical frame: what it refuses and how it says so; vintages against a slow loop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.errors import SchemaError, UnknownNameError
from forecast.frame import canonical, empty, faults, latest, without_faults
from forecast.schema import Variable

T0 = datetime(2024, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEMPERATURE, WIND = Variable("temperature", "degC", -90, 60), Variable("wind", "m/s", 0)
BOTH = (TEMPERATURE, WIND)


def rows(*values: float | None, series: str = "JFK") -> pl.DataFrame:
    time = [T0 + HOUR * i for i in range(len(values))]
    columns = {"temperature": list(values), "wind": [1.0] * len(values)}
    return pl.DataFrame(
        {"series": [series] * len(values), "time": time, **columns}, schema_overrides={"temperature": pl.Float64}
    )


def test_order_of_rows_and_columns_is_made_canonical() -> None:
    frame = pl.concat([rows(1.0, 2.0, series="B"), rows(3.0, None, series="A")])
    mixed = frame.sample(fraction=1.0, shuffle=True, seed=4).select(reversed(frame.columns))
    found = canonical(mixed, BOTH)
    assert found.columns == ["series", "time", "seen", "temperature", "wind"]
    assert found.equals(canonical(frame, BOTH))
    assert found["temperature"].to_list() == [3.0, None, 1.0, 2.0]
    assert found["seen"].equals(found["time"].alias("seen"))
    assert canonical(found, BOTH).equals(found)


def test_local_times_become_utc() -> None:
    local = rows(1.0).with_columns(pl.col("time").dt.convert_time_zone("America/New_York"))
    assert canonical(local, BOTH)["time"].to_list() == [T0]


def test_numbers_of_any_type_become_float() -> None:
    frame = rows(1.0).with_columns(pl.col("temperature").cast(pl.Int16), wind=pl.lit(None))
    assert canonical(frame, BOTH).schema["temperature"] == canonical(frame, BOTH).schema["wind"] == pl.Float64


@pytest.mark.parametrize(
    ("frame", "error", "parts"),
    [
        (
            rows(1.0, 412.0),
            SchemaError,
            ["'temperature' has 1 values outside [-90, 60] degC", "'JFK' 2024-03-10 01:00", "412.0", "widen"],
        ),
        (rows(1.0, float("nan")), SchemaError, ["'temperature'", "NaN", "'JFK' 2024-03-10 01:00", "null"]),
        (rows(float("-inf")), SchemaError, ["'temperature'", "infinite", "2024-03-10 00:00"]),
        (
            pl.concat([rows(1.0), rows(2.0)]),
            SchemaError,
            ["2 rows share (series, time, seen)", "'JFK' 2024-03-10 00:00", "keep one"],
        ),
        (rows(1.0).drop("wind"), UnknownNameError, ["lacks 'wind'", "known:"]),
        (rows(1.0).rename({"wind": "winds"}), UnknownNameError, ["lacks 'wind'", "did you mean 'winds'"]),
        (rows(1.0).with_columns(humidty=1.0), UnknownNameError, ["'humidty'"]),
        (rows(), SchemaError, ["no rows"]),
        (
            rows(1.0).with_columns(pl.col("time").dt.replace_time_zone(None)),
            SchemaError,
            ["'time' holds naive", "say the zone"],
        ),
        (rows(1.0).with_columns(time=pl.lit("2024-03-10")), SchemaError, ["'time' is String", "datetime"]),
        (rows(1.0, 2.0).with_columns(seen=pl.lit(None, pl.Datetime("us", "UTC"))), SchemaError, ["'seen' has 2 nulls"]),
        (rows(1.0).with_columns(series=pl.lit(None, pl.String)), SchemaError, ["'series' has 1 nulls"]),
        (rows(1.0).with_columns(temperature=pl.lit("warm")), SchemaError, ["'temperature' is String", "numbers"]),
    ],
)
def test_what_is_refused_and_how(frame: pl.DataFrame, error: type[Exception], parts: list[str]) -> None:
    before = frame.clone()
    with pytest.raises(error) as caught:
        canonical(frame, BOTH)
    for part in parts:
        assert part in str(caught.value)
    assert frame.equals(before)


def test_an_empty_frame_has_the_types() -> None:
    assert empty(["temperature", "wind"]).schema == canonical(rows(1.0), BOTH).schema


def test_faults_are_told_and_only_they_are_cut() -> None:
    frame = canonical(rows(1.0, 2.0, None, 3.0), BOTH).with_columns(
        temperature=pl.Series([1.0, 99.0, None, float("nan")])
    )
    told = faults(frame, BOTH)
    assert told["variable"].to_list() == ["temperature", "temperature"]
    assert told["reason"].to_list() == ["outside [-90, 60] degC", "not finite"]
    cut = without_faults(frame, BOTH)
    assert cut["temperature"].to_list() == [1.0, None, None, None]
    assert cut["wind"].equals(frame["wind"])
    assert canonical(cut, BOTH).equals(cut)


VINTAGES = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 3), st.integers(0, 5), st.none() | st.floats(-9, 9)),
    min_size=1,
    max_size=25,
    unique_by=lambda r: r[:3],
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(VINTAGES, st.integers(0, 9))
def test_latest_equals_a_slow_loop(reports: list[tuple], asof: int) -> None:
    frame = canonical(
        pl.DataFrame(
            {
                "series": [r[0] for r in reports],
                "time": [T0 + HOUR * r[1] for r in reports],
                "seen": [T0 + HOUR * (r[1] + r[2]) for r in reports],
                "temperature": pl.Series([r[3] for r in reports], dtype=pl.Float64),
            }
        ),
        [TEMPERATURE],
    )
    wanted: dict[tuple, float | None] = {}
    for series, time, late, value in sorted(reports, key=lambda r: r[2]):
        if time + late <= asof:
            wanted[series, time] = value if value is not None else wanted.get((series, time))
    found = latest(frame, as_of=T0 + HOUR * asof)
    keys = [(s, (t - T0) // HOUR) for s, t in found.select("series", "time").rows()]
    assert dict(zip(keys, found["temperature"].to_list(), strict=True)) == wanted
    assert keys == sorted(keys)


def test_knowing_more_never_changes_what_was_known() -> None:
    early = canonical(rows(1.0, 2.0), BOTH)
    late = early.with_columns(pl.col("seen") + HOUR * 9, temperature=pl.lit(50.0))
    assert latest(pl.concat([early, late]), as_of=T0 + HOUR * 5).equals(latest(early))
