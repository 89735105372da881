"""Ridge against slow second witnesses: each equation solved from rows written out, errors by leaving rows out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from forecast.checks import check_forecaster
from forecast.errors import SchemaError, ShortHistoryError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.panel import Panel
from forecast.schema import Task, Variable
from forecast.windows import calendar
from models.ridge import Ridge
from models.ridges.inputs import RidgeInputs

HOUR = timedelta(hours=1)
TASK = Task(targets=(Variable("a"), Variable("b")), past=(Variable("p"),), horizon=3, context=5)
INPUTS = RidgeInputs(lags=(1, 3), neighbours=1, beside=(2,), harmonics=1, year=False)
PENALTY = 0.03


def panel_of(series: int = 3, rows: int = 160, gaps: float = 0.0) -> Panel:
    chance = np.random.default_rng(7)
    hours = np.arange(rows)
    day = np.sin(2 * np.pi * hours / 24)[None, :, None]  # (1, T, 1)
    values = 10 + 3 * day + chance.normal(size=(series, rows, 3)).cumsum(1) * 0.3  # (N, T, C)
    hole = chance.random((series, rows, 2)) < gaps
    hole[:, :5] = hole[:, -5:] = False
    values[..., :2][hole] = np.nan
    times = np.datetime64("2024-01-01", "us") + hours * np.timedelta64(1, "h")
    return Panel(values, times, tuple(f"S{i:02d}" for i in range(series)), ("a", "b", "p"), HOUR)


def fill(window: np.ndarray) -> np.ndarray:
    """A column without gaps: the newest earlier value, else the next."""
    out = window.copy()
    for i in range(1, len(out)):
        out[i] = out[i - 1] if np.isnan(out[i]) else out[i]
    for i in range(len(out) - 2, -1, -1):
        out[i] = out[i + 1] if np.isnan(out[i]) else out[i]
    return out


def row_of(panel: Panel, model: Ridge, series: int, row: int) -> np.ndarray:
    """One row of inputs, cell by cell."""

    def window(n: int, v: int) -> np.ndarray:
        return fill(panel.values[n, row - 4 : row + 1, v])

    cells = [1.0, *(window(series, v)[4] - model.means_[series, v] for v in range(3))]
    cells += [window(series, v)[4] - window(series, v)[3] for v in range(3)]
    cells += [window(series, v)[3] - window(series, v)[1] for v in range(3)]
    for other in model.neighbours_[series]:
        cells += [window(other, v)[4] - model.means_[other, v] for v in range(3)]
        cells += [window(other, v)[4] - window(other, v)[2] for v in range(3)]
    return np.array([*cells, *calendar(panel.times[row : row + 1], 1)[0, :2]])


def solved_by_rows(panel: Panel, model: Ridge, series: int, fade: float, *, apart: bool) -> np.ndarray:
    """(H * C, D) each lead and target by its own weighted least squares, from all rows of `panel`."""
    end = len(panel.times) - 1
    origins = np.arange(4, end)
    x = np.array([row_of(panel, model, series, r) for r in origins])  # (R, D)
    weight = fade ** (end - origins).astype(float)  # (R,)
    y = np.full((len(origins), 3, 2), np.nan)  # (R, H, C)
    for i, r in enumerate(origins):
        for h in range(min(3, end - r)):
            y[i, h] = panel.values[series, r + h + 1, :2] - [
                fill(panel.values[series, r - 4 : r + 1, c])[4] for c in (0, 1)
            ]
    come = origins[:, None] + np.arange(1, 4) <= end  # (R, H)
    whole = (~np.isnan(y) | ~come[..., None]).all((1, 2))  # (R,)
    out = []
    for h in range(3):
        for c in range(2):
            used = ~np.isnan(y[:, h, c]) if apart else whole & come[:, h]
            base = used if apart else whole & come.all(1)  # the rows that set the penalty
            centre = np.average(x[base], axis=0, weights=weight[base])
            ridge = PENALTY * (weight[base, None] * (x[base] - centre) ** 2).sum(0)
            ridge[0] = 1e-8
            root = np.sqrt(weight[used])[:, None]
            rows = np.concatenate([x[used] * root, np.diag(np.sqrt(ridge))])
            truth = np.concatenate([y[used, h, c] * root[:, 0], np.zeros(len(ridge))])
            out.append(np.linalg.lstsq(rows, truth, rcond=None)[0])
    return np.array(out)


@pytest.mark.parametrize("half_life", [None, 40.0])
@pytest.mark.parametrize("gaps", [0.0, 0.001, 0.25])
def test_an_update_equals_a_fit_of_all_rows_solved_by_a_loop(gaps: float, half_life: float | None) -> None:
    panel = panel_of(gaps=gaps)
    model = Ridge(INPUTS, penalties=(PENALTY,), half_life=half_life).fit(panel.rows(slice(0, 120)), TASK)
    for end in (121, 122, 130, 160):
        model.update(panel.rows(slice(end - 60, end)))
    apart = {int(n): not block.alike for block in model.blocks_ for n in block.series}
    assert any(apart.values()) == (gaps > 0.1)
    for series in range(3):
        wanted = solved_by_rows(panel, model, series, model.fade, apart=apart[series])
        np.testing.assert_allclose(model.weights_[series], wanted, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("inputs", [INPUTS, replace(INPUTS, seasons=(4,))])
@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("gaps", [0.0, 0.25])
def test_an_update_equals_a_fit_on_the_longer_panel(scope: str, gaps: float, inputs: RidgeInputs) -> None:
    panel = panel_of(gaps=gaps)
    model = Ridge(inputs, scope=scope, penalties=(PENALTY,), half_life=60.0)
    found = model.fit(panel.rows(slice(0, 120)), TASK).update(panel)
    batch = Ridge(inputs, scope=scope, penalties=(PENALTY,), half_life=60.0)
    batch.neighbours_ = found.neighbours_
    batch.fit(panel, TASK)
    assert np.array_equal(batch.neighbours_, found.neighbours_), "of this panel both histories have the same neighbours"
    points = [m.predict(panel).point for m in (found, batch)]
    np.testing.assert_allclose(points[0], points[1], atol=1e-8)  # centres differ, forecasts do not


@pytest.mark.parametrize("half_life", [None, 40.0])
@pytest.mark.parametrize("block", [1, 12])
def test_errors_on_rows_left_out_are_those_of_fits_without_them(block: int, half_life: float | None) -> None:
    from models.ridges.leave_out import left_out
    from models.ridges.sums import penalised

    chance = np.random.default_rng(3)
    x = np.concatenate([np.ones((2, 60, 1)), chance.normal(size=(2, 60, 4))], -1)  # (S, R, D)
    y = chance.normal(size=(2, 60, 3)) + x[..., :3]  # (S, R, O)
    weight = np.ones((2, 60)) if half_life is None else np.tile(0.5 ** (np.arange(60)[::-1] / half_life), (2, 1))
    weight[0, 7] = 0
    y[0, 7] = np.nan
    known = np.where(np.isnan(y), 0, y)
    factors = np.array([1, 1, 0.1, 1, 1])
    gram, cross = (x * weight[..., None]).swapaxes(1, 2) @ x, (x * weight[..., None]).swapaxes(1, 2) @ known
    found = left_out(x, y, weight, (gram, cross, factors), (0.01, 0.5), block)  # (P, S, R, O)
    for p, penalty in enumerate((0.01, 0.5)):
        ridge = penalised(gram, np.full(2, penalty), factors) - gram  # (S, D, D) that of all rows
        for s in range(2):
            for r in range(60):
                kept = np.arange(60) // block != r // block
                root = np.sqrt(weight[s, kept])[:, None]
                a = np.concatenate([x[s, kept] * root, np.sqrt(ridge[s])])
                b = np.concatenate([known[s, kept] * root, np.zeros((5, 3))])
                wanted = y[s, r] - x[s, r] @ np.linalg.lstsq(a, b, rcond=None)[0]
                np.testing.assert_allclose(found[p, s, r], wanted, atol=1e-9)


def test_the_penalty_follows_the_noise() -> None:
    """What can be foretold wants a small penalty, a random walk the largest."""
    walks = np.random.default_rng(0).normal(size=(1, 400, 3)).cumsum(1)
    waves = np.sin(2 * np.pi * np.arange(400)[:, None] / (13, 17, 19))[None]
    panel = Panel(np.concatenate([waves, walks]), panel_of(rows=400).times, ("calm", "walk"), ("a", "b", "p"), HOUR)
    model = Ridge(RidgeInputs(neighbours=0), penalties=(1e-4, 10.0), block=24).fit(panel, replace(TASK, horizon=1))
    np.testing.assert_array_equal(model.blocks_[0].penalty[:, 0], [1e-4, 10.0])


def test_the_newest_truth_is_learnt_at_once() -> None:
    """A step that only the newest row shows moves the forecast for one hour before any row is whole."""
    panel = panel_of()
    model = Ridge(INPUTS, penalties=(PENALTY,), half_life=20.0).fit(panel.rows(slice(0, 159)), TASK)
    before = model.weights_.copy()
    model.update(panel)
    assert (np.abs(model.weights_ - before).max(-1) > 1e-6).all()


def test_after_a_restart_it_goes_on_as_if_there_had_been_none(tmp_path: Path) -> None:
    panel = panel_of(gaps=0.1)
    model = Ridge(INPUTS, half_life=100.0, refresh=3).fit(panel.rows(slice(0, 120)), TASK)
    model.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model").update(panel)
    wanted = model.update(panel).predict(panel).quantiles
    np.testing.assert_array_equal(loaded.predict(panel).quantiles, wanted)


def test_a_shift_of_all_values_shifts_the_forecasts() -> None:
    panel = panel_of(gaps=0.1)
    moved = replace(panel, values=panel.values + 300)
    points = [Ridge(INPUTS).fit(p, TASK).predict(p).quantiles for p in (panel, moved)]
    np.testing.assert_allclose(points[1], points[0] + 300, atol=1e-6)


def test_intervals_cover_what_they_say_and_follow_a_change() -> None:
    chance = np.random.default_rng(1)
    rows = 1300
    size = np.where(np.arange(rows) < 1000, 1.0, 3.0)[:, None]
    values = (chance.normal(size=(rows, 3)) * size)[None]  # (N, T, C)
    times = np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    panel = Panel(values, times, ("S",), ("a", "b", "p"), HOUR)
    model = Ridge(RidgeInputs(neighbours=0), errors=150, refresh=1).fit(panel.rows(slice(0, 900)), TASK)

    def covered(first: int, last: int) -> float:
        found = model.predict_at(panel, [panel.rows(slice(0, r + 1)).end for r in range(first, last)])
        q = np.stack([f.quantiles[0] for f in found])  # (B, H, C, Q)
        truth = np.stack([values[0, r + 1 : r + 4, :2] for r in range(first, last)])  # (B, H, C)
        return float(((q[..., 0] <= truth) & (truth <= q[..., -1])).mean())

    assert 0.7 < covered(900, 990) < 0.9
    assert covered(1160, 1290) < 0.5
    model.update(panel.rows(slice(0, 1160)))
    assert 0.7 < covered(1160, 1290) < 0.9


def test_the_outlook_is_read_at_the_lead() -> None:
    panel = panel_of(series=1)
    ahead = np.full((1, 160, 3, 1), np.nan)
    for k in range(3):
        ahead[:, : 159 - k, k, 0] = panel.values[:, k + 1 :, 0]
    knowing = replace(panel, outlook=ahead, outlook_variables=("f",))
    task = replace(TASK, future=(Variable("f"),), levels=(0.5,))
    model = Ridge(INPUTS, penalties=(1e-6,)).fit(knowing.rows(slice(0, 120)), task)
    found = model.predict(knowing.rows(slice(0, 150))).point[0, :, 0]  # (H,)
    np.testing.assert_allclose(found, panel.values[0, 150:153, 0], atol=0.02)
    gone = replace(knowing, outlook=np.full_like(ahead, np.nan)).rows(slice(0, 150))
    assert np.isfinite(model.predict(gone).point).all()


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'local'"):
        Ridge(scope="locall")
    for name, value in (("half_life", 0), ("refresh", 0), ("errors", -1), ("block", 0), ("penalties", ())):
        with pytest.raises(SchemaError, match=name):
            Ridge(**{name: value})
    silent = panel_of()
    values = silent.values.copy()
    values[:, 5:] = np.nan  # a context, and nothing after it
    with pytest.raises(ShortHistoryError, match="follows a context of 5 rows"):
        Ridge().fit(replace(silent, values=values), TASK)


def test_many_pooled_series_are_learnt_as_by_a_fit_of_all_rows() -> None:
    """More newest rows than columns: solved output by output, not by a matrix of rows by rows."""
    panel, inputs = panel_of(series=30), replace(INPUTS, neighbours=0)
    make = lambda: Ridge(inputs, scope="global", penalties=(PENALTY,), half_life=60.0)  # noqa: E731
    found = make().fit(panel.rows(slice(0, 150)), TASK).update(panel)
    np.testing.assert_allclose(found.predict(panel).point, make().fit(panel, TASK).predict(panel).point, atol=1e-8)
    sums, penalty = found.blocks_[0].sums, found.blocks_[0].penalty
    chance = np.random.default_rng(0)
    x, y = chance.normal(size=(1, 40, len(sums.factors))), chance.normal(size=(1, 40, 6))
    weight = chance.random((1, 40, 6)) * (chance.random((1, 40, 6)) < 0.5)
    few = np.zeros_like(weight)
    few[:, :4] = weight[:, :4]
    short = sums.solve_with(penalty, x[:, :4], y[:, :4], weight[:, :4])  # rows fewer than columns
    np.testing.assert_allclose(sums.solve_with(penalty, x, y, few), short, rtol=1e-8)


def test_one_equation_for_all_has_one_spread_for_all_after_updates_too() -> None:
    panel = panel_of(series=5)
    model = Ridge(replace(INPUTS, neighbours=0), scope="global", refresh=3).fit(panel.rows(slice(0, 120)), TASK)
    before = model.quantiles_
    model.update(panel.rows(slice(0, 131)))
    assert (model.quantiles_ != before).any()
    np.testing.assert_array_equal(model.quantiles_, np.broadcast_to(model.quantiles_[:1], model.quantiles_.shape))


def test_a_lead_or_series_without_errors_is_no_surer_than_the_others() -> None:
    panel = panel_of()
    brief = Ridge(INPUTS).fit(panel.rows(slice(0, 7)), TASK).predict(panel.rows(slice(0, 7))).quantiles
    np.testing.assert_allclose(np.ptp(brief[:, 2], -1), np.ptp(brief[:, :2], -1).max(1))
    values = panel.values.copy()
    values[1, :120] = np.nan  # a station that opens after the fit
    opened = replace(panel, values=values)
    model = Ridge(INPUTS).fit(opened.rows(slice(0, 120)), TASK)
    widths = np.ptp(model.predict(opened).quantiles, -1)  # (N, H, C)
    np.testing.assert_allclose(widths[1], widths[[0, 2]].mean(0))


def test_a_target_that_moves_by_a_constant_has_no_say_in_the_penalty() -> None:
    """Its errors are rounding: divided by a variance of nothing they would drown those of the other target."""
    panel = panel_of(series=1, rows=400)
    values = panel.values.copy()
    values[0, :, 1] = np.arange(400)
    both = replace(panel, values=values)
    task = replace(TASK, horizon=1)
    alone = replace(task, targets=TASK.targets[:1], past=(Variable("b"), Variable("p")))
    chosen = [
        Ridge(INPUTS, penalties=(1e-4, 1e-2, 1.0), block=24).fit(both, t).blocks_[0].penalty for t in (task, alone)
    ]
    np.testing.assert_array_equal(*chosen)


def test_the_contract_holds_for_other_settings() -> None:
    exclude = {"check_save_and_load": "starts a process: the contract of the zoo runs it for the defaults"}
    inputs = RidgeInputs(lags=(1,), neighbours=0, harmonics=1, seasons=(24,))
    make = lambda: Ridge(inputs, scope="global", half_life=100.0, errors=50, shift=True)  # noqa: E731
    assert check_forecaster(make, exclude) > 30
