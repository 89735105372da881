"""Tables of scores: the streaming metrics are their second witness, and the rows' order does not matter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from forecast.errors import SchemaError, UnknownNameError
from forecast.metrics import BIAS, CRPS, MAE, RMSE, Metric, Pairs, SkillTally, coverage, pinball, scores, skill, width

Change = Callable[[pl.DataFrame], pl.DataFrame]
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
COLUMNS = [f"q{level:g}" for level in LEVELS]


def settled(seed: int = 0, origins: int = 12) -> pl.DataFrame:
    """Three nowcasters, two series, two variables, three leads; every tenth forecast or truth is not known."""
    rng, start = np.random.default_rng(seed), datetime(2013, 1, 1, tzinfo=UTC)
    questions = [
        {"origin": start + timedelta(hours=i), "series": s, "variable": v, "lead": lead}
        for i in range(origins)
        for s in ("EWR", "JFK")
        for v in ("temperature", "wind_speed")
        for lead in (1, 2, 3)
    ]
    truth = np.where(rng.random(len(questions)) < 0.1, np.nan, rng.normal(size=len(questions)))  # (M,)
    parts = []
    for nowcaster in ("lstm", "persistence", "xgboost"):
        q = np.sort(rng.normal(size=(len(questions), len(LEVELS))), axis=1)  # (M, Q)
        q[rng.random(len(questions)) < 0.1] = np.nan
        numbers = pl.DataFrame(q, schema=COLUMNS).with_columns(truth=truth, point=q[:, 2])
        parts.append(pl.DataFrame(questions).with_columns(numbers, nowcaster=pl.lit(nowcaster)))
    frame = pl.concat(parts).with_columns(time=pl.col("origin") + pl.duration(hours=pl.col("lead")))
    return frame.with_columns(pl.col("truth", "point").fill_nan(None))  # NaN in the quantiles, null elsewhere


def as_pairs(frame: pl.DataFrame) -> Pairs:
    frame = frame.fill_null(float("nan"))
    quantiles = frame.select(COLUMNS).to_numpy()  # (M, Q)
    return Pairs(frame["truth"].to_numpy(), frame["point"].to_numpy(), quantiles, LEVELS)


@pytest.mark.parametrize("by", [[], ["nowcaster"], ["nowcaster", "variable", "lead"], ["series", "lead"]])
def test_scores_equal_the_streaming_metrics(by: list[str]) -> None:
    frame = settled()
    table = scores(frame, by=by)
    groups = frame.partition_by(by, as_dict=True) if by else {(): frame}
    assert table.height == len(groups)
    assert by == [] or table.select(by).equals(table.select(by).sort(by))
    for row in table.iter_rows(named=True):
        pairs = as_pairs(groups[tuple(row[c] for c in by)])
        n = int(pairs.present.sum())
        assert (row["n"], row["n_quantiles"], row["left_out"]) == (n, n, pairs.truth.size - n)
        expected = {m.name: m(pairs) for m in (MAE, RMSE, BIAS, CRPS, *(pinball(q) for q in LEVELS))}
        expected |= {"nominal": 0.8, "coverage": coverage(0.8)(pairs), "width": width(0.8)(pairs)}
        expected |= {m.name: m(pairs) for m in (coverage(0.5), width(0.5))}
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_the_order_of_rows_changes_no_bit() -> None:
    frame = settled(origins=200)
    for by in ([], ["nowcaster", "lead"]):
        tables = [scores(frame, by=by)] + [
            scores(frame.sample(fraction=1.0, shuffle=True, seed=i), by=by) for i in (1, 2)
        ]
        for other in tables[1:]:
            assert_frame_equal(tables[0], other, check_exact=True)
    assert_frame_equal(skill(frame), skill(frame.reverse()), check_exact=True)


def test_point_forecasts_have_no_quantile_columns() -> None:
    table = scores(settled().drop(COLUMNS))
    assert table.columns == ["nowcaster", "variable", "lead", "n", "left_out", "mae", "rmse", "bias"]


def test_groups_without_pairs_are_null_and_empty_frames_empty() -> None:
    frame = settled().with_columns(truth=pl.when(pl.col("lead") < 3).then("truth"))
    row = scores(frame, by=["lead"]).row(2, named=True)
    assert row["n"] == 0
    assert row["mae"] is None
    assert row["coverage"] is None
    assert row["left_out"] == 144
    assert scores(frame.clear()).height == 0
    assert scores(frame.clear(), by=[])["n"].to_list() == [0]


@pytest.mark.parametrize("metric", [MAE, RMSE, CRPS], ids=lambda m: m.name)
def test_skill_equals_the_streaming_skill(metric: Metric) -> None:
    frame = settled()
    keys = ["origin", "series", "variable", "lead"]
    table = skill(frame, by=["variable"])
    for row in table.iter_rows(named=True):
        own, reference = (
            frame.filter(nowcaster=name, variable=row["variable"]).sort(keys)
            for name in (row["nowcaster"], "persistence")
        )
        tally = SkillTally(metric)
        tally.update(as_pairs(own), as_pairs(reference))
        assert row[f"skill_{metric.name}"] == pytest.approx(tally.value, rel=1e-12)
        assert row[metric.name] == pytest.approx(tally.own.value, rel=1e-12)
        assert (row["n"], row["left_out"]) == (int(tally.own.count), tally.left_out)


def test_skill_of_the_reference_is_zero_and_gaps_are_counted() -> None:
    table = skill(settled(), by=["lead"])
    own = table.filter(nowcaster="persistence")
    assert own.select("skill_mae", "skill_rmse", "skill_crps").to_numpy().tolist() == [[0.0] * 3] * 3
    fewer = settled().filter((pl.col("nowcaster") != "persistence") | (pl.col("series") == "EWR"))
    assert (skill(fewer, by=[])["n"] < scores(fewer, by=["nowcaster"])["n"]).to_list() == [True, False, True]


def test_a_reference_without_quantiles_still_gives_point_skill() -> None:
    bare = [pl.when(pl.col("nowcaster") != "persistence").then(c).alias(c) for c in COLUMNS]
    table = skill(settled().with_columns(bare), by=[])
    assert table["skill_crps"].to_list() == [None] * 3
    assert table["skill_mae"].null_count() == 0


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda f: f.drop("truth"), SchemaError, "lack the columns \\['truth'\\]"),
        (lambda f: f.with_columns(point=pl.lit(float("inf"))), SchemaError, "'point' has 432 infinite"),
        (lambda f: pl.concat([f, f.head(1)]), SchemaError, "2 rows share"),
        (lambda f: f.filter(pl.col("nowcaster") != "persistence"), UnknownNameError, "unknown nowcaster 'persistence'"),
    ],
)
def test_wrong_input_is_refused_in_words(change: Change, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        skill(change(settled()))
