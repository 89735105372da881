"""The report of a backtest from its cells, and the portraits of its models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from forecast.errors import SchemaError
from forecast.portrait import Matrix
from pipelines.backtest.cell import Cell
from pipelines.backtest.cells import of_each
from pipelines.backtest.contestants import Contestant
from pipelines.backtest.plan import Split
from pipelines.backtest.portraits import heat_map, portraits
from pipelines.backtest.reporting import answers, asked_of, metrics, newest, question, reported
from pipelines.backtest.run import run_cells
from pipelines.executors import Serial
from tests.pipelines.test_backtest_seeds import made, pair
from tests.pipelines.test_backtest_walk import FULL, panel

REPORT = {"references": [], "regimes": {}, "weekdays": False, "filled": False, "trade": None, "costs_bp": []}
ASKED = {"reference": "persistence", "block": 6, "leads": None, "standardise": False, "pool": None, "report": REPORT}
SHOWN = {"_target_": "tests.pipelines.planted_models.Shown"}


def done(folder: Path, split: Split = Split(cutoffs=2)) -> list[Cell]:  # noqa: B008
    found = made(folder, pair(seeds=2), split)
    assert run_cells(found, Serial(), lambda *_: None) == {}
    return found


class TestQuestion:
    def test_it_is_what_the_rows_say(self, tmp_path: Path) -> None:
        here, found = panel(), done(tmp_path, Split(cutoffs=2, every=4))
        of = dict(of_each(found, 3))
        asked = question(of, 4)
        rows = np.searchsorted(here.times, asked.origins)
        assert rows.tolist() == list(range(239, 297, 4))
        for b, row in enumerate(rows):
            for n in range(2):
                for c in range(2):
                    np.testing.assert_array_equal(asked.truth[b, n, :, c], here.values[n, row + 1 : row + 4, c])
                    past = here.values[n, : row + 1, c]
                    assert asked.last[b, n, c] == past[~np.isnan(past)][-1]
        np.testing.assert_array_equal(asked.history.values, here.values[:, :240])
        assert (asked.names, asked.stride) == (("t", "w"), 4)

    def test_each_seed_gives_its_own_points(self, tmp_path: Path) -> None:
        found = done(tmp_path)
        of = dict(of_each(found, 3))
        costs = pl.DataFrame([c.facts() for c in found])
        by = {one.label: one for one in answers(of, costs, {"chancy": {"policy": "never"}})}
        for seed in range(2):
            mine = [c for c in of["chancy"] if c.seed == seed]
            want = np.concatenate([c.quantiles()[..., 1] for c in mine])
            np.testing.assert_array_equal(by["chancy"].points[seed], want)
        assert by["persistence"].seeds == 1
        assert by["chancy"].about == {"policy": "never"}
        fits = costs.filter(pl.col("label") == "chancy")["fit_cpu_s"].sum()
        assert by["chancy"].cpu_s["fit"] == pytest.approx(fits), "over all seeds and stretches"

    def test_the_newest_value_is_the_last_one_known(self) -> None:
        nan = np.nan
        values = np.array([[nan, 1, nan, nan, 3, nan]])[..., None]  # (N, T, C)
        np.testing.assert_array_equal(newest(values)[0, :, 0], [nan, 1, 1, 1, 3, 3])


def test_the_report_is_on_the_mean_loss_of_the_seeds_on_common_pairs(tmp_path: Path) -> None:
    found = done(tmp_path)
    of = dict(of_each(found, 3))
    ask = asked_of({**ASKED, "leads": [1, 3]}, 3, [1, 3], list(of), {"hardware": "none"})
    told = reported(of, pl.DataFrame([c.facts() for c in found]), {}, ask, 1)
    truth, made_by = (
        question(of, 1).truth,
        {one.label: one.points for one in answers(of, pl.DataFrame([c.facts() for c in found]), {})},
    )
    error = {label: np.abs(points - truth) for label, points in made_by.items()}  # (S, B, N, H, C)
    common = ~np.isnan(error["persistence"][0]) & ~np.isnan(error["chancy"]).any(0)
    loss = {k: np.where(common, e.mean(0), np.nan)[..., 1] for k, e in error.items()}  # (B, N, H) of w
    numbers = {
        (label, measure): value
        for label, variable, group, measure, value in told.numbers.select(
            "label", "variable", "group", "measure", "value"
        ).iter_rows()
        if variable == "w" and group in ("all", "reference")
    }
    np.testing.assert_allclose(numbers["chancy", "mae"], np.nanmean(loss["chancy"]), rtol=1e-6)
    text = told.markdown("w")
    assert "does not beat persistence" in text
    assert "hardware: none" in text
    logged = metrics(told)
    assert logged["chancy"]["report/mae/w"] == pytest.approx(numbers["chancy", "mae"])


@pytest.mark.parametrize(
    ("given", "wanted"), [({}, False), ({"standardise": True}, True), ({"standardise": True, "pool": False}, False)]
)
def test_settings_of_the_report_are_those_of_the_backtest(given: dict, wanted: bool) -> None:
    own = {**REPORT, "references": ["a", "gone"], "trade": "t", "costs_bp": [5], "regimes": {"later": "2024-03-12"}}
    ask = asked_of({**ASKED, "report": own, **given}, 3, [1, 2, 3, 4], ["persistence", "a"], {})
    assert (ask.reference, ask.references, ask.block, ask.pool) == ("persistence", ("a",), 6, wanted)
    assert (ask.trade.variable, ask.trade.costs_bp) == ("t", (5.0,))
    assert ask.views.leads is None
    assert asked_of({**ASKED, "leads": [1, 2, 3, 4]}, 3, [1, 2, 3, 4], ["persistence"], {}).views.leads == (1, 2, 3)


class TestPortraits:
    def test_kept_after_the_last_fit_and_drawn_for_each_matrix(self, tmp_path: Path) -> None:
        shown = Contestant("shown", SHOWN, FULL, {"model": "shown", "reducer": "full"}, None, 1)
        found = made(tmp_path, [pair()[0], shown], Split(cutoffs=2))
        run_cells(found, Serial(), lambda *_: None)
        (last,) = (c for c in found if c.label == "shown" and c.stretch.stop > 240)
        values = panel().values[0, : last.stretch.stop]  # (T, C)
        kept = last.portraits()
        np.testing.assert_allclose(kept["graph"].values, np.corrcoef(values[~np.isnan(values).any(1)].T))
        assert kept["graph"].rows == ("t", "w")
        paths = portraits(found, tmp_path / "portraits")
        assert [p.name for p in paths] == ["shown.graph.png", "shown.rows.png"]
        assert all(p.read_bytes()[:4] == b"\x89PNG" for p in paths)
        assert kept["rows"].values == last.stretch.stop, "of the newest stretch"

    def test_most_models_show_nothing(self, tmp_path: Path) -> None:
        found = done(tmp_path)
        assert portraits(found, tmp_path / "portraits") == []
        assert not (tmp_path / "portraits").exists()

    @pytest.mark.parametrize("shape", [(1, 1), (3, 5), (12, 12), (80, 200)])
    def test_every_size_can_be_drawn(self, tmp_path: Path, shape: tuple[int, int]) -> None:
        from PIL import Image

        values = np.random.default_rng(0).normal(size=shape)
        names = tuple(tuple(f"a long name {k}" for k in range(n)) for n in shape)
        with Image.open(heat_map(Matrix(values, *names), "a: b", tmp_path / "one.png")) as image:
            assert 300 < min(image.size) <= max(image.size) < 3000

    def test_signed_numbers_have_their_zero_in_the_middle(self) -> None:
        from pipelines.backtest.portraits import _colours

        one = Matrix([[-1.0, 3.0]], ["a"], ["b", "c"])
        assert (_colours(one)["vmin"], _colours(one)["vmax"]) == (-3.0, 3.0)
        assert "vmin" not in _colours(replace(one, values=np.abs(one.values)))

    def test_matrices_of_one_limit_are_drawn_on_one_scale(self) -> None:
        from pipelines.backtest.portraits import _colours

        both = [Matrix([[low, 1.0]], ["a"], ["b", "c"], "cosine", limit=1.0) for low in (0.5, -0.2)]
        assert _colours(both[0]) == _colours(both[1]) == {"cmap": "RdBu_r", "vmin": -1.0, "vmax": 1.0}
        assert Matrix.of(both[0].plain()).limit == 1.0
        with pytest.raises(SchemaError, match="limit 1 holds 2"):
            replace(both[0], values=np.array([[2.0, 1.0]]))

    @pytest.mark.parametrize(
        ("values", "rows", "columns", "told"),
        [
            ([[1.0, 2.0]], ["a"], ["b"], "one for each"),
            ([1.0], ["a"], ["b"], "two axes"),
            ([[1.0], [2.0, 3.0]], ["a", "b"], ["c"], "equally many numbers"),
            ([["x"]], ["a"], ["b"], "equally many numbers"),
            (np.zeros((0, 0)), [], [], "at least one number"),
            ([[1.0, np.nan]], ["a"], ["b", "c"], "first at row 0, column 1: nan"),
        ],
    )
    def test_what_is_no_matrix_is_told(self, values, rows, columns, told: str) -> None:
        with pytest.raises(SchemaError, match=told):
            Matrix(values, rows, columns)

    def test_a_matrix_is_its_own(self) -> None:
        given = np.eye(2)
        one = Matrix(given, ("a", "b"), ("a", "b"))
        given[0, 0] = 7
        assert one.values[0, 0] == 1
        with pytest.raises(ValueError, match="read-only"):
            one.values[0, 0] = 2
        back = Matrix.of(one.plain())
        np.testing.assert_array_equal(back.values, one.values)
        assert (back.rows, back.columns) == (one.rows, one.columns)
