"""Conformal intervals against brute force, exchangeability, simulated drift and the loop of updates written out."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.checks import check_forecaster
from forecast.conformal import ACI, Adaptive, Fixed, Tracking, needed, quantiles, ranks
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.metrics import conformal_rank
from forecast.panel import Panel, moment
from forecast.schema import Task, Variable
from forecast.windows import Windows, training_rows, truth_at
from models.conformal import Conformal
from models.persistence import Persistence
from models.residuals import clear_of
from models.trees.boosting import Trees
from models.trees.tabular import Inputs
from models.xgboost import XGBoost

HOUR, LEVELS = timedelta(hours=1), (0.1, 0.5, 0.9)
TASK = Task(targets=(Variable("a"), Variable("b")), horizon=3, context=4)
SAVED = {"check_save_and_load": "tested below, without a process"}
NUMBERED = {"check_names_in_training_are_nothing": "trees number the series in the order of their names"}
RULES: list[Adaptive] = [Tracking(), ACI((0.01,), 200), ACI((0.004, 0.016), 200)]


def walk(rows: int = 600, series: int = 2, seed: int = 0) -> Panel:
    chance = np.random.default_rng(seed)
    values = chance.normal(size=(series, rows, 2)).cumsum(1) * np.array([1.0, 10.0])  # (N, T, C)
    times = np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    return Panel(values, times, tuple(f"S{i}" for i in range(series)), ("a", "b"), HOUR)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 400), percent=st.sampled_from([1, 5, 10, 20, 25, 30, 70, 75, 80, 90, 95, 99]))
def test_the_rank_is_the_least_that_covers_every_place_of_the_next_error(n: int, percent: int) -> None:
    """Exchangeable: the next error takes each of n + 1 places among the others equally often; so count them."""
    level = Fraction(percent, 100)
    rank = int(ranks(np.array(n), (percent / 100,))[0])
    if level > Fraction(1, 2):  # at or below the k-th smallest in k of n + 1 places; k = n + 1 stands for none
        least = next(k for k in range(1, n + 2) if Fraction(k, n + 1) >= level)
        assert rank == least
        assert (rank > n) == (n < needed(percent / 100))
        assert rank > n or rank == conformal_rank(n, percent / 100)
    else:  # below the k-th smallest in k of n + 1 places, and no more than the level allows
        most = max(k for k in range(n + 1) if Fraction(k, n + 1) <= level)
        assert rank == most
        assert (rank == 0) == (n < needed(percent / 100))


@settings(max_examples=40, deadline=None)
@given(
    errors=st.lists(st.floats(-100, 100), min_size=1, max_size=40),
    gaps=st.integers(0, 3),
    level=st.sampled_from([0.05, 0.3, 0.8, 0.95]),
)
def test_quantiles_are_those_picked_by_hand(errors: list[float], gaps: int, level: float) -> None:
    found = quantiles(np.array([*errors, *[np.nan] * gaps]), (level,))[0]
    ordered, rank = sorted(errors), math.ceil((len(errors) + 1) * Fraction(str(max(level, round(1 - level, 9)))))
    picked = ordered[min(rank, len(errors)) - 1] if level > 0.5 else ordered[max(len(errors) + 1 - rank, 1) - 1]
    assert found == picked
    mirrored = -quantiles(-np.array(errors), (round(1 - level, 9),))[0]
    assert found == mirrored


@pytest.mark.parametrize("n", [9, 19, 40])
def test_small_samples_cover_and_the_empirical_quantile_does_not(n: int) -> None:
    drawn = np.random.default_rng(0).standard_t(3, size=(n + 1, 200_000))
    upper = quantiles(drawn[:n], (0.9,))[:, 0]
    covered = (drawn[n] <= upper).mean()
    assert 0.9 - 0.003 < covered < 0.9 + 1 / (n + 1) + 0.003
    assert (drawn[n] <= np.quantile(drawn[:n], 0.9, axis=0)).mean() < covered


def test_too_few_errors_give_the_widest_and_none_gives_nan() -> None:
    few = np.array([[-1.0, np.nan], [2.0, np.nan], [np.nan, np.nan]])
    found = quantiles(few, (0.01, 0.99))
    np.testing.assert_array_equal(found[0], [-1, 2])
    assert np.isnan(found[1]).all()
    assert np.isnan(quantiles(np.empty((0, 2)), LEVELS)).all()
    with pytest.raises(SchemaError, match="inside"):
        ranks(np.array(5), (1.0,))


def test_rows_are_clear_of_those_whose_truth_they_share() -> None:
    rows, held = np.arange(40), np.array([10, 11, 12, 30])
    apart = [all(not set(range(r + 1, r + 5)) & set(range(h + 1, h + 5)) for h in held) for r in rows]
    np.testing.assert_array_equal(clear_of(rows, held, 4), apart)
    assert clear_of(rows, held[:0], 4).all()


def run(rule: Adaptive, errors: np.ndarray, past: np.ndarray) -> np.ndarray:
    """Offsets (T, S, Q) that stood before each of the errors (T, S)."""
    state = rule.begin(quantiles(past, LEVELS), past[..., None], LEVELS)
    out = []
    for error in errors:
        out.append(state["offsets"])
        state = rule.step(state, error[:, None], LEVELS)
    return np.stack(out)


def inside(errors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return (offsets[..., 0] <= errors) & (errors <= offsets[..., 2])


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("change", [1.0, 3.0, 0.3])
def test_adaptive_rules_find_the_coverage_again(rule: Adaptive, change: float) -> None:
    chance = np.random.default_rng(1)
    past, errors = chance.normal(size=(300, 30)), chance.normal(size=(900, 30)) * change
    covered = inside(errors, run(rule, errors, past))
    assert abs(covered[400:].mean() - 0.8) < 0.05
    if change != 1:
        split = inside(errors, run(Fixed(), errors, past))
        assert abs(covered[400:].mean() - 0.8) < abs(split[400:].mean() - 0.8) / 3


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_step_in_the_level_is_followed(rule: Adaptive) -> None:
    chance = np.random.default_rng(2)
    past, errors = chance.normal(size=(300, 30)), chance.normal(size=(800, 30)) + 2.5
    assert abs(inside(errors, run(rule, errors, past))[400:].mean() - 0.8) < 0.08
    assert inside(errors, run(Fixed(), errors, past)).mean() < 0.2


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_streams_do_not_touch_each_other_and_units_do_not_matter(rule: Adaptive) -> None:
    chance = np.random.default_rng(3)
    past, errors = chance.normal(size=(120, 4)), chance.normal(size=(60, 4))
    errors[chance.random(errors.shape) < 0.3] = np.nan
    whole = run(rule, errors, past)
    for s in range(4):
        known = ~np.isnan(errors[:, s])
        alone = run(rule, errors[known, s : s + 1], past[:, s : s + 1])
        np.testing.assert_allclose(whole[known, s], alone[:, 0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(run(rule, 1e3 * errors, 1e3 * past), 1e3 * whole, rtol=1e-9)


def test_tracking_is_the_loop_written_out() -> None:
    chance = np.random.default_rng(4)
    past, errors = chance.normal(size=(99, 1)), 2 * chance.normal(size=(50, 1))
    found = run(Tracking(rate=0.04, memory=20), errors, past)
    size = np.abs(past).mean()
    low, high = np.sort(past[:, 0])[9] / size, np.sort(past[:, 0])[89] / size
    for t, error in enumerate(errors[:, 0]):
        np.testing.assert_allclose(found[t, 0], [low * size, np.sort(past[:, 0])[49], high * size], rtol=1e-9)
        low, high = low + 0.04 * (0.1 - (error < low * size)), high + 0.04 * (0.9 - (error <= high * size))
        size += (abs(error) - size) / 20


def test_aci_is_the_loop_written_out() -> None:
    chance = np.random.default_rng(5)
    past, errors = chance.normal(size=(30, 1)), 2 * chance.normal(size=(80, 1))
    found = run(ACI((0.05,), 30), errors, past)
    window, level = list(past[:, 0]), 0.9
    bound = sorted(window)[math.ceil(31 * level - 1e-9) - 1]
    for t, error in enumerate(errors[:, 0]):
        assert found[t, 0, 2] == pytest.approx(bound)
        missed = error > bound or not error <= max(window)
        level = min(max(level + 0.05 * (0.9 - (not missed)), 0), 1)
        window = [*window[1:], error]
        bound = sorted(window)[min(max(math.ceil(31 * level - 1e-9), 1), 30) - 1]


@pytest.mark.parametrize("refit", [True, False])
def test_split_conformal_is_the_quantile_of_errors_held_out(refit: bool) -> None:
    panel = walk(900)
    model = Conformal(Persistence(), Fixed(), refit=refit).fit(panel, TASK)
    rows = training_rows(panel, TASK)
    held = rows[(rows + 24 * 19_723) // 24 % 5 == 4]  # whole days, counted from 1970: 2024 began on day 19,723
    errors = truth_at(panel, TASK, held) - panel.values[:, held].swapaxes(0, 1)[:, :, None]  # (B, N, H, C)
    n = (~np.isnan(errors[:, 0, 0, 0])).sum()
    ordered = np.sort(errors, axis=0)  # (B, N, H, C)
    upper = ordered[math.ceil((n + 1) * Fraction(9, 10)) - 1, :, 0]  # lead 1: (N, C)
    found = model.predict(panel)
    np.testing.assert_allclose(found.quantiles[:, 0, :, 2] - found.point[:, 0], upper)
    np.testing.assert_array_equal(found.point, Persistence().fit(panel, TASK).predict(panel).point)


def test_updates_are_forecasts_made_again_and_learnt_one_by_one() -> None:
    panel, first = walk(700), 600
    model = Conformal(Persistence(), Tracking()).fit(panel.rows(slice(0, first)), TASK)
    state = {name: values.copy() for name, values in model.state_.items()}
    model.update(panel)
    for row in range(first, 700):
        error = np.stack([panel.values[:, row] - panel.values[:, row - h] for h in (1, 2, 3)], axis=1)  # (N, H, C)
        state = Tracking().step(state, error.reshape(-1, 1), TASK.levels)
    for name, values in state.items():
        np.testing.assert_allclose(model.state_[name], values, rtol=1e-9, err_msg=name)


def test_intervals_recover_after_a_shift_in_the_variance() -> None:
    steps = np.random.default_rng(6).normal(size=(2, 2000, 2)) * np.where(np.arange(2000) < 1000, 1, 3)[None, :, None]
    panel = replace(walk(2000), values=steps.cumsum(1))
    covered = {}
    for rule in (Fixed(), Tracking()):
        model = Conformal(Persistence(), rule).fit(panel.rows(slice(0, 1000)), TASK)
        hits = []
        for row in range(1200, 1990, 6):
            seen = panel.rows(slice(0, row + 1))
            quantiles_now = (model.update(seen) if model.traits.updates else model).predict(seen).quantiles
            truth = panel.values[:, row + 1 : row + 4]  # (N, H, C)
            hits.append((quantiles_now[..., 0] <= truth) & (truth <= quantiles_now[..., 2]))
        covered[type(rule)] = np.mean(hits)
    assert covered[Fixed] < 0.5
    assert abs(covered[Tracking] - 0.8) < 0.06


def test_around_quantiles_keeps_the_widths_the_model_made() -> None:
    """Noise three times as large where x is high: pinball trees know it, one width for all does not."""
    chance = np.random.default_rng(7)
    x = chance.uniform(size=(1, 3000, 1))
    noise = np.where(np.roll(x, 1, axis=1) > 0.5, 3.0, 1.0) * chance.normal(size=x.shape)
    panel = Panel(np.concatenate([noise, x], 2), walk(3000).times, ("S",), ("a", "x"), HOUR)
    task = Task(targets=(Variable("a"),), past=(Variable("x"),), horizon=1, context=2)
    trees = XGBoost(Trees(rounds=30, depth=3), Inputs(lags=(1,), neighbours=0), quantiles="pinball")
    late = [moment(t) for t in panel.times[2500:2990]]
    calm = x[0, 2500:2990, 0] < 0.5
    truth = noise[0, 2501:2991, 0]
    for around, ratio in (("point", 1.0), ("quantiles", 2.0)):
        model = Conformal(trees, Fixed(), around=around).fit(panel.rows(slice(0, 2500)), task)
        made = np.stack([f.quantiles[0, 0, 0] for f in model.predict_at(panel, late)])  # (B, Q)
        widths = made[:, 2] - made[:, 0]
        assert widths[~calm].mean() / widths[calm].mean() == pytest.approx(ratio, rel=0.05 if ratio == 1 else 0.6)
        assert abs(((made[:, 0] <= truth) & (truth <= made[:, 2])).mean() - 0.8) < 0.06


def test_a_series_never_seen_and_short_histories() -> None:
    panel = walk(40)
    model = Conformal(Persistence()).fit(panel, TASK)
    other = replace(panel, series=("S0", "T"))
    found = model.predict(other).quantiles
    assert (found[..., 2] > found[..., 0]).all()
    np.testing.assert_array_equal(found[0], model.predict(panel).quantiles[0])
    brief = Conformal(Persistence()).fit(panel.rows(slice(0, 6)), TASK).predict(panel.rows(slice(0, 6))).quantiles
    assert (brief[..., 2] > brief[..., 0]).all(), "the third lead has no truth, and is no surer for it"


@pytest.mark.parametrize("around", ["point", "quantiles"])
def test_saved_in_mid_stream_it_goes_on_alike(around: str, tmp_path: Path) -> None:
    panel = walk(500)
    model = Conformal(XGBoost(Trees(rounds=4, depth=2)), ACI((0.01,), 50), around=around)
    model.fit(panel.rows(slice(0, 400)), TASK).update(panel.rows(slice(0, 450)))
    model.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    assert loaded.data_end_ == model.data_end_
    np.testing.assert_array_equal(
        loaded.update(panel).predict(panel).quantiles, model.update(panel).predict(panel).quantiles
    )


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'quantiles'"):
        Conformal(Persistence(), around="quantile")
    with pytest.raises(SchemaError, match="conformal already"):
        Conformal(Conformal())


@pytest.mark.slow
def test_the_contract_holds_around_trees() -> None:
    own = {**SAVED, **NUMBERED}
    small = XGBoost(Trees(rounds=4, depth=2))
    assert check_forecaster(lambda: Conformal(small, ACI((0.01, 0.05), 60), around="quantiles"), exclude=own) > 30


@pytest.mark.parametrize(
    "model", [Persistence(), XGBoost(Trees(rounds=3, depth=2), scope="global")], ids=["naive", "xgb"]
)
def test_the_contract_holds_around_models_that_forecast_any_series(model: Forecaster) -> None:
    own = {**SAVED, **(NUMBERED if isinstance(model, XGBoost) else {})}
    assert not Conformal(model).traits.regional
    assert check_forecaster(lambda: Conformal(model), exclude=own) > 30


def test_widths_go_by_the_name_of_the_series() -> None:
    values = walk(900).values * np.array([1.0, 5.0])[:, None, None]  # the second is wilder
    panel = replace(walk(900), values=values)
    model = Conformal(Persistence()).fit(panel, TASK)
    asked = Panel(values[[1, 1, 1]], panel.times, ("A", "S0", "S1"), panel.variables, HOUR)  # one unseen comes first
    found = model.predict(asked).quantiles
    width = (found[..., 2] - found[..., 0]).mean((1, 2))  # (N,)
    own = model.predict(panel).quantiles
    np.testing.assert_allclose(width[1:], (own[..., 2] - own[..., 0]).mean((1, 2)))
    assert width[0] == pytest.approx(width[1:].mean())


class Overshoots(Persistence):
    """A point far below the lower bound, which the base clips: its error is that of the bound."""

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return super()._predict(windows, task) - 50.0


@pytest.mark.parametrize("around", ["point", "quantiles"])
def test_offsets_are_added_to_the_forecast_their_errors_were_measured_on(around: str) -> None:
    values = np.abs(np.random.default_rng(8).normal(size=(1, 900, 1)))
    panel = Panel(values, walk(900).times, ("S",), ("a",), HOUR)
    task = Task(targets=(Variable("a", lower=0.0),), horizon=2, context=2)
    model = Conformal(Overshoots(), Fixed(), around=around).fit(panel.rows(slice(0, 700)), task)
    made = np.stack([f.quantiles[0, :, 0] for f in model.predict_at(panel, [moment(t) for t in panel.times[700:890]])])
    truth = truth_at(panel, task, np.arange(700, 890))[:, 0, :, 0]  # (B, H)
    assert abs(((made[..., 0] <= truth) & (truth <= made[..., 2])).mean() - 0.9) < 0.06  # none lies below the bound


@pytest.mark.parametrize("place", ["calibration", "stream"])
def test_one_absurd_reading_does_not_widen_the_weeks_after_it(place: str) -> None:
    chance = np.random.default_rng(9)
    past, errors = chance.normal(size=(300, 30)), chance.normal(size=(400, 30))
    wanted = run(Tracking(), errors, past)[100:]
    (past if place == "calibration" else errors)[5] = 1e9
    found = run(Tracking(), errors, past)[100:]
    assert abs(inside(errors[100:], found).mean() - 0.8) < 0.03
    assert np.abs(np.log((found[..., 2] - found[..., 0]) / (wanted[..., 2] - wanted[..., 0]))).max() < 0.7
