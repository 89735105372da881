"""The table edge: what goes in comes out alike, every wrong input is named, and numbers match the core's."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast import TableForecaster, Variable, from_long, to_long
from forecast.errors import NotFittedError, SchemaError, ShortHistoryError, UnknownNameError
from forecast.panel import Panel
from forecast.result import Status
from models.persistence import Persistence

T0 = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NEW_YORK = "America/New_York"


def table(
    rows: int = 60, ids: tuple = ("A", "B"), start: datetime = T0, step: timedelta = HOUR, zone: str = "UTC"
) -> pl.DataFrame:
    """Long table with a daily wave per series."""
    time = pl.Series([start + step * i for i in range(rows)]).dt.convert_time_zone(zone)
    parts = []
    for k, name in enumerate(ids):
        wave = 10.0 * (k + 1) + np.sin(np.arange(rows) * 2 * np.pi / 24)
        parts.append(pl.DataFrame({"unique_id": [name] * rows, "ds": time, "y": wave, "x": wave * 2}))
    return pl.concat(parts)


def at(frame: pl.DataFrame, row: int, **values: Any) -> pl.DataFrame:
    marked = frame.with_row_index("i")
    return marked.with_columns(
        pl.when(pl.col("i") == row).then(pl.lit(v)).otherwise(pl.col(k)).alias(k) for k, v in values.items()
    ).drop("i")


def edge(**changes: Any) -> TableForecaster:
    return TableForecaster(Persistence(), **{"h": 3, "context": 6, **changes})


# what goes in comes out alike


def test_polars_in_polars_out_pandas_in_pandas_out() -> None:
    frame = table()
    wanted = edge(level=[80]).fit(frame).predict()
    found = edge(level=[80]).fit(frame.to_pandas()).predict()
    assert isinstance(wanted, pl.DataFrame)
    assert isinstance(found, pd.DataFrame)
    assert wanted.columns == list(found.columns)
    pd.testing.assert_frame_equal(found, wanted.to_pandas())
    assert list(found.index) == list(range(6))


@pytest.mark.parametrize("ids", [("B", "A"), (10, 2), (2.5, 1.0)])
def test_ids_keep_their_type_and_order(ids: tuple) -> None:
    for frame in (table(ids=ids), table(ids=ids).to_pandas()):
        found = edge().fit(frame).predict(1)
        assert found["unique_id"].dtype == frame["unique_id"].dtype
        assert list(found["unique_id"]) == sorted(ids)


def test_categories_stay_categories() -> None:
    frame = table().to_pandas().astype({"unique_id": "category"})
    assert str(edge().fit(frame).predict()["unique_id"].dtype) == "category"
    categorical = table().with_columns(pl.col("unique_id").cast(pl.Categorical))
    assert edge().fit(categorical).predict().schema["unique_id"] == pl.Categorical


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_keep_their_unit(unit: Any) -> None:
    frame = table().with_columns(pl.col("ds").dt.cast_time_unit(unit))
    assert edge().fit(frame).predict().schema["ds"] == frame.schema["ds"]
    pandas = frame.to_pandas()
    assert edge().fit(pandas).predict()["ds"].dtype == pandas["ds"].dtype


def test_any_column_names() -> None:
    names = {"unique_id": "station", "ds": "when", "y": "temp"}
    frame = table().rename(names)
    model = edge(id_col="station", time_col="when", target_col="temp", alias="Naive")
    found = model.fit(frame).predict()
    assert found.columns == ["station", "when", "Naive"]
    assert found["Naive"].to_list() == edge().fit(table()).predict()["Persistence"].to_list()


def test_columns_of_levels_and_quantiles() -> None:
    by_level = edge(level=[95, 80]).fit(table()).predict()
    end = ["lo-95", "lo-80", "hi-80", "hi-95"]
    assert by_level.columns[2:] == ["Persistence", *(f"Persistence-{e}" for e in end)]
    by_quantile = edge(quantiles=[0.1, 0.5, 0.9]).fit(table()).predict()
    assert by_quantile.columns[3:] == ["Persistence-q-0.1", "Persistence-q-0.5", "Persistence-q-0.9"]
    assert by_quantile["Persistence-q-0.1"].equals(by_level["Persistence-lo-80"].alias("Persistence-q-0.1"))
    assert (by_level["Persistence-lo-95"] <= by_level["Persistence-lo-80"]).all()


def test_several_targets_make_longer_tables() -> None:
    found = edge(target_col=["y", "x"]).fit(table()).predict(2)
    assert found.columns == ["unique_id", "ds", "variable", "Persistence"]
    assert found.height == 2 * 2 * 2
    assert found.filter(pl.col("variable") == "x")["Persistence"].to_list() == pytest.approx(
        [2 * v for v in found.filter(pl.col("variable") == "y")["Persistence"]]
    )
    checked = edge(target_col=["y", "x"]).cross_validation(table(), n_windows=2)
    assert checked.columns == ["unique_id", "ds", "variable", "cutoff", "actual", "Persistence"]
    assert checked["actual"].null_count() == 0


@settings(deadline=None, derandomize=True, max_examples=10)
@given(st.randoms(use_true_random=False))
def test_rows_may_come_in_any_order(random: Any) -> None:
    frame = table(30)
    order = list(range(frame.height))
    random.shuffle(order)
    assert edge(level=[80]).fit(frame[order]).predict().equals(edge(level=[80]).fit(frame).predict())


# time zones and clock changes


@pytest.mark.parametrize("day", [datetime(2024, 3, 9, tzinfo=UTC), datetime(2024, 11, 2, tzinfo=UTC)])
def test_clock_change_days_lose_nothing(day: datetime) -> None:
    local = table(60, start=day, zone=NEW_YORK)
    for frame in (local, local.to_pandas()):
        found = edge().fit(frame).predict()
        assert found["ds"].dtype == frame["ds"].dtype
        same = edge().fit(table(60, start=day)).predict()
        assert list(found["Persistence"]) == same["Persistence"].to_list()
    across = edge(h=6).cross_validation(local, n_windows=7)
    steps = across.filter(unique_id="A")["ds"].diff().drop_nulls()
    assert (steps == HOUR).all()
    assert len(steps) == 41


def test_naive_local_times_with_their_zone_declared() -> None:
    zoned = table(20, start=datetime(2024, 3, 10, tzinfo=UTC), zone=NEW_YORK)
    naive = zoned.with_columns(pl.col("ds").dt.replace_time_zone(None))
    found = edge(tz=NEW_YORK).fit(naive.filter(pl.col("ds") < datetime(2024, 3, 10, 2))).predict()  # noqa: DTZ001
    assert found.schema["ds"] == pl.Datetime("us", NEW_YORK)
    assert [t.hour for t in found["ds"][:3]] == [3, 4, 5]
    frame = from_long(naive.to_pandas(), tz=NEW_YORK)
    assert frame["time"].equals(from_long(zoned)["time"])


@pytest.mark.parametrize(
    ("hour", "parts"),
    [
        (datetime(2024, 3, 10, 2, 30), ["2024-03-10 02:30", "never was"]),  # noqa: DTZ001
        (datetime(2024, 11, 3, 1, 30), ["2024-11-03 01:30", "was twice"]),  # noqa: DTZ001
    ],
)
def test_local_times_a_clock_change_makes_unclear(hour: datetime, parts: list[str]) -> None:
    frame = pl.DataFrame({"unique_id": ["A"], "ds": [hour], "y": [1.0]})
    for given_frame in (frame, frame.to_pandas()):
        with pytest.raises(SchemaError) as caught:
            from_long(given_frame, tz=NEW_YORK)
        for part in ["'ds'", "1 local times", NEW_YORK, "'A'", *parts, "in UTC"]:
            assert part in str(caught.value)


def test_fixed_offsets_are_kept() -> None:
    frame = table().to_pandas()
    frame["ds"] = frame["ds"].dt.tz_convert(timezone(timedelta(hours=5, minutes=30)))
    found = edge().fit(frame).predict(1)
    assert found["ds"].dtype == frame["ds"].dtype
    assert found["ds"][0] == frame["ds"].max() + HOUR


def test_dates_are_days_in_the_declared_zone() -> None:
    days = [date(2024, 3, 1) + timedelta(days=i) for i in range(20)]
    frame = pl.DataFrame({"unique_id": "A", "ds": days, "y": np.arange(20.0)})
    found = edge(freq="D", tz="UTC").fit(frame).predict(1)
    assert found["ds"][0] == datetime(2024, 3, 21, tzinfo=UTC)


@pytest.mark.parametrize("freq", ["h", "H", "1h", "60min", "60m", HOUR, pd.Timedelta("1h")])
def test_spellings_of_an_hour(freq: Any) -> None:
    assert edge(freq=freq).fit(table()).predict().equals(edge().fit(table()).predict())


# verbs


def test_numbers_equal_the_core() -> None:
    model = edge(level=[80], target_col=Variable("y", "degC", 0, 50), past_cols="x").fit(table())
    panel = Panel.from_frame(from_long(table(), "y", "x"), HOUR)
    forecast = Persistence().fit(panel, model.task).predict(panel)
    found = model.predict()
    assert found["Persistence"].to_list() == forecast.point.ravel().tolist()
    assert found["Persistence-lo-80"].to_list() == forecast.quantiles[..., 0].ravel().tolist()


def test_update_observes_without_refitting() -> None:
    frame = table()
    old, new = frame.filter(pl.col("ds") <= T0 + 49 * HOUR), frame.filter(pl.col("ds") > T0 + 49 * HOUR)
    model = edge(level=[80]).fit(old)
    spread = model.model.spread_.copy()  # type: ignore[attr-defined]
    found = model.update(new).predict()
    np.testing.assert_array_equal(model.model.spread_, spread)  # type: ignore[attr-defined]
    assert found["ds"].min() == T0 + 60 * HOUR
    assert found["Persistence"].to_list()[::3] == frame.filter(pl.col("ds") == pl.col("ds").max())["y"].to_list()
    revised = new.tail(1).with_columns(y=pl.lit(99.0))
    assert model.update(revised).predict()["Persistence"][-1] == 99.0


def test_a_refused_update_changes_nothing() -> None:
    model = edge().fit(table())
    before = model.predict()
    late = table(3, start=T0 + 80 * HOUR)
    with pytest.raises(SchemaError, match=r"rows are missing at 2 places, first at series 'A' 2024-03-03 12:00 UTC"):
        model.update(late)
    assert model.predict().equals(before)


def test_a_refused_fit_changes_nothing() -> None:
    model = edge().fit(table())
    before = model.predict()
    with pytest.raises(ShortHistoryError):
        model.fit(table(3))
    assert model.predict().equals(before)


def test_cross_validation_equals_a_loop() -> None:
    frame = table()
    for refit in (False, True):
        found = edge(level=[80]).cross_validation(frame, h=2, n_windows=3, step_size=4, refit=refit)
        assert found.columns[:5] == ["unique_id", "ds", "cutoff", "y", "Persistence"]
        cutoffs = [T0 + HOUR * k for k in (49, 53, 57)]
        assert found["cutoff"].unique(maintain_order=True).to_list() == cutoffs
        model = edge(level=[80], h=2)
        for i, cutoff in enumerate(cutoffs):
            known = frame.filter(pl.col("ds") <= cutoff)
            model = model.fit(known) if refit or i == 0 else model.update(known)
            wanted = model.predict()
            part = found.filter(pl.col("cutoff") == cutoff)
            assert part.select(wanted.columns).equals(wanted)
            joined = part.join(frame, on=["unique_id", "ds"], maintain_order="left")
            assert joined["y"].equals(joined["y_right"].alias("y"))


def test_cross_validation_leaves_the_fit_alone() -> None:
    model = edge().fit(table())
    before = model.predict()
    model.cross_validation(table(ids=("Z",)), n_windows=2)
    assert model.predict().equals(before)
    with pytest.raises(ShortHistoryError, match="needs at least 7 rows"):
        model.cross_validation(table(), n_windows=19)


def test_predict_takes_fewer_steps_not_more() -> None:
    model = edge().fit(table())
    assert model.predict(1).equals(model.predict().filter(pl.col("ds") == pl.col("ds").min()))
    with pytest.raises(SchemaError, match=r"h is 4, .* 1 to 3 steps: fit again with h=4"):
        model.predict(4)
    with pytest.raises(NotFittedError, match="call fit"):
        edge().predict()


def test_a_plot_shows_every_series() -> None:
    model = edge(level=[80], target_col=["y", "x"]).fit(table())
    figure = model.plot()
    shown = [a for a in figure.axes if a.get_visible()]
    assert [a.get_title(loc="left") for a in shown] == ["A, y", "A, x", "B, y", "B, x"]
    assert {t.get_text() for t in figure.legends[0].get_texts()} == {"observed", "median", "0.1 to 0.9 quantile"}
    assert len(model.plot(series=["B"], history=5).axes) == 2
    with pytest.raises(UnknownNameError, match="unknown series 'C'"):
        model.plot(series=["C"])


# gaps and conversions


def test_declared_gaps_give_a_status_not_a_number() -> None:
    frame = pl.concat([table(), table(50, ids=("C",))]).filter(pl.col("ds") != T0 + 7 * HOUR)
    model = edge(gaps="null").fit(at(frame, 30, y=None))
    found = model.predict()
    assert found.filter(unique_id="C")["Persistence"].null_count() == 3
    assert found.filter(pl.col("unique_id") != "C")["Persistence"].null_count() == 0
    assert model.forecast_ is not None
    assert model.forecast_.status == (Status.OK, Status.OK, Status.MISSING)


def test_long_frames_go_in_and_out() -> None:
    frame = table(zone=NEW_YORK).drop("x")
    again = to_long(from_long(frame), zone=NEW_YORK)
    assert again.equals(frame.sort("unique_id", "ds"))
    pandas = to_long(from_long(frame.to_pandas()), zone=NEW_YORK, pandas=True)
    pd.testing.assert_frame_equal(pandas, frame.to_pandas())
    renamed = to_long(from_long(frame), id_col="station", time_col="when")
    assert renamed.columns == ["station", "when", "y"]
