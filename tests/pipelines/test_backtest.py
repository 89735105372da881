"""Backtests: which rows are learnt from, what is scored on which pairs, what happens when something breaks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

from forecast.errors import SchemaError, ShortHistoryError, UnknownNameError
from forecast.evaluation import diebold_mariano
from forecast.metrics import naive_scale
from forecast.panel import Panel, moment
from forecast.schema import Task, Variable
from forecast.spec import ALLOWED, from_spec
from pipelines.backtest.bundle import run_cell
from pipelines.backtest.cell import Cell
from pipelines.backtest.cells import cells, of_each
from pipelines.backtest.contestants import Contestant
from pipelines.backtest.data import standardised
from pipelines.backtest.plan import Split, row_of
from pipelines.backtest.reducing import reducing
from pipelines.backtest.run import run_cells
from pipelines.backtest.scores import scores, with_skill
from pipelines.backtest.table import ranking, sheets
from pipelines.executors import Pool, Serial

FULL = {"_target_": "forecast.reduce.Full"}
PERSISTENCE = {"_target_": "models.persistence.Persistence"}
CLIMATOLOGY = {"_target_": "models.climatology.Climatology"}
RIDGE = {"_target_": "models.ridge.Ridge", "inputs": {"_target_": "models.ridges.inputs.RidgeInputs", "lags": [1]}}
SPLIT = Split()
PLANTED = "tests.pipelines.planted_models"
TASK = Task(targets=(Variable("t"), Variable("w")), horizon=3, context=4, levels=(0.1, 0.5, 0.9))


def panel(rows: int = 300, series: int = 2) -> Panel:
    hours = np.arange(rows)
    rng = np.random.default_rng(0)
    day = 5 * np.sin(2 * np.pi * hours / 24)[None, :, None] + np.arange(series)[:, None, None]
    values = day + rng.normal(size=(series, rows, 2)).cumsum(1) * 0.1  # (N, T, C)
    values[0, 250:254, 0] = np.nan
    times = np.datetime64("2024-03-01", "us") + hours * np.timedelta64(1, "h")
    return Panel(values, times, tuple(f"S{i}" for i in range(series)), ("t", "w"), timedelta(hours=1))


def made(folder: Path, models: dict[str, Any], split: Split = SPLIT, **options: Any) -> list[Cell]:
    entrants = [Contestant(label, spec, FULL, {}) for label, spec in models.items()]
    given = {"horizons": [3], "scored": ("S0", "S1"), "update": 0, **options}
    return cells(
        entrants, given.pop("panel", panel()), TASK, split, allowed=(*ALLOWED, "tests"), folder=folder, **given
    )


def table_of(found: list[Cell], **options: Any) -> pl.DataFrame:
    given = {"leads": [1, 3], "season": 1, "block": 6, "pool": False, **options}
    return with_skill(scores(dict(of_each(found, 3)), "persistence", **given), "persistence")


class TestPlan:
    def test_every_window_of_a_part_and_none_beyond(self) -> None:
        times = panel().times
        for part, begin, end in (("choose", 180, 240), ("test", 240, 300)):
            (one,) = Split(part).stretches(times, 6)
            truths = {int(o) + lead for o in one.origins for lead in range(1, 7)}
            assert (min(truths), max(truths)) == (begin, end - 1), "first and last row of the part are both predicted"
            assert len(one.origins) == end - begin - 6 + 1
            assert (one.first, one.stop) == (0, begin)

    def test_later_fits_learn_every_row_before_their_first_truth(self) -> None:
        found = Split(cutoffs=4, history=100, every=2).stretches(panel().times, 3)
        assert [len(s.origins) for s in found] == [8, 7, 7, 7]
        for one in found:
            assert one.stop == one.origins[0] + 1
            assert one.first == one.stop - 100
        assert np.array_equal(np.diff(np.concatenate([s.origins for s in found])), np.full(28, 2))

    def test_a_published_split(self) -> None:
        times = np.datetime64("2016-07-01", "us") + np.arange(17420) * np.timedelta64(1, "h")
        split = Split(choose=8640, test=11520, end=14400, train=8640)
        for horizon, windows in ((96, 2785), (720, 2161)):
            (one,) = split.stretches(times, horizon)
            assert (one.first, one.stop, len(one.origins)) == (0, 8640, windows)
            assert (one.origins[0], one.origins[-1] + horizon) == (11519, 14399)

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"part": "tset"}, "did you mean 'test'"),
            ({"choose": 0.9}, "must follow each other"),
            ({"choose": 1.5}, "names no row"),
            ({"test": "soon"}, "is not a time"),
            ({"train": 250}, "after the part begins"),
            ({"train": 100, "cutoffs": 2}, "drop one"),
            ({"test": 298}, "which gives 0 origins"),
        ],
    )
    def test_a_plan_that_cannot_be_is_told(self, given: dict, told: str) -> None:
        with pytest.raises((SchemaError, UnknownNameError, ShortHistoryError), match=told):
            Split(**given).stretches(panel().times, 3)

    def test_places(self) -> None:
        times = panel().times
        assert row_of(moment(times[7]), times) == row_of("2024-03-01T06:30+00:00", times) == 7


class TestCells:
    def test_forecasts_are_those_of_the_model_fitted_on_the_rows_before(self, tmp_path: Path) -> None:
        here = panel()
        for cell in made(tmp_path, {"climatology": CLIMATOLOGY}, Split(cutoffs=2)):
            assert run_cell(cell).why == ""
            model = from_spec(CLIMATOLOGY).fit(here.rows(slice(0, int(cell.stretch.origins[0]) + 1)), TASK)
            want = [model.predict(here.rows(slice(0, int(o) + 1))).quantiles for o in cell.stretch.origins]
            np.testing.assert_allclose(cell.quantiles(), np.stack(want), rtol=1e-6)

    def test_rows_after_a_forecast_change_nothing(self, tmp_path: Path) -> None:
        """A poisoned future: whatever stands after the last origin, the forecasts are the same."""
        here, found = panel(), []
        for spoil in (0.0, 1e6):
            (cell,) = made(tmp_path / str(spoil), {"climatology": CLIMATOLOGY}, Split("choose"))
            values = here.values.copy()
            values[:, int(cell.stretch.origins[-1]) + 1 :] += spoil
            cell = replace(cell, panel=replace(here, values=values))
            run_cell(cell)
            found.append(cell.quantiles())
        np.testing.assert_array_equal(*found)

    def test_a_model_that_updates_learns_between_origins_and_never_ahead(self, tmp_path: Path) -> None:
        here = panel()
        still, moving = (made(tmp_path, {"ridge": RIDGE}, update=u)[0] for u in (0, 7))
        assert run_cell(still).why == run_cell(moving).why == ""
        np.testing.assert_array_equal(still.quantiles()[:7], moving.quantiles()[:7])
        assert not np.array_equal(still.quantiles()[7:], moving.quantiles()[7:])
        values = here.values.copy()
        values[:, int(moving.stretch.origins[20]) + 1 :] += 1e3
        spoilt = replace(moving, panel=replace(here, values=values), folder=tmp_path / "spoilt")
        run_cell(spoilt)
        np.testing.assert_array_equal(spoilt.quantiles()[:21], moving.quantiles()[:21])
        assert moving.facts()["update_cpu_s"] > 0 == still.facts()["update_cpu_s"]

    def test_only_the_named_series_are_kept_and_the_others_are_seen(self, tmp_path: Path) -> None:
        (cell,) = made(tmp_path, {"ridge": RIDGE}, scored=("S1",))
        (both,) = made(tmp_path, {"ridge": RIDGE})
        assert run_cell(cell).why == run_cell(both).why == ""
        np.testing.assert_array_equal(cell.quantiles()[:, 0], both.quantiles()[:, 1])

    def test_what_a_result_depends_on_is_in_its_key(self, tmp_path: Path) -> None:
        usual = made(tmp_path, {"m": RIDGE})[0].key
        others = [
            made(tmp_path, {"m": {**RIDGE, "half_life": 50}})[0].key,
            made(tmp_path, {"m": RIDGE}, Split("choose"))[0].key,
            made(tmp_path, {"m": RIDGE}, update=5)[0].key,
            made(tmp_path, {"m": RIDGE}, scored=("S0",))[0].key,
            made(tmp_path, {"m": RIDGE}, panel=replace(panel(), values=panel().values + 1))[0].key,
        ]
        assert len({usual, *others}) == 6
        assert made(tmp_path / "else", {"m": {**RIDGE}})[0].key == usual


class TestRun:
    def test_a_second_run_does_only_what_is_missing(self, tmp_path: Path) -> None:
        found = made(tmp_path, {"persistence": PERSISTENCE, "climatology": CLIMATOLOGY}, Split(cutoffs=2))
        told: list[str] = []
        assert run_cells(found, Serial(), lambda cell, why: told.append(cell.key)) == {}
        assert sorted(told) == sorted(c.key for c in found)
        (tmp_path / told[0] / "cell.json").unlink()
        again: list[str] = []
        run_cells(found, Serial(), lambda cell, why: again.append(cell.key))
        assert again == told[:1]

    @pytest.mark.parametrize("kind", ["Raises", "Dies"])
    def test_one_model_fails_for_itself_alone(self, tmp_path: Path, kind: str) -> None:
        """An exception and a killed worker alike; the others are all done."""
        models = {"persistence": PERSISTENCE, "bad": {"_target_": f"{PLANTED}.{kind}"}, "climatology": CLIMATOLOGY}
        found, pool = made(tmp_path, models, Split(cutoffs=2)), Pool(2)
        try:
            failed = run_cells(found, pool, lambda cell, why: None)
        finally:
            pool.close()
        assert sorted(failed) == sorted(c.key for c in found if c.label == "bad")
        assert all(c.done for c in found if c.label != "bad")
        assert all(("planted" if kind == "Raises" else "Broken") in why for why in failed.values())


class TestScores:
    def test_scores_are_those_of_a_loop_over_pairs_that_all_have(self, tmp_path: Path) -> None:
        models = {"persistence": PERSISTENCE, "patchy": {"_target_": f"{PLANTED}.Patchy"}, "climatology": CLIMATOLOGY}
        found, here = made(tmp_path, models), panel()
        run_cells(found, Serial(), lambda cell, why: None)
        table = table_of(found)
        by = {c.label: c.quantiles().astype(float) for c in found}
        scale = naive_scale(here.values[:, :240], (1, 2, 3))
        for label in models:
            for c, variable in enumerate(("t", "w")):
                for lead in (1, 3):
                    errors, outside, scaled = [], [], []
                    for b, o in enumerate(found[0].stretch.origins):
                        for n in range(2):
                            truth = here.values[n, o + lead, c]
                            if np.isnan(truth) or any(np.isnan(by[k][b, n, lead - 1, c, 1]) for k in by):
                                continue
                            low, point, high = by[label][b, n, lead - 1, c]
                            errors.append(abs(point - truth))
                            outside.append(not low <= truth <= high)
                            scaled.append(errors[-1] / scale[n, lead - 1, c])
                    row = table.row(
                        by_predicate=(pl.col("label") == label)
                        & (pl.col("variable") == variable)
                        & (pl.col("lead") == lead),
                        named=True,
                    )
                    assert row["n"] == len(errors)
                    np.testing.assert_allclose(row["mae"], np.mean(errors))
                    np.testing.assert_allclose(row["mase"], np.mean(scaled))
                    np.testing.assert_allclose(row["coverage"], 1 - np.mean(outside))
        counts = table.filter(pl.col("lead") == 1).select("variable", "n").unique()
        assert counts.height == 2, "every model on as many pairs"
        assert counts["n"].max() <= len(found[0].stretch.origins), "one of two series is known to all"

    def test_the_test_is_on_the_mean_over_series_of_identical_pairs(self, tmp_path: Path) -> None:
        found, here = made(tmp_path, {"persistence": PERSISTENCE, "climatology": CLIMATOLOGY}), panel()
        run_cells(found, Serial(), lambda cell, why: None)
        row = table_of(found).row(
            by_predicate=(pl.col("label") == "climatology") & (pl.col("variable") == "w") & (pl.col("lead") == 3),
            named=True,
        )
        truth = here.values[:, found[0].stretch.origins + 3, 1].T  # (B, N)
        errors = np.stack([np.abs(c.quantiles()[:, :, 2, 1, 1] - truth) for c in (found[1], found[0])])  # (2, B, N)
        errors[:, np.isnan(errors).any(0)] = np.nan
        a, b = np.nanmean(errors, 2)
        np.testing.assert_allclose(row["p_mae"], diebold_mariano(a, b, 3, 6), rtol=1e-4)
        mine, theirs = np.nanmean(errors, (1, 2))
        np.testing.assert_allclose(row["skill_mae"], 1 - mine / theirs, rtol=1e-5)
        assert row["low_mae"] < row["skill_mae"] < row["high_mae"]

    def test_lead_zero_is_the_mean_over_leads_and_all_that_over_variables(self, tmp_path: Path) -> None:
        whole = replace(panel(), values=np.nan_to_num(panel().values))
        found = made(tmp_path, {"persistence": PERSISTENCE}, panel=whole)
        run_cells(found, Serial(), lambda cell, why: None)
        table = table_of(found, pool=True)
        for score in ("mae", "mse", "crps"):
            single = table.filter((pl.col("lead") > 0) & (pl.col("variable") != "all"))[score].mean()
            pooled = table.filter((pl.col("lead") == 0) & (pl.col("variable") == "all"))[score].item()
            np.testing.assert_allclose(pooled, single)

    def test_standardised_values_have_mean_0_and_deviation_1_in_the_rows_fitted_on(self) -> None:
        here, task = standardised(panel(), TASK, 200)
        np.testing.assert_allclose(np.nanmean(here.values[:, :200], 1), 0, atol=1e-12)
        np.testing.assert_allclose(np.nanstd(here.values[:, :200], 1), 1)
        assert task.targets[0].lower == -np.inf
        with pytest.raises(SchemaError, match="turn it off"):
            standardised(panel(), replace(TASK, future=(Variable("nwp"),)), 200)

    def test_the_tables_name_everybody_best_first_and_the_cost(self, tmp_path: Path) -> None:
        found = made(tmp_path, {"persistence": PERSISTENCE, "climatology": CLIMATOLOGY})
        run_cells(found, Serial(), lambda cell, why: None)
        table, costs = table_of(found), pl.DataFrame([c.facts() for c in found])
        order = ranking(table, [1, 3])
        means = [table.filter((pl.col("label") == k) & pl.col("lead").is_in([1, 3]))["skill_mae"].mean() for k in order]
        assert means == sorted(means, reverse=True)
        pages = sheets(table, costs, [1, 3], 0.8)
        assert [p.title for p in pages] == ["t, horizon 3", "w, horizon 3"]
        text = pages[0].markdown()
        assert (
            "| model | MAE 1 | MAE 3 | skill 1 | skill 3 | CRPS skill 1 | CRPS skill 3 | in 80 % | fit CPU-s |" in text
        )
        assert text.count("\n|") == 4


def test_facts_are_plain_data(tmp_path: Path) -> None:
    (cell,) = made(tmp_path, {"persistence": PERSISTENCE})
    run_cell(cell)
    facts = json.loads((tmp_path / cell.key / "cell.json").read_text())
    assert facts["rows"] == 240
    assert {"fit_cpu_s", "predict_cpu_s", "reduce_cpu_s", "update_cpu_s"} <= facts.keys()


class TestReducing:
    LABELS: ClassVar = {
        "a.full": {"model": "a", "reducer": "full"},
        "a.few": {"model": "a", "reducer": "few"},
        "b.few": {"model": "b", "reducer": "few"},
    }

    def test_error_and_cost_beside_the_same_model_on_all_rows(self) -> None:
        table = pl.DataFrame(
            [
                {"horizon": 3, "label": label, "variable": v, "lead": lead, "mae": mae}
                for label, maes in (("a.full", (1.0, 4.0)), ("a.few", (2.0, 8.0)), ("b.few", (1.0, 1.0)))
                for v, mae in zip("tw", maes, strict=True)
                for lead in (0, 1)
            ]
        ).with_columns(mae=pl.when((pl.col("lead") == 1) & (pl.col("variable") == "w")).then(4.0).otherwise("mae"))
        costs = pl.DataFrame(
            {"horizon": 3, "label": list(self.LABELS), "rows": [100, 30, 30], "reduce_cpu_s": [0.0, 0.1, 0.0]}
        ).with_columns(fit_cpu_s=pl.Series([1.0, 0.4, 1.0]))
        (sheet,) = reducing(table, costs, self.LABELS, [1])
        assert sheet.rows == (("a.few", "30", "+41.4", "0.50", "-50"),), "sqrt(2 * 1), b has no fit on all rows"
        assert reducing(table, costs, {"a.few": self.LABELS["a.few"]}, [1]) == []


def test_mase_of_a_season_has_one_denominator_for_all_leads(tmp_path: Path) -> None:
    found = made(tmp_path, {"persistence": PERSISTENCE}, scored=("S1",))
    run_cells(found, Serial(), lambda *_: None)
    by = {kind: table_of(found, season=2, mase=kind).filter(pl.col("variable") == "w") for kind in ("lead", "season")}
    history = panel().values[1, : found[0].stretch.stop, 1]
    for lead in (1, 3):
        one = {kind: table.filter(pl.col("lead") == lead).row(0, named=True) for kind, table in by.items()}
        assert np.isclose(one["season"]["mase"], one["season"]["mae"] / np.abs(history[2:] - history[:-2]).mean())
        same = np.isclose(one["season"]["mase"], one["lead"]["mase"])
        assert same == (lead <= 2), "a lead beyond the season looks back two seasons"
