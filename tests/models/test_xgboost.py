"""XGBoost against slow second witnesses: a table built row by row, a recursion written out, and laws that must hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

from forecast.checks import check_forecaster
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.panel import Panel, moment
from forecast.schema import Task, Variable
from forecast.windows import calendar, training_rows, truth_at, windows_at
from models.residuals import Residuals, block_rows, clear_of, held_out
from models.trees.boosting import Trees, scores
from models.trees.tabular import Inputs, features, last_known, most_alike, table
from models.xgboost import XGBoost

HOUR = timedelta(hours=1)
TREES = Trees(rounds=6, depth=3, leaf=5)
TASK = Task(targets=(Variable("a"), Variable("b")), past=(Variable("p"),), horizon=3, context=5)
SINGLE = Task(targets=(Variable("a"),), horizon=3, context=4)


def panel_of(series: int = 3, rows: int = 400, names: tuple[str, ...] = ("a", "b", "p"), gaps: float = 0.0) -> Panel:
    chance = np.random.default_rng(7)
    hours = np.arange(rows)
    day = np.sin(2 * np.pi * hours / 24)[None, :, None]  # (1, T, 1)
    values = 10 + 3 * day + chance.normal(size=(series, rows, len(names))).cumsum(1) * 0.1  # (N, T, C)
    values[chance.random(values.shape) < gaps] = np.nan
    times = np.datetime64("2024-01-01", "us") + hours * np.timedelta64(1, "h")
    return Panel(values, times, tuple(f"S{i}" for i in range(series)), names, HOUR)


def filled_last(column: np.ndarray) -> float:
    known = column[~np.isnan(column)]
    return known[-1] if len(known) else np.nan


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("lags", [(1, 3), (0, 1, 2, 3, 4), (1, 2, 3), ()])
def test_table_is_that_built_row_by_row(lags: tuple[int, ...], relative: bool) -> None:
    panel, inputs = panel_of(gaps=0.1), Inputs(lags=lags, neighbours=2, relative=relative)
    beside = most_alike(panel.values, 2)
    rows = np.array([4, 5, 90, 399])
    found = table(panel, TASK, rows, inputs, beside)  # (B, N, F)
    for b, row in enumerate(rows):
        window = panel.values[:, row - 4 : row + 1]  # (N, L, V)
        last = np.array([[filled_last(w[:, v]) if relative else w[-1, v] for v in range(3)] for w in window])  # (N, V)
        for n in range(3):
            base = last[n] if relative else np.zeros(3)
            cells = [*last[n]]
            for lag in lags:
                if 0 < lag < 5:
                    cells += [*(window[n, 4 - lag] - base)]
            for m in beside[n]:
                cells += [*(last[m] - base)]
            cells += [*calendar(panel.times[row : row + 1])[0], n]
            np.testing.assert_allclose(found[b, n], np.array(cells, np.float32), rtol=1e-5, atol=1e-5)


def test_long_tables_are_built_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of()
    rows = training_rows(panel, TASK)
    whole = table(panel, TASK, rows, Inputs(), most_alike(panel.values, 2))
    monkeypatch.setattr("models.trees.tabular.CHUNK", 500)
    np.testing.assert_array_equal(table(panel, TASK, rows, Inputs(), most_alike(panel.values, 2)), whole)


def test_the_most_alike_come_first() -> None:
    chance = np.random.default_rng(0)
    moves = chance.normal(size=(200, 1)).cumsum(0)
    noise = chance.normal(size=(200, 1))
    values = np.stack([moves, noise, moves + 0.1 * noise, 2 * moves])  # (N, T, C)
    assert most_alike(values, 2)[0].tolist() == [3, 2]
    assert most_alike(values, 0).shape == (4, 0)
    assert most_alike(values[:1], 3).shape == (1, 0)


@pytest.mark.parametrize("relative", [True, False])
def test_recursion_is_a_loop_over_panels(relative: bool) -> None:
    panel = panel_of(names=("a",))
    model = XGBoost(TREES, Inputs(relative=relative), strategy="recursive").fit(panel, SINGLE)
    found = model.predict(panel).point  # (N, H, C)
    one = replace(SINGLE, horizon=1)
    grown = panel
    for h in range(3):
        windows = windows_at(grown, one, np.array([len(grown.times) - 1]))
        x = features(windows, model.inputs, model.series_, model.neighbours_)[0]  # (N, F)
        part = model.parts_[0]
        step = scores(part.boosters, x) * part.width[0] + part.centre[0]  # (N, 1)
        step = step + (grown.values[:, -1] if relative else 0)
        np.testing.assert_allclose(found[:, h], step, rtol=1e-6)
        times = np.append(grown.times, grown.times[-1] + np.timedelta64(1, "h"))
        grown = Panel(np.concatenate([grown.values, step[:, None]], 1), times, grown.series, ("a",), HOUR)


def test_multi_and_direct_learn_one_output_alike() -> None:
    panel, one = panel_of(names=("a",)), replace(SINGLE, horizon=1)
    points = [XGBoost(TREES, strategy=s).fit(panel, one).predict(panel).point for s in ("multi", "direct", "recursive")]
    np.testing.assert_array_equal(points[0], points[1])
    np.testing.assert_array_equal(points[0], points[2])


@pytest.mark.parametrize("strategy", ["multi", "direct"])
@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_saved_and_loaded_it_gives_the_same_numbers(strategy: str, gaps: float, tmp_path: Path) -> None:
    panel = panel_of(gaps=gaps)
    model = XGBoost(TREES, strategy=strategy).fit(panel, TASK)
    model.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    found, wanted = loaded.predict(panel), model.predict(panel)
    np.testing.assert_array_equal(found.quantiles, wanted.quantiles)
    assert found.status == wanted.status
    assert loaded.traits == model.traits


def test_the_seed_decides() -> None:
    panel, drawn = panel_of(), replace(TREES, rows=0.5, columns=0.5)
    points = [XGBoost(drawn, seed=seed).fit(panel, TASK).predict(panel).point for seed in (0, 0, 1)]
    np.testing.assert_array_equal(points[0], points[1])
    assert (points[0] != points[2]).any()


def test_quantiles_are_ordered_and_the_point_is_the_median() -> None:
    panel, task = panel_of(), replace(TASK, levels=(0.05, 0.25, 0.5, 0.75, 0.95))
    forecast = XGBoost(TREES).fit(panel, task).predict(panel)
    assert (np.diff(forecast.quantiles, axis=-1) >= 0).all()
    assert (forecast.quantiles[..., -1] > forecast.quantiles[..., 0]).all()


def test_intervals_cover_what_they_say() -> None:
    panel = panel_of(rows=1500)
    model = XGBoost(TREES).fit(panel.rows(slice(0, 1000)), TASK)
    late = np.arange(1000, 1490)
    forecasts = model.predict_at(panel, [panel.rows(slice(0, r + 1)).end for r in late])
    truth = np.stack([panel.values[:, r + 1 : r + 4, :2] for r in late])  # (B, N, H, C)
    quantiles = np.stack([f.quantiles for f in forecasts])  # (B, N, H, C, Q)
    inside = (quantiles[..., 0] <= truth) & (truth <= quantiles[..., -1])
    assert 0.7 < inside.mean() < 0.9


def test_a_wilder_series_has_the_wider_interval() -> None:
    errors = np.random.default_rng(0).normal(size=(500, 2, 3, 2)) * np.array([1, 3])[None, :, None, None]
    residuals = Residuals.of(errors, TASK)
    quantiles = residuals.around(np.zeros((1, 3, 3, 2)), ("S0", "S1", "new"), ("S0", "S1"))
    width = quantiles[0, ..., -1] - quantiles[0, ..., 0]  # (N, H, C)
    np.testing.assert_allclose(width[1] / width[0], 3, rtol=0.25)
    assert (width[2] > width[0]).all()
    assert (width[2] < width[1]).all()


def test_a_row_is_held_out_whenever_it_is_seen() -> None:
    panel = panel_of(rows=600)
    rows = np.arange(600)
    whole = held_out(panel, rows, 24, 5)
    assert 0.15 < whole.mean() < 0.25
    np.testing.assert_array_equal(held_out(panel.tail(300), rows[:300], 24, 5), whole[300:])
    assert not held_out(panel, rows, 24, 0).any()
    assert not held_out(panel, rows, 24, 1).any()


def test_small_and_dull_tasks() -> None:
    alone = panel_of(series=1, rows=60, names=("a",))
    assert XGBoost(TREES).fit(alone, replace(SINGLE, horizon=1)).predict(alone).point.shape == (1, 1, 1)
    level = Panel(np.full((2, 60, 1), 4.0), alone.times, ("A", "B"), ("a",), HOUR)
    for strategy in ("multi", "direct", "recursive"):
        forecast = XGBoost(TREES, strategy=strategy).fit(level, SINGLE).predict(level)
        np.testing.assert_allclose(forecast.quantiles, 4.0)


def test_without_neighbours_it_forecasts_any_series() -> None:
    panel = panel_of()
    model = XGBoost(TREES, Inputs(neighbours=0)).fit(panel, TASK)
    other = Panel(panel.values[:2], panel.times, ("new", "newer"), panel.variables, HOUR)
    assert model.predict(other).ok.all()
    assert not XGBoost(TREES).fit(panel, TASK).predict(other).ok.any()


def mean_error(model: XGBoost, panel: Panel) -> float:
    rows = range(100, 390)
    points = [f.point for f in model.predict_at(panel, [panel.rows(slice(0, r + 1)).end for r in rows])]
    return float(
        np.mean([np.abs(p - panel.values[:, r + 1 : r + 4]).mean() for r, p in zip(rows, points, strict=True)])
    )


def test_the_last_known_values_are_those_of_the_windows() -> None:
    panel = panel_of(gaps=0.5)
    rows = training_rows(panel, TASK)
    wanted = windows_at(panel, TASK, rows).last_known(2)
    assert np.isnan(wanted).any()
    np.testing.assert_array_equal(last_known(panel, TASK, rows), wanted)


def test_small_changes_of_a_large_level_are_learnt() -> None:
    """A meter that stands at 10^8: single precision would round its changes away."""
    plain = panel_of(names=("a",))
    errors = []
    for level in (0.0, 1e8):
        panel = replace(plain, values=plain.values + level)
        errors.append(mean_error(XGBoost(TREES, Inputs(neighbours=0)).fit(panel, SINGLE), panel))
    assert errors[1] < 1.2 * errors[0]


def test_the_outlook_is_used() -> None:
    panel = panel_of(names=("a",))
    ahead = np.full((3, 400, 3, 1), np.nan)
    for k in range(3):
        ahead[:, : 399 - k, k, 0] = panel.values[:, k + 1 :, 0]
    knowing = replace(panel, outlook=ahead, outlook_variables=("f",))
    model = XGBoost(replace(TREES, rounds=40), Inputs(relative=False))
    asked = (SINGLE, replace(SINGLE, future=(Variable("f"),)))
    blind, sighted = (mean_error(model.fit(p, t), p) for p, t in zip((panel, knowing), asked, strict=True))
    assert sighted < 0.9 * blind


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'direct'"):
        XGBoost(strategy="dirct")
    with pytest.raises(UnknownNameError, match="did you mean 'local'"):
        XGBoost(scope="locale")
    with pytest.raises(UnknownNameError, match="did you mean 'absolute'"):
        Trees(loss="absolut")
    with pytest.raises(SchemaError, match="do not add up"):
        XGBoost(strategy="recursive", quantiles="pinball")
    with pytest.raises(SchemaError, match="p"):
        XGBoost(TREES, strategy="recursive").fit(panel_of(), TASK)


def test_local_trees_are_those_of_each_series_alone() -> None:
    panel = panel_of()
    found = XGBoost(TREES, scope="local").fit(panel, TASK)
    assert len(found.parts_) == 3
    for n, name in enumerate(panel.series):
        alone = Panel(panel.values[n : n + 1], panel.times, (name,), panel.variables, HOUR)
        wanted = XGBoost(TREES, Inputs(identity=False), scope="local").fit(alone, TASK).predict(alone).point
        np.testing.assert_allclose(found.predict(panel).point[n], wanted[0], rtol=1e-6)
    assert not found.predict(Panel(panel.values[:1], panel.times, ("new",), panel.variables, HOUR)).ok.any()


def test_global_trees_see_no_neighbour_and_forecast_any_series() -> None:
    panel = panel_of()
    model = XGBoost(TREES, Inputs(neighbours=2), scope="global").fit(panel, TASK)
    plain = XGBoost(TREES, Inputs(neighbours=0)).fit(panel, TASK)
    np.testing.assert_array_equal(model.predict(panel).quantiles, plain.predict(panel).quantiles)
    alone = Panel(panel.values[:1], panel.times, panel.series[:1], panel.variables, HOUR)
    np.testing.assert_array_equal(model.predict(alone).point[0], model.predict(panel).point[0])
    assert model.predict(Panel(panel.values[:1], panel.times, ("new",), panel.variables, HOUR)).ok.all()


def test_pinball_intervals_are_ordered_saved_and_cover(tmp_path: Path) -> None:
    panel = panel_of(rows=1500)
    model = XGBoost(replace(TREES, rounds=25), quantiles="pinball").fit(panel.rows(slice(0, 1000)), TASK)
    model.save(tmp_path / "model")
    late = [moment(t) for t in panel.times[1000:1490]]
    made = np.stack([f.quantiles for f in Forecaster.load(tmp_path / "model").predict_at(panel, late)])
    np.testing.assert_array_equal(made[0], model.predict_at(panel, late[:1])[0].quantiles)
    assert (np.diff(made, axis=-1) >= 0).all()
    truth = truth_at(panel, TASK, np.arange(1000, 1490))
    assert 0.6 < ((made[..., 0] <= truth) & (truth <= made[..., 2])).mean() < 0.95


def test_all_leads_and_targets_share_one_binning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted at the library: one quantile sketch for a direct model of 2 targets x 3 leads."""
    made = []

    class Counted(xgb.QuantileDMatrix):
        def __init__(self, *args: object, **kwargs: object) -> None:
            made.append(1)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(xgb, "QuantileDMatrix", Counted)
    assert len(XGBoost(TREES, strategy="direct").fit(panel_of(), TASK).parts_[0].boosters) == 6
    assert len(made) == 1


