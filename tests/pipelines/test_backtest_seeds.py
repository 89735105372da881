"""Several seeds of one model: who is trained how often, in how many passes, and what the tables say of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from forecast.errors import SchemaError, UnknownNameError
from forecast.evaluation import diebold_mariano
from forecast.spec import ALLOWED, from_spec
from pipelines.backtest.about import about, per_seed, retraining
from pipelines.backtest.bundle import bundles, run_bundle
from pipelines.backtest.cell import Cell, Walk
from pipelines.backtest.cells import cells, of_each
from pipelines.backtest.contestants import Contestant, contestants
from pipelines.backtest.plan import Split
from pipelines.backtest.run import run_cells
from pipelines.backtest.scores import scores, with_skill
from pipelines.backtest.seeds import reseeded, seeded
from pipelines.backtest.table import sheets
from pipelines.executors import Serial
from tests.loop.planted import Sociable
from tests.pipelines.test_backtest_walk import FULL, NEVER, TASK, panel

PERSISTENCE = {"_target_": "models.persistence.Persistence"}
CHANCY = {"_target_": "tests.pipelines.planted_models.Chancy"}
INNER = {"_target_": "models.mlp.MLP", "seed": 5}
HERE = (*ALLOWED, "tests")


def made(folder: Path, entrants: list[Contestant], split: Split = Split(), **options: Any) -> list[Cell]:  # noqa: B008
    given = {"horizons": [3], "scored": ("S0", "S1"), "update": 0, **options}
    return cells(entrants, panel(), TASK, split, allowed=HERE, folder=folder, **given)


def pair(seeds: int = 3, **model: Any) -> list[Contestant]:
    chancy = Contestant("chancy", {**CHANCY, **model}, FULL, {"model": "chancy", "reducer": "full"}, None, seeds)
    return [Contestant("persistence", PERSISTENCE, FULL, {"model": "persistence", "reducer": "full"}), chancy]


def config(**asked: Any) -> dict[str, Any]:
    usual = {"models": None, "reducers": None, "policies": None, "only": None, "seeds": 1, "history": None}
    return {
        "backtest": {**usual, "reference": "persistence", **asked},
        "baselines": {"persistence": PERSISTENCE},
        "refit": True,
    }


class TestSpecs:
    def test_every_seed_of_a_spec_is_raised_and_nothing_else(self) -> None:
        spec = {"_target_": "models.conformal.Conformal", "model": INNER}
        other = reseeded(spec, 2, ALLOWED)
        assert other["model"]["seed"] == 7
        assert {**other, "model": {**other["model"], "seed": 5}} == reseeded(
            {**spec, "model": {**INNER, "seed": 4}}, 1, ALLOWED
        )
        assert reseeded(spec, 0, ALLOWED) == spec
        assert from_spec(reseeded({"_target_": "models.mlp.MLP"}, 3, ALLOWED)).seed == 3, "the default is raised too"

    def test_who_has_a_seed(self) -> None:
        for spec, wanted in ((PERSISTENCE, False), (INNER, True), (CHANCY, True)):
            assert seeded(from_spec(spec, HERE)) == wanted
        assert seeded(from_spec({"_target_": "models.conformal.Conformal", "model": INNER}))

    def test_only_what_has_a_seed_is_trained_several_times(self) -> None:
        found = contestants(config(models={"mlp": INNER}, seeds=3), {}, ALLOWED)
        assert {one.label: one.seeds for one in found} == {"persistence": 1, "mlp": 3}


class TestPolicies:
    MODELS = {"mlp": INNER, "line": {"_target_": "models.drift_line.DriftLine"}}  # noqa: RUF012
    POLICIES = {"never": NEVER, "always": {"_target_": "forecast.policy.Always"}}  # noqa: RUF012

    def test_every_model_that_learns_with_every_policy_and_the_others_once(self) -> None:
        found = contestants(config(models=self.MODELS, policies=self.POLICIES), {}, ALLOWED)
        learns = from_spec(self.MODELS["line"]).traits.learns
        lines = ["line.never", "line.always"] if learns else ["line"]
        assert [one.label for one in found] == ["persistence", "mlp.never", "mlp.always", *lines]
        assert [one.labels.get("policy") for one in found][:3] == [None, "never", "always"]
        assert found[2].walk == Walk(self.POLICIES["always"], None, True)

    def test_a_model_may_have_fewer(self) -> None:
        asked = config(models={"mlp": INNER, "lstm": INNER}, policies=self.POLICIES, only={"lstm": ["always"]})
        labels = [one.label for one in contestants(asked, {}, ALLOWED)]
        assert labels == ["persistence", "mlp.never", "mlp.always", "lstm.always"]
        one = contestants(config(models={"mlp": INNER}, policies={"never": NEVER}), {}, ALLOWED)
        assert [c.label for c in one] == ["persistence", "mlp"], "one policy alone is in no label"
        both = config(models={"mlp": INNER}, reducers={"a": FULL, "b": FULL}, policies=self.POLICIES)
        assert "mlp.b.always" in {c.label for c in contestants(both, {}, ALLOWED)}

    @pytest.mark.parametrize(
        ("only", "told"), [({"mpl": ["never"]}, "did you mean 'mlp'"), ({"mlp": ["nevr"]}, "did you mean 'never'")]
    )
    def test_strangers_are_told(self, only: dict, told: str) -> None:
        with pytest.raises(UnknownNameError, match=told):
            contestants(config(models={"mlp": INNER}, policies=self.POLICIES, only=only), {}, ALLOWED)

    def test_two_of_one_name_are_told(self) -> None:
        asked = config(models={"mlp": INNER, "mlp.never": INNER}, policies=self.POLICIES)
        asked["backtest"]["models"] = {"mlp": INNER, "persistence": INNER}
        asked["backtest"]["policies"] = {"never": NEVER}
        with pytest.raises(SchemaError, match="two contestants are called 'persistence'"):
            contestants(asked, {}, ALLOWED)


class TestBundles:
    def test_one_pass_for_all_seeds_and_each_is_what_it_is_alone(self, tmp_path: Path) -> None:
        found = made(tmp_path / "a", pair(), Split(cutoffs=2))
        assert sorted(len(b) for b in bundles(found)) == [1, 1, 3, 3]
        Sociable.passes.clear()
        assert run_cells(found, Serial(), lambda *_: None) == {}
        assert Sociable.passes == [3, 3]
        for cell in made(tmp_path / "b", pair(), Split(cutoffs=2)):
            run_bundle([cell])
            mine = next(c for c in found if c.key == cell.key)
            np.testing.assert_array_equal(cell.quantiles(), mine.quantiles())
        costs = [c.facts()["fit_cpu_s"] for c in found if c.label == "chancy"]
        assert min(costs) > 0, "the common pass is charged to each"

    def test_networks_too(self, tmp_path: Path) -> None:
        spec = {
            "_target_": "models.mlp.MLP",
            "hidden": 4,
            "training": {"_target_": "models.training.settings.Training", "epochs": 2},
        }
        entrants = [Contestant("mlp", spec, FULL, {}, None, 2)]
        together, alone = made(tmp_path / "a", entrants), made(tmp_path / "b", entrants)
        assert [o.why for o in run_bundle(together)] == ["", ""]
        for one, mine in zip(alone, together, strict=True):
            run_bundle([one])
            np.testing.assert_allclose(one.quantiles(), mine.quantiles(), rtol=1e-4, atol=1e-4)
        assert not np.allclose(together[0].quantiles(), together[1].quantiles(), rtol=1e-3)

    def test_the_first_seed_is_the_training_without_seeds(self, tmp_path: Path) -> None:
        one, three = (made(tmp_path, pair(n)) for n in (1, 3))
        assert {c.key for c in one} < {c.key for c in three}
        assert len({c.key for c in three}) == 4

    def test_what_was_killed_is_done_again_and_only_that(self, tmp_path: Path) -> None:
        found = made(tmp_path, pair())
        run_cells(found, Serial(), lambda *_: None)
        gone, before = found[2], found[2].quantiles()
        shutil.rmtree(gone.folder / gone.key)
        told: list[str] = []
        run_cells(found, Serial(), lambda cell, why: told.append(cell.key))
        assert told == [gone.key]
        np.testing.assert_array_equal(gone.quantiles(), before)

    def test_a_seed_that_fails_fails_alone(self, tmp_path: Path) -> None:
        found = made(tmp_path, pair())
        bad = [c if c.seed != 1 else _broken(c) for c in found]
        failed = run_cells(bad, Serial(), lambda *_: None)
        assert list(failed) == [c.key for c in bad if c.label == "chancy" and c.seed == 1]
        assert "planted" in next(iter(failed.values()))
        assert all(c.done for c in bad if c.key not in failed)


def _broken(cell: Cell) -> Cell:
    from dataclasses import replace

    return replace(cell, model={**cell.model, "breaks": "ValueError"})


class TestScores:
    @pytest.fixture
    def found(self, tmp_path: Path) -> list[Cell]:
        found = made(tmp_path, pair(spread=5.0))
        assert run_cells(found, Serial(), lambda *_: None) == {}
        return found

    def table(self, found: list[Cell]) -> pl.DataFrame:
        options = {"leads": [1, 3], "season": 1, "block": 6, "pool": False}
        return with_skill(scores(dict(of_each(found, 3)), "persistence", **options), "persistence")

    def test_errors_are_averaged_over_seeds_and_tests_are_on_the_mean_loss(self, found: list[Cell]) -> None:
        row = self.table(found).row(
            by_predicate=(pl.col("label") == "chancy") & (pl.col("variable") == "w") & (pl.col("lead") == 3), named=True
        )
        mine = [c for c in found if c.label == "chancy"]
        truth = panel().values[:, mine[0].stretch.origins + 3, 1].T  # (B, N)
        off = np.stack([c.quantiles()[:, :, 2, 1, 1] - truth for c in (found[0], *mine)])  # (1 + S, B, N)
        off[:, np.isnan(off).any(0)] = np.nan
        errors, other = off[1:], np.nanmean(np.abs(off[0]), 1)  # (S, B, N), (B,)
        each = np.nanmean(np.abs(errors), (1, 2))  # (S,)
        np.testing.assert_allclose(row["mae"], each.mean(), rtol=1e-6)
        np.testing.assert_allclose(row["sd_mae"], each.std(ddof=1), rtol=1e-5)
        np.testing.assert_allclose(row["rmse"], np.sqrt(np.nanmean(errors**2)), rtol=1e-6)
        assert row["mae"] > np.nanmean(np.abs(errors.mean(0))) * 1.001, "of errors, not of forecasts"
        assert (row["seeds"], row["n"]) == (3, np.count_nonzero(~np.isnan(off[0])))
        loss = np.nanmean(np.abs(errors), (0, 2))  # (B,)
        np.testing.assert_allclose(row["p_mae"], diebold_mariano(loss, other, 3, 6), rtol=1e-4)

    def test_the_table_tells_how_many_and_how_far_apart(self, found: list[Cell]) -> None:
        costs = pl.DataFrame([{"cutoff": c.stretch.stop, **c.facts()} for c in found])
        words = about(pair(), costs)
        assert words == {"persistence": {"pretrained on": ""}, "chancy": {"pretrained on": ""}}
        for leads in ([1, 3], []):
            page = sheets(self.table(found), per_seed(costs), leads, 0.8, words)[0]
            assert {"seeds", "pretrained on"} <= set(page.head)
            by = {row[0]: dict(zip(page.head, row, strict=True)) for row in page.rows}
            assert (by["chancy"]["seeds"], by["persistence"]["seeds"]) == ("3", "1")
            name = "sd MAE" if leads else "sd MAE 3"
            want = self.table(found).filter(pl.col("label") == "chancy", pl.col("lead") == 0, pl.col("variable") == "t")
            assert float(by["chancy"][name]) == pytest.approx(want["sd_mae"].item(), abs=6e-4)
            assert by["persistence"][name] == by["chancy"]["pretrained on"] == "-"

    def test_costs_are_those_of_one_training(self, found: list[Cell]) -> None:
        costs = pl.DataFrame([{"cutoff": c.stretch.stop, **c.facts()} for c in found])
        mine = costs.filter(pl.col("label") == "chancy")["fit_cpu_s"]
        one = per_seed(costs).filter(pl.col("label") == "chancy")
        assert one["fit_cpu_s"].to_list() == pytest.approx([mine.mean()])
        assert retraining(pair(), costs) == []


def test_policies_and_fits_stand_in_the_table(tmp_path: Path) -> None:
    model = Contestant(
        "chancy",
        CHANCY,
        FULL,
        {"model": "chancy", "policy": "daily"},
        Walk({"_target_": "forecast.policy.Every", "period": "24h"}),
        2,
    )
    entrants = [pair()[0], model]
    found = made(tmp_path, entrants, Split(cutoffs=2))
    run_cells(found, Serial(), lambda *_: None)
    costs = pl.DataFrame([{"cutoff": c.stretch.stop, **c.facts()} for c in found], infer_schema_length=None)
    words = about(entrants, costs)
    assert words["persistence"] == {"policy": "once", "fits": "2", "pretrained on": ""}
    assert words["chancy"] == {"policy": "daily", "fits": "4", "pretrained on": ""}, "two stretches of 29 hours"
    (sheet,) = retraining(entrants, costs)
    assert sheet.rows[0][:6] == ("chancy", "daily", "4", "4", "0", "0")
