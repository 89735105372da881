"""Pooled ridge: the folds left out by a slow loop, what pooling buys, and the laws of its scaling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from forecast.panel import Panel, stamp
from forecast.schema import Task, Variable
from models.lines import bridged, newest_run
from models.pooled_ridge import PooledRidge
from models.ridges.pooling import Own, Pool, left_out

TASK = Task(targets=(Variable("value"),), horizon=24, context=72)


def panel_of(values: np.ndarray) -> Panel:
    """A panel of values (N, T)."""
    times = stamp(datetime(2024, 1, 1, tzinfo=UTC)) + np.arange(values.shape[1]) * np.timedelta64(1, "h")
    names = tuple(f"s{i:02d}" for i in range(len(values)))
    return Panel(values[..., None], times, names, ("value",), timedelta(hours=1))


def cycles(series: int = 6, rows: int = 400, seed: int = 0) -> np.ndarray:
    """(N, T) daily cycles of a common form, each with its own size, level and autocorrelated noise."""
    rng = np.random.default_rng(seed)
    hours, noise = np.arange(rows), rng.normal(size=(series, rows))
    for t in range(1, rows):
        noise[:, t] += 0.7 * noise[:, t - 1]
    form = np.sin(2 * np.pi * hours / 24) + 0.5 * np.cos(4 * np.pi * hours / 24)
    size = 10.0 ** rng.uniform(-1, 3, (series, 1))
    return size * (5 + form + 0.3 * noise)


def test_errors_of_left_out_folds_are_those_of_fits_without_them() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    found = left_out(x, y, x.T @ x, x.T @ y, np.array([0.1, 5.0]), folds=4, gap=2)
    for i, penalty in enumerate((0.1, 5.0)):
        for fold in np.array_split(np.arange(40), 4):
            rest = np.array([r for r in range(40) if r < fold[0] - 2 or r > fold[-1] + 2])
            weights = np.linalg.solve(x[rest].T @ x[rest] + penalty * np.eye(3), x[rest].T @ y[rest])
            np.testing.assert_allclose(found[i, fold], y[fold] - x[fold] @ weights, atol=1e-10)


def test_a_series_own_equations_are_ridge_on_centred_rows() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(50, 3)) + 4, rng.normal(size=(50, 2))
    own = Own.of(x, y, [0.5], folds=5, gap=0)
    centred, size = x - x.mean(0), np.trace((x - x.mean(0)).T @ (x - x.mean(0))) / 3
    rows = np.concatenate([centred, np.sqrt(0.5 * size) * np.eye(3)])  # the penalty as three more rows
    wanted = np.linalg.lstsq(rows, np.concatenate([y - y.mean(0), np.zeros((3, 2))]), rcond=None)[0]
    np.testing.assert_allclose(own.weights, wanted, atol=1e-10)
    np.testing.assert_allclose(x.mean(0) @ own.weights + own.bias, y.mean(0), atol=1e-10)


def test_each_series_counts_the_same_in_the_pool() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 1))
    once, often = Pool(2, 1), Pool(2, 1)
    once.add(x, y)
    once.add(-2 * x, y)
    often.add(np.tile(x, (9, 1)), np.tile(y, (9, 1)))
    often.add(-2 * x, y)
    np.testing.assert_allclose(once.solve(), often.solve(), atol=1e-12)


def test_forecasts_follow_shift_and_scale_of_a_series() -> None:
    values = cycles()
    first = PooledRidge().fit(panel_of(values), TASK).predict(panel_of(values)).quantiles
    turned = values.copy()
    turned[2] = 1000 + 7 * values[2]
    found = PooledRidge().fit(panel_of(turned), TASK).predict(panel_of(turned)).quantiles
    np.testing.assert_allclose(found[2], 1000 + 7 * first[2], rtol=1e-6)
    np.testing.assert_allclose(found[[0, 1, 3, 4, 5]], first[[0, 1, 3, 4, 5]], rtol=1e-6)


def test_it_beats_the_same_hour_yesterday_and_knows_how_sure_it_is() -> None:
    values, errors, naive, inside = cycles(rows=700), [], [], []
    model = PooledRidge().fit(panel_of(values[:, :500]), TASK)
    for end in range(520, 670, 24):
        found = model.predict(panel_of(values[:, :end])).quantiles[:, :, 0]  # (N, H, Q)
        truth = values[:, end : end + 24]
        size = values.std(1, keepdims=True)
        errors.append(np.abs(found[..., 1] - truth) / size)
        naive.append(np.abs(values[:, end - 24 : end] - truth) / size)
        inside.append((found[..., 0] <= truth) & (truth <= found[..., 2]))
    assert np.mean(errors) < 0.85 * np.mean(naive)
    assert 0.7 < np.mean(inside) < 0.9  # 80 % intended


def test_a_short_series_learns_from_the_others() -> None:
    values = cycles(series=12, rows=500, seed=4)
    history = values[:, :476].copy()
    history[0, : 476 - 100] = np.nan  # five windows of its own
    pooled = PooledRidge().fit(panel_of(history), TASK).predict(panel_of(history)).point[0, :, 0]
    alone = PooledRidge().fit(panel_of(history[:1]), TASK).predict(panel_of(history[:1])).point[0, :, 0]
    truth = values[0, 476:]
    assert np.abs(pooled - truth).mean() < np.abs(alone - truth).mean()


def test_logarithms_only_where_all_is_positive() -> None:
    values = cycles()
    model = PooledRidge(log=True).fit(panel_of(values), TASK)
    assert model.logs_.tolist() == [True]
    assert (model.predict(panel_of(values)).quantiles > 0).all()
    values[0, 5] = -1.0
    assert PooledRidge(log=True).fit(panel_of(values), TASK).logs_.tolist() == [False]


def test_inputs_are_those_one_cycle_before_the_leads() -> None:
    task = Task(targets=(Variable("value"),), horizon=48, context=168)
    assert PooledRidge().lags(task).tolist() == [*range(48), *range(120, 168)]
    assert PooledRidge().lags(TASK).tolist() == list(range(48))
    assert PooledRidge(recent=2, cycles=(24, 48)).lags(TASK).tolist() == list(range(48))


def test_lines() -> None:
    assert bridged(np.array([np.nan, 2.0, np.nan, np.nan, 8.0, np.nan]))[1:5].tolist() == [2.0, 4.0, 6.0, 8.0]
    assert newest_run(np.zeros(3, bool)) == slice(0, 0)