def test_the_outlook_stands_beside_what_it_predicts() -> None:
    panel = panel_of(names=("a",))
    outlook = np.arange(3 * 400 * 2, dtype=float).reshape(3, 400, 2, 1)
    seen = replace(panel, outlook=outlook, outlook_variables=("f",))
    found = features(windows_at(seen, SINGLE, np.array([9])), Inputs(neighbours=0), panel.series, np.empty((3, 0), int))
    np.testing.assert_allclose(found[0, :, -4:-2], outlook[:, 9, :, 0])
    np.testing.assert_allclose(found[0, :, -2:], outlook[:, 9, :, 0] - panel.values[:, 9], rtol=1e-6)


def test_a_short_history_is_not_spent_on_what_is_held_out() -> None:
    """A day ahead a block is four days: of a week of rows it would leave next to nothing to train on."""
    long, task = panel_of(rows=1000, names=("a",)), replace(SINGLE, horizon=24)
    few = 0
    for end in range(150, 1000, 24):
        panel = long.rows(slice(end - 150, end))
        if not 0 < held_out(panel, np.arange(3, 149), block_rows(task), 10).sum() < 146 - 48:
            continue
        few += 1
        whole = XGBoost(TREES, holdout=0).fit(panel, task).predict(panel).point
        held = held_out(panel, np.arange(3, 149), block_rows(task), 10)
        left = (clear_of(np.arange(3, 149), np.arange(3, 149)[held], 24) & ~held).sum()
        same = np.array_equal(XGBoost(TREES).fit(panel, task).predict(panel).point, whole)
        assert same == (left < 73)
    assert few > 3


