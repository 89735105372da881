"""Several models at once: Holm's correction and the model confidence set."""

from __future__ import annotations

import numpy as np
import pytest

from forecast.errors import SchemaError
from forecast.evaluation import diebold_mariano, holm, model_confidence_set


def test_holm_is_that_of_statsmodels() -> None:
    from statsmodels.stats import multitest

    p = np.random.default_rng(0).random((9, 4)) ** 3
    for column, found in zip(p.T, holm(p).T, strict=True):
        np.testing.assert_allclose(found, multitest.multipletests(column, method="holm")[1])
    gappy = p[:, 0].copy()
    gappy[[2, 5]] = np.nan
    np.testing.assert_allclose(np.delete(holm(gappy), [2, 5]), holm(np.delete(p[:, 0], [2, 5])))


def test_diebold_and_mariano_is_that_of_statsmodels_where_nothing_overlaps() -> None:
    from statsmodels.tsa import stattools

    rng = np.random.default_rng(1)
    y, a, b = rng.normal(size=(3, 83))
    for criterion, loss in (("mse", np.square), ("mae", np.abs)):
        want = stattools.diebold_mariano_test(y, a, b, lags=0, criterion=criterion, harvey_adj=True).pvalue
        np.testing.assert_allclose(diebold_mariano(loss(a - y), loss(b - y)), want, rtol=1e-9)


def test_equal_forecasts_are_told_apart_about_as_often_as_the_level_says() -> None:
    """Weekly losses with heavy tails and shared weather, of 83 weeks."""
    rng = np.random.default_rng(2)
    weather = rng.standard_t(5, size=(83, 400)) ** 2
    a, b = (np.abs(weather + rng.standard_t(5, size=(83, 400))) for _ in range(2))
    assert 0.02 < np.mean(diebold_mariano(a, b) < 0.05) < 0.09


def test_the_set_keeps_the_best_and_drops_the_clearly_worse() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(size=(100, 1)) ** 2
    losses = base + np.array([0.0, 0.0, 1.0, 2.0]) + 0.5 * rng.normal(size=(100, 4))
    p = model_confidence_set(losses, 4)
    assert p.argmax() == losses.mean(axis=0).argmin()
    assert p.max() == 1
    assert (p[:2] > 0.1).all()
    assert (p[2:] < 0.01).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_set_is_that_of_arch(seed: int) -> None:
    from arch import bootstrap

    rng = np.random.default_rng(seed)
    losses = rng.normal(size=(83, 1)) ** 2 + 0.7 * rng.normal(size=(83, 6)) + np.linspace(0, 0.5, 6)
    other = bootstrap.MCS(losses, size=0.1, reps=1000, block_size=4, method="R", seed=0)
    other.compute()
    want = other.pvalues["Pvalue"].sort_index().to_numpy()
    np.testing.assert_allclose(model_confidence_set(losses, 4), want)


def test_one_that_is_far_off_or_always_as_much_worse_is_out_and_hides_nothing() -> None:
    """Losses so large that the others are the same beside them, and a difference without any variance."""
    rng = np.random.default_rng(7)
    losses = rng.normal(size=(80, 1)) ** 2 + np.array([0.0, 0.1, 0.5]) + 0.5 * rng.normal(size=(80, 3))
    p = model_confidence_set(losses, 3)
    for other in (np.full(80, 1e30), losses[:, 0] + 1.0, 1e18 * losses[:, 1] ** 2 + 1e20):
        found = model_confidence_set(np.column_stack([losses, other]), 3)
        np.testing.assert_allclose(found[:3], p, atol=2e-3)
        assert found[3] < 0.01


def test_the_set_holds_the_best_about_as_often_as_it_says() -> None:
    """Of equal models each is in the 90 % set nearly always; where one is best, it is."""
    rng, held = np.random.default_rng(4), []
    for _ in range(40):
        losses = rng.normal(size=(60, 1)) ** 2 + rng.normal(size=(60, 4))
        held.append(model_confidence_set(losses)[0] > 0.1)
    assert np.mean(held) > 0.8


def test_unit_order_and_twins() -> None:
    rng = np.random.default_rng(5)
    losses = rng.normal(size=(80, 1)) ** 2 + np.array([0.0, 0.3, 0.5]) + 0.5 * rng.normal(size=(80, 3))
    p = model_confidence_set(losses, 3)
    np.testing.assert_allclose(model_confidence_set(losses * 1e6, 3), p, atol=2e-3)
    np.testing.assert_allclose(model_confidence_set(losses[:, ::-1], 3)[::-1], p)
    twins = model_confidence_set(losses[:, [0, 1, 0, 2, 1]], 3)
    np.testing.assert_allclose(twins, p[[0, 1, 0, 2, 1]])
    np.testing.assert_array_equal(model_confidence_set(losses[:, [0, 0]]), [1, 1])
    gappy = np.insert(losses, 10, np.nan, axis=0)
    np.testing.assert_array_equal(model_confidence_set(gappy, 3), p)


def test_too_little_to_say_anything_and_bad_input() -> None:
    assert np.isnan(model_confidence_set(np.random.default_rng(6).random((7, 3)))).all()
    assert np.isnan(model_confidence_set(np.ones((30, 1)))).all()
    with pytest.raises(SchemaError, match=r"give \(B, A\)"):
        model_confidence_set(np.ones(30))
    with pytest.raises(SchemaError, match="block is 0"):
        model_confidence_set(np.ones((30, 2)), 0)
