"""The figure of intervals by lead draws the shares counted by hand, and is absent where nothing has an interval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from pipelines.report.intervals import intervals_by_lead

TABLE = pl.DataFrame({"nowcaster": ["persistence"], "model": ["persistence"], "reducer": ["full"], "policy": ["never"]})


def settled(quantiles: bool) -> pl.DataFrame:
    chance, start = np.random.default_rng(0), datetime(2024, 1, 1, tzinfo=UTC)
    rows = []
    for hour in range(30):
        for lead in (1, 2, 3):
            truth = float(chance.normal() * lead)
            origin = start + timedelta(hours=hour)
            row = {"nowcaster": "persistence", "series": "S", "origin": origin, "lead": lead, "variable": "a"}
            row |= {"time": origin + timedelta(hours=lead), "point": 0.0, "truth": truth, "error": truth}
            rows.append(row | ({"q0.1": -1.0 * lead, "q0.5": 0.0, "q0.9": 1.5 * lead} if quantiles else {"q0.5": 0.0}))
    return pl.DataFrame(rows)


def test_coverage_and_width_are_those_counted_by_hand() -> None:
    rows = settled(quantiles=True)
    made = intervals_by_lead(rows, TABLE, {"a": "K"})
    assert made is not None
    drawn = [axis.lines[0].get_ydata() for axis in made.axes]
    inside = [((one["q0.1"] <= one["truth"]) & (one["truth"] <= one["q0.9"])).mean() for one in by_lead(rows)]
    np.testing.assert_allclose(np.asarray(drawn[0]), np.array(inside, float))
    np.testing.assert_allclose(np.asarray(drawn[1]), [2.5, 5.0, 7.5])


def by_lead(rows: pl.DataFrame) -> list[pl.DataFrame]:
    return [rows.filter(pl.col("lead") == lead) for lead in (1, 2, 3)]


def test_without_intervals_there_is_no_figure() -> None:
    assert intervals_by_lead(settled(quantiles=False), TABLE, {"a": "K"}) is None
