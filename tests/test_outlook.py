"""The outlook at each time is what a query on `seen` would have given then, and nothing that came later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from forecast.errors import UnknownNameError
from forecast.outlook import with_outlook_of
from forecast.panel import Panel, moment

FIRST, HOUR = datetime(2024, 1, 1, tzinfo=UTC), timedelta(hours=1)


def panel(rows: int = 30) -> Panel:
    times = np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    return Panel(np.zeros((2, rows, 1)), times, ("A", "B"), ("t",), HOUR)


def issued(rows: int = 400) -> pl.DataFrame:
    """Predictions seen at any minute, for any hour before and after, of two series and one that nobody asked for."""
    rng = np.random.default_rng(0)
    seen = FIRST + np.array([timedelta(minutes=int(m)) for m in rng.integers(-300, 1700, rows)])
    frame = pl.DataFrame(
        {
            "series": rng.choice(["A", "B", "C"], rows),
            "time": [FIRST + HOUR * int(h) for h in rng.integers(-2, 40, rows)],
            "seen": seen.tolist(),
            "x": rng.normal(size=rows),
            "y": rng.normal(size=rows),
        }
    ).with_columns(pl.when(pl.col("y") < 1).then(pl.col("y")))
    return frame.unique(["series", "time", "seen"], maintain_order=True)


@pytest.mark.parametrize("latency", [timedelta(0), timedelta(minutes=20), HOUR])
def test_it_is_the_newest_vintage_seen_by_then(latency: timedelta) -> None:
    here, frame, steps = panel(), issued(), 5
    found = with_outlook_of(here, frame, ["x", "y"], steps, latency)
    assert found.outlook is not None
    assert found.outlook_variables == ("x", "y")
    numbers = 0
    for n, name in enumerate(here.series):
        for t, time in enumerate(here.times):
            origin = moment(time)
            known = frame.filter((pl.col("series") == name) & (pl.col("seen") <= origin + latency)).sort("seen")
            for k in range(steps):
                about = known.filter(pl.col("time") == origin + (k + 1) * HOUR)
                for f, variable in enumerate(("x", "y")):
                    told = about[variable].drop_nulls()
                    want = told[-1] if len(told) else np.nan
                    numbers += len(told) > 0
                    assert found.outlook[n, t, k, f] == want or (np.isnan(found.outlook[n, t, k, f]) and np.isnan(want))
    assert numbers > 100


def test_what_is_issued_later_changes_nothing_before() -> None:
    here, frame = panel(), issued()
    cut = FIRST + 12 * HOUR
    whole = with_outlook_of(here, frame, ["x"], 4).outlook
    early = with_outlook_of(here, frame.filter(pl.col("seen") <= cut), ["x"], 4).outlook
    assert whole is not None
    assert early is not None
    np.testing.assert_array_equal(whole[:, :13], early[:, :13])
    assert not np.array_equal(whole[:, 13:], early[:, 13:], equal_nan=True)


def test_an_unknown_variable_is_told() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'x'"):
        with_outlook_of(panel(), issued().rename({"x": "xx"}).rename({"xx": "x"}), ["x1"], 3)
