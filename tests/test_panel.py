"""The panel: placement against a dictionary, windows against loops, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.checks.data import as_frame, synthetic_panel, synthetic_task
from forecast.errors import SchemaError, ShortHistoryError, UnknownNameError
from forecast.panel import Panel, moment, stamp
from forecast.schema import Task, Variable
from forecast.spec import from_spec, to_spec
from forecast.windows import filled, forward_fill, training_rows, training_span, truth_at, windows_at
from models.persistence import Persistence

T0 = datetime(2024, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
CELLS = st.dictionaries(st.tuples(st.sampled_from("CAB"), st.integers(0, 12)), st.floats(-9, 9), min_size=1)


def built(**changes: Any) -> Panel:
    parts: dict[str, Any] = {
        "values": np.zeros((2, 4, 1)),
        "times": stamp(T0) + np.arange(4) * np.timedelta64(1, "h"),
        "series": ("A", "B"),
        "variables": ("x",),
        "step": HOUR,
    }
    return Panel(**{**parts, **changes})


@settings(deadline=None, derandomize=True, max_examples=60)
@given(CELLS)
def test_every_cell_lies_where_a_dictionary_says(cells: dict[tuple[str, int], float]) -> None:
    time = [T0 + HOUR * t for _, t in cells]
    frame = pl.DataFrame({"series": [s for s, _ in cells], "time": time, "seen": time, "x": list(cells.values())})
    panel = Panel.from_frame(frame, HOUR)
    assert panel.series == tuple(sorted({s for s, _ in cells}))
    for n, series in enumerate(panel.series):
        for t, when in enumerate(panel.times):
            value = cells.get((series, (moment(when) - T0) // HOUR))
            assert np.isnan(panel.values[n, t, 0]) if value is None else panel.values[n, t, 0] == value


def test_frame_and_back() -> None:
    panel = synthetic_panel(50)
    again = Panel.from_frame(as_frame(panel), HOUR)
    np.testing.assert_array_equal(again.values, panel.values)
    assert (again.series, again.variables, again.end) == (panel.series, panel.variables, panel.end)


def test_range_and_series_are_what_was_asked() -> None:
    frame, start, end = as_frame(synthetic_panel(50)), T0, T0 + HOUR * 3
    frame = frame.with_columns(pl.col("time", "seen") + (T0 - frame["time"][0]))
    panel = Panel.from_frame(frame, HOUR, ["wind"], start=start - HOUR, end=end, series=["LGA", "JFK", "ZRH"])
    assert panel.shape == (3, 5, 1)
    assert panel.series == ("JFK", "LGA", "ZRH")
    assert np.isnan(panel.values[2]).all()
    assert np.isnan(panel.values[:, 0]).all()


def test_later_vintages_win() -> None:
    time = pl.Series([T0, T0])
    frame = pl.DataFrame({"series": ["A", "A"], "time": time, "seen": [T0 + HOUR, T0], "x": [2.0, 1.0]})
    assert Panel.from_frame(frame, HOUR).values.item() == 2.0


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"values": np.zeros((2, 3, 1))}, ["(2, 3, 1)", "(2, 4, 1)"]),
        ({"series": ("B", "A")}, ["sorted and unique"]),
        ({"series": ("A", "A")}, ["sorted and unique"]),
        ({"step": timedelta(minutes=30)}, ["evenly spaced by 0:30:00"]),
        ({"values": np.full((2, 4, 1), np.inf)}, ["infinite", "null"]),
        ({"keep": np.ones(3, bool)}, ["keep has shape (3,)", "(4,)"]),
        ({"outlook": np.zeros((2, 4, 6, 1))}, ["outlook has 1 variables"]),
        ({"outlook": np.zeros((2, 3, 6, 1)), "outlook_variables": ("nwp",)}, ["outlook has shape", "(2, 4)"]),
        ({"outlook": np.full((2, 4, 6, 1), np.inf), "outlook_variables": ("nwp",)}, ["outlook holds infinite"]),
    ],
)
def test_a_bad_panel_cannot_be_built(changes: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(SchemaError) as caught:
        built(**changes)
    for part in parts:
        assert part in str(caught.value)


def test_times_off_the_grid_are_named() -> None:
    time = pl.Series([T0, T0 + timedelta(minutes=90)])
    frame = pl.DataFrame({"series": ["A", "A"], "time": time, "seen": time, "x": [2.0, 1.0]})
    with pytest.raises(SchemaError, match=r"1 rows lie off the 1:00:00 grid.*'A' 2024-03-10 01:30"):
        Panel.from_frame(frame, HOUR)
    with pytest.raises(UnknownNameError, match="unknown variable 'y'"):
        Panel.from_frame(frame, HOUR, ["y"])
    with pytest.raises(SchemaError, match="no rows"):
        Panel.from_frame(frame, HOUR, start=T0 + HOUR * 9)
    with pytest.raises(SchemaError, match="naive datetime"):
        built().until(datetime(2024, 3, 10))  # noqa: DTZ001
    with pytest.raises(SchemaError, match="no rows"):
        _ = built().until(T0 - HOUR).end


def test_arrays_are_read_only_and_converted_once() -> None:
    panel = built(values=np.zeros((2, 4, 1), np.int32), times=built().times.astype("datetime64[ns]"))
    assert panel.values.dtype == np.float64
    assert panel.times.dtype == np.dtype("datetime64[us]")
    with pytest.raises(ValueError, match="read-only"):
        panel.values[0, 0, 0] = 1.0


def test_cuts_agree() -> None:
    panel = synthetic_panel(40)
    end = moment(panel.times[29])
    assert panel.until(end).end == end
    np.testing.assert_array_equal(panel.until(end).tail(5).values, panel.values[:, 25:30])
    np.testing.assert_array_equal(panel.select(["wind", "humidity"]).values, panel.values[:, :, [2, 1]])
    aligned = panel.align(["ZRH", "JFK"])
    assert aligned.series == ("JFK", "ZRH")
    np.testing.assert_array_equal(aligned.values[0], panel.values[1])
    assert np.isnan(aligned.values[1]).all()


def test_outlook_follows_the_names() -> None:
    outlook = np.arange(16.0).reshape(2, 4, 1, 2)  # (N, T, K, F)
    panel = built(outlook=outlook, outlook_variables=("a", "b"))
    np.testing.assert_array_equal(panel.with_outlook(["b", "a"]).outlook, outlook[..., ::-1])
    assert panel.with_outlook([]).outlook is None
    with pytest.raises(UnknownNameError, match="outlook variable 'c'"):
        panel.with_outlook(["c"])


def test_windows_and_truth_equal_loops() -> None:
    panel = synthetic_panel(40)
    task, rows = synthetic_task(context=5, horizon=4), np.array([4, 17, 38])
    windows, truth = windows_at(panel, task, rows), truth_at(panel, task, rows)
    for b, row in enumerate(rows):
        np.testing.assert_array_equal(windows.values[b], panel.values[:, row - 4 : row + 1])
        assert windows.origins[b] == panel.times[row]
        for h in range(4):
            ahead = row + h + 1
            wanted = panel.values[:, ahead, :2] if ahead < 40 else np.full((3, 2), np.nan)
            np.testing.assert_array_equal(truth[b, :, h], wanted)


def test_training_span_equals_a_loop() -> None:
    panel, task = synthetic_panel(60), synthetic_task(context=5, horizon=4)
    keep = np.zeros(60, bool)
    keep[[2, 10, 11, 40, 58]] = True
    rows = training_rows(panel.with_keep(keep), task)
    assert rows.tolist() == [10, 11, 40, 58]
    wanted = {t for r in rows for t in range(r - 4, r + 5) if t < 60}
    assert set(np.flatnonzero(training_span(panel, task, rows))) == wanted


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.none() | st.floats(-9, 9), min_size=1, max_size=12))
def test_forward_fill_equals_polars(values: list[float | None]) -> None:
    gappy = np.array([np.nan if v is None else v for v in values])[:, None]  # (L, 1)
    wanted = pl.Series(values, dtype=pl.Float64).fill_null(strategy="forward").fill_null(np.nan).to_numpy()
    np.testing.assert_array_equal(forward_fill(gappy)[:, 0], wanted)
    whole = filled(gappy[None, None], np.array([7.0]))
    assert not np.isnan(whole).any()
    np.testing.assert_array_equal(whole[0, 0][~np.isnan(gappy)], gappy[~np.isnan(gappy)])


def test_a_failed_fit_leaves_the_model_as_it_was() -> None:
    panel, task = synthetic_panel(), synthetic_task()
    model = Persistence().fit(panel, task)
    before = model.predict(panel).quantiles
    with pytest.raises(ShortHistoryError, match="at least 25 rows"):
        model.fit(panel.tail(20), task)
    np.testing.assert_array_equal(model.predict(panel).quantiles, before)


def test_saving_replaces_model_folders_only(tmp_path: Path) -> None:
    model = Persistence().fit(synthetic_panel(), synthetic_task())
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("ten years")
    with pytest.raises(SchemaError, match="not a model folder"):
        model.save(tmp_path / "notes")
    assert (tmp_path / "notes" / "thesis.txt").read_text() == "ten years"
    for _ in range(2):
        model.save(tmp_path / "model")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "notes"]


@pytest.mark.parametrize("step", ["30d", "90s", "0.5s", "15m", "1w", timedelta(days=400, microseconds=1)])
def test_steps_survive_the_trip_through_a_spec(step: Any) -> None:
    task = Task(targets=(Variable("x"),), step=step)
    assert from_spec(to_spec(task)) == task


@pytest.mark.parametrize("text", ["M", "1M", "1mo", "1.2.3h", ".h", "hour", "", "h1", 3])
def test_what_is_no_fixed_step_is_refused(text: Any) -> None:
    with pytest.raises(SchemaError, match="is not a duration"):
        Task(targets=(Variable("x"),), step=text)
