"""What comes apart fails for itself: infinite and missing forecasts, portraits that cannot be made, models inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from forecast.errors import NotFittedError, SchemaError
from forecast.forecaster import Forecaster
from forecast.schema import Task, Variable
from forecast.spec import from_spec
from pipelines.backtest.bundle import run_bundle
from pipelines.backtest.cells import of_each
from pipelines.backtest.checking import check_trade
from pipelines.backtest.findings import Comparison, findings
from pipelines.backtest.scores import scores
from tests.pipelines.test_backtest_seeds import pair
from tests.pipelines.test_backtest_walk import ALWAYS, NEVER, TASK, every, made, on_drift, panel

HERE = "tests.pipelines.planted_models"
SHOWN = {"_target_": f"{HERE}.Shown"}
ALLOWED = ("forecast", "models", "tests")


@pytest.mark.parametrize("policy", [None, NEVER, every("10h"), on_drift()])
@pytest.mark.parametrize(
    ("value", "told"),
    [(1e39, "are beyond 3.4e38, first from 2024-03-10"), (float("nan"), "is NaN or infinite in an ok series")],
)
def test_a_model_that_comes_apart_fails_for_itself(tmp_path: Path, policy: Any, value: float, told: str) -> None:
    """1e39 is a number where it is made, and none in the float32 that forecasts are kept in."""
    (cell,) = made(tmp_path, {"_target_": f"{HERE}.Astray", "value": value}, policy)
    with np.errstate(over="ignore"):
        (outcome,) = run_bundle([cell])
    assert told in outcome.why
    assert not cell.done


@pytest.mark.parametrize("policy", [None, every("10h")])
def test_a_portrait_that_cannot_be_made_ends_its_own_cell(tmp_path: Path, policy: Any) -> None:
    (cell,) = made(tmp_path, {"_target_": f"{HERE}.Failing"}, policy)
    assert "planted: no picture" in run_bundle([cell])[0].why


INSIDE = {
    "conformal": ({"_target_": "models.conformal.Conformal", "model": SHOWN}, ""),
    "anchored": ({"_target_": "models.anchored.Anchored", "model": SHOWN}, ""),
    "weekdays": ({"_target_": "models.weekdays.Weekdays", "model": SHOWN}, ""),
    "combination": ({"_target_": "models.combination.Combination", "members": {"one": SHOWN, "two": SHOWN}}, "two "),
}


@pytest.mark.parametrize("name", INSIDE)
def test_models_around_models_show_what_is_inside(tmp_path: Path, name: str) -> None:
    spec, prefix = INSIDE[name]
    model: Forecaster = from_spec(spec, ALLOWED)
    with pytest.raises(NotFittedError, match="before portrait"):
        model.portrait()
    model.fit(panel(), TASK)
    found = model.portrait()
    known = panel().values[0]
    graph = np.corrcoef(known[~np.isnan(known).any(1)].T)
    np.testing.assert_allclose(found[f"{prefix}graph"].values, graph)
    assert len(found) == (4 if prefix else 2)


class TestTable:
    def options(self, **more: Any) -> dict[str, Any]:
        return {"leads": [1, 3], "season": 1, "block": 1, "pool": False, **more}

    def test_origins_further_apart_than_a_lead_do_not_overlap(self, tmp_path: Path) -> None:
        """Every third hour, three hours ahead: the plain paired test, as in the report."""
        from forecast.evaluation import diebold_mariano
        from pipelines.backtest.plan import Split
        from pipelines.backtest.run import run_cells
        from pipelines.executors import Serial
        from tests.pipelines.test_backtest_seeds import made as made_pair

        found = made_pair(tmp_path, pair(spread=5.0), Split(every=3))
        assert run_cells(found, Serial(), lambda *_: None) == {}
        of = dict(of_each(found, 3))
        row = scores(of, "persistence", **self.options(every=3)).filter(
            pl.col("label") == "chancy", pl.col("variable") == "w", pl.col("lead") == 3
        )
        truth = panel().values[:, found[0].stretch.origins + 3, 1].T  # (B, N)
        off = [np.abs(c.quantiles()[:, :, 2, 1, 1] - truth) for c in found]  # 1 + S of (B, N)
        mine, theirs = np.nanmean(np.mean(off[1:], axis=0), 1), np.nanmean(off[0], 1)
        np.testing.assert_allclose(row["p_mae"].item(), diebold_mariano(mine, theirs, 1, 1), rtol=1e-4)
        assert abs(row["p_mae"].item() - diebold_mariano(mine, theirs, 3, 1)) > 1e-6, "lags would say otherwise"

    @pytest.mark.parametrize(("units", "pooled"), [(("m", "m"), True), (("degC", "%"), False)])
    def test_variables_of_several_units_have_no_mean(self, tmp_path: Path, units: tuple, pooled: bool) -> None:
        from pipelines.backtest.run import run_cells
        from pipelines.executors import Serial
        from tests.pipelines.test_backtest_seeds import made as made_pair

        found = made_pair(tmp_path, pair(seeds=1))
        run_cells(found, Serial(), lambda *_: None)
        task = Task(tuple(Variable(n, unit=u) for n, u in zip("tw", units, strict=True)), horizon=3, context=4)
        asked = {"season": 1, "mase": "lead", "block": 1, "every": 1, "pool": True, "standardise": False}
        config = {"backtest": {**asked, "reference": "persistence"}}
        table = findings(Comparison(pair(seeds=1), found, task, [3], [1], tmp_path), config, {}).table
        assert ("all" in set(table["variable"])) == pooled


def test_what_is_no_price_is_told_before_anything_is_fitted() -> None:
    ask = {"standardise": False, "report": {"trade": "t"}}
    for panel_, told in ((panel(), r"'t' has \d+ values at or below zero"), (None, "makes them deviations")):
        with pytest.raises(SchemaError, match=told):
            check_trade({**ask, "standardise": panel_ is None}, panel_ or panel(), TASK, ("S0", "S1"), 100)
    check_trade({**ask, "report": {"trade": None}}, panel(), TASK, ("S0", "S1"), 100)


def test_every_model_may_be_walked_with_a_portrait(tmp_path: Path) -> None:
    (cell,) = made(tmp_path, SHOWN, ALWAYS)
    assert run_bundle([cell])[0].why == ""
    assert cell.portraits()["rows"].values == cell.stretch.origins[-1] + 1, "of the last training"