def test_hours_held_out_are_all_hours_of_the_day() -> None:
    for horizon in (1, 3, 5, 6, 7):
        assert block_rows(replace(TASK, horizon=horizon)) % 24 == 0
        assert block_rows(replace(TASK, horizon=horizon)) >= 4 * horizon
    assert block_rows(replace(TASK, step=timedelta(days=1), horizon=2)) == 8


@pytest.mark.parametrize(("quantiles", "identity"), [("residual", True), ("residual", False), ("pinball", False)])
def test_the_contract_holds_for_global_trees(quantiles: str, identity: bool) -> None:
    """Of a series it knows by name are its width and its number; without both, names are nothing."""
    own = {"check_save_and_load": "tested above, without a process"}
    make = lambda: XGBoost(TREES, Inputs(identity=identity), scope="global", quantiles=quantiles)  # noqa: E731
    assert make().traits.named == (quantiles == "residual" or identity)
    assert not make().traits.regional
    assert check_forecaster(make, exclude=own) > 30


@pytest.mark.slow
@pytest.mark.parametrize("quantiles", ["residual", "pinball"])
def test_the_contract_holds_for_local_trees_that_stop_early(quantiles: str) -> None:
    own = {"check_save_and_load": "tested above, without a process"}
    trees = Trees(rounds=8, depth=2, loss="absolute", patience=3)
    assert check_forecaster(lambda: XGBoost(trees, scope="local", quantiles=quantiles), exclude=own) > 30
