"""Forecast: a bad one cannot be built; its long frame against a loop; statuses against their definition."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecast.checks.data import TEMPERATURE, synthetic_panel, synthetic_task, with_values
from forecast.errors import NotFittedError, SchemaError, ShortHistoryError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.result import Forecast, Status
from models.persistence import Persistence

T0 = datetime(2024, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
OK, STALE, MISSING = Status.OK, Status.STALE, Status.MISSING


def good() -> Forecast:
    quantiles = np.arange(2 * 3 * 2 * 3, dtype=float).reshape(2, 3, 2, 3)  # (N, H, C, Q)
    quantiles[1] = np.nan
    return Forecast(T0, HOUR, ("A", "B"), ("x", "y"), (0.1, 0.5, 0.9), (OK, STALE), quantiles)


def changed(n: int, value: Any) -> np.ndarray:
    quantiles = good().quantiles.copy()
    quantiles[n, 1, 0, 2] = value
    return quantiles


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"quantiles": changed(0, np.nan)}, ["'x' for series 'A' at lead 2", "NaN or infinite"]),
        ({"quantiles": changed(0, np.inf)}, ["'x' for series 'A' at lead 2"]),
        ({"quantiles": changed(1, 1.0)}, ["stale or missing has numbers"]),
        ({"quantiles": changed(0, -1.0)}, ["quantiles cross"]),
        ({"quantiles": good().quantiles[:, :, :1]}, ["(2, 3, 1, 3)", "(2, H, 2, 3)"]),
        ({"quantiles": good().quantiles[0]}, ["(3, 2, 3)"]),
        ({"status": (OK,)}, ["1 statuses"]),
        ({"levels": (0.1, 0.4, 0.9)}, ["contain 0.5"]),
        ({"levels": (0.9, 0.5, 0.1)}, ["must increase"]),
        ({"origin": datetime(2024, 3, 10)}, ["naive datetime"]),  # noqa: DTZ001
    ],
)
def test_a_bad_forecast_cannot_be_built(changes: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(SchemaError) as caught:
        replace(good(), **changes)
    for part in parts:
        assert part in str(caught.value)


def test_the_long_frame_equals_a_loop() -> None:
    forecast = good()
    rows = iter(forecast.frame().rows(named=True))
    for n, series in enumerate(forecast.series):
        for h in range(forecast.horizon):
            for c, variable in enumerate(forecast.variables):
                row = next(rows)
                values = [None if np.isnan(v) else v for v in forecast.quantiles[n, h, c]]
                assert [row["q0.1"], row["q0.5"], row["q0.9"]] == values
                assert row["point"] == values[1]
                assert (row["series"], row["lead"], row["variable"]) == (series, h + 1, variable)
                assert (row["origin"], row["time"]) == (T0, T0 + HOUR * (h + 1))
                assert row["status"] == ["ok", "stale"][n]
    assert next(rows, None) is None


@settings(deadline=None, derandomize=True, max_examples=80)
@given(arrays(bool, (6,)), st.integers(0, 4))
def test_status_equals_its_definition(known: np.ndarray, patience: int) -> None:
    panel = synthetic_panel(60)
    task = synthetic_task(targets=(TEMPERATURE,), context=6, patience=patience)
    model = Persistence().fit(panel, task)
    values = panel.values.copy()  # (N, T, C)
    values[1, -6:, 0][~known] = np.nan
    age = next((i for i, k in enumerate(reversed(known)) if k), None)
    wanted = MISSING if age is None else STALE if age > patience else MISSING if known.sum() < 3 else OK
    found = model.predict(with_values(panel, values))
    assert found.status == (OK, wanted, OK)
    assert np.isnan(found.quantiles[1]).all() == (wanted != OK)


def test_persistence_says_the_last_value_also_on_a_trend() -> None:
    panel = synthetic_panel()
    trend = with_values(panel, np.broadcast_to(np.arange(200.0)[None, :, None] * 0.2, panel.shape))
    found = Persistence().fit(trend, synthetic_task()).predict(trend)
    np.testing.assert_array_equal(found.point, np.broadcast_to(trend.values[:, -1:, :2], (3, 3, 2)))
    assert (found.quantiles[..., 0] <= found.point).all()


def test_errors_of_asking_are_in_words(tmp_path: Path) -> None:
    panel, task = synthetic_panel(), synthetic_task()
    with pytest.raises(NotFittedError, match="Persistence is not fitted"):
        Persistence().predict(panel)
    with pytest.raises(NotFittedError, match="nothing to save"):
        Persistence().save(tmp_path / "model")
    model = Persistence().fit(panel, task)
    with pytest.raises(SchemaError, match=r"origin .* is not on the panel's grid"):
        model.predict_at(panel, [panel.end + HOUR])
    with pytest.raises(ShortHistoryError, match="needs 24 rows up to it, the panel has 23"):
        model.predict(panel.tail(23))
    with pytest.raises(UnknownNameError, match="unknown variable 'wind'"):
        model.predict(panel.select(["temperature", "humidity"]))
    dead = with_values(panel, np.where(np.arange(3) == 0, np.nan, panel.values))
    with pytest.raises(SchemaError, match="target 'temperature' has no value in any of the 3 series"):
        model.fit(dead, task)
    assert model.predict_at(panel, []) == []


def test_a_saved_model_that_was_altered_is_refused(tmp_path: Path) -> None:
    Persistence().fit(synthetic_panel(), synthetic_task()).save(tmp_path / "model")
    part = tmp_path / "model" / "arrays.safetensors"
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    with pytest.raises(OSError, match=r"was altered or cut off"):
        Forecaster.load(tmp_path / "model")
    part.unlink()
    with pytest.raises(OSError, match=r"lacks 'arrays\.safetensors'"):
        Forecaster.load(tmp_path / "model")
