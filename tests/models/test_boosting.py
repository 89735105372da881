"""Growing trees: what each loss aims at, what gaps pull at, when to stop, how many bins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.trees.boosted import Boosted
from models.trees.boosting import Trees, grow, scores


def test_a_gap_in_the_truth_pulls_at_nothing() -> None:
    chance = np.random.default_rng(1)
    x = chance.normal(size=(600, 4)).astype(np.float32)
    labels = np.stack([x[:, 0], x[:, 1]], 1)
    wild = np.where(chance.random(labels.shape) < 0.4, np.nan, labels).astype(np.float32)
    booster = grow(x, wild, [slice(0, 2)], Trees(rounds=40, depth=4, leaf=5), 1, 0)
    assert np.abs(scores(booster, x) - labels).mean() < 0.15
    single = grow(x, wild, [slice(0, 1)], Trees(rounds=40, depth=4, leaf=5), 1, 0)
    known = ~np.isnan(wild[:, 0])
    alone = grow(x[known], wild[known, :1], [slice(0, 1)], Trees(rounds=40, depth=4, leaf=5), 1, 0)
    assert np.abs(scores(single, x) - scores(alone, x)).mean() < 0.1


def skewed(rows: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose truth has a mean far from its median: x plus three times an exponential."""
    chance = np.random.default_rng(3)
    x = chance.normal(size=(rows, 3)).astype(np.float32)
    return x, (x[:, :2] + 3 * chance.exponential(size=(rows, 2))).astype(np.float32)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_absolute_loss_aims_at_the_median_and_squared_at_the_mean(gaps: float) -> None:
    x, labels = skewed()
    holes = np.where(np.random.default_rng(4).random(labels.shape) < gaps, np.nan, labels)
    for loss, share in (("absolute", 0.5), ("squared", 1 - np.exp(-1))):
        trees = Trees(rounds=150, depth=2, leaf=20, loss=loss)
        found = scores(grow(x, holes, [slice(0, 2)], trees, 1, 0), x)
        assert (labels < found).mean() == pytest.approx(share, abs=0.05), loss


def test_pinball_trees_learn_each_level() -> None:
    x, labels = skewed()
    levels = (0.1, 0.5, 0.9)
    learnt = Boosted.learnt(x, labels[:, None], Trees(rounds=60, depth=2, leaf=20), levels=levels)
    found = learnt.answers(x)[:, 0]  # (R, C, Q)
    for q, level in enumerate(levels):
        assert (labels < found[..., q]).mean() == pytest.approx(level, abs=0.05)
    np.testing.assert_array_equal(learnt.boosters.forest.scores(x).reshape(len(x), 1, 2, 3), found_raw(learnt, x))


def found_raw(learnt: Boosted, x: np.ndarray) -> np.ndarray:
    raw = [b.inplace_predict(x).reshape(len(x), 1, 1, -1) for b in learnt.boosters]
    return np.concatenate(raw, axis=2)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("levels", [(), (0.1, 0.5, 0.9)])
def test_early_stopping_keeps_the_best_rounds_on_the_held_rows(levels: tuple[float, ...], gaps: float) -> None:
    chance = np.random.default_rng(5)
    x = chance.normal(size=(800, 4)).astype(np.float32)
    labels = (x[:, :1] + chance.normal(size=(800, 1))).astype(np.float32)
    labels[chance.random(labels.shape) < gaps] = np.nan
    held = np.arange(800) % 4 == 0
    trees = Trees(rounds=200, depth=4, rate=0.3, leaf=2, patience=8)

    def loss(rounds: int) -> float:
        booster = grow(x[~held], labels[~held], [slice(0, 1)], replace(trees, rounds=rounds), 1, 0, levels)
        gap = labels[held] - scores(booster, x[held])  # (R, Q)
        if not levels:
            return float(np.nanmean(gap**2))
        return float(np.nanmean(np.maximum(np.array(levels) * gap, (np.array(levels) - 1) * gap)))

    kept = grow(x, labels, [slice(0, 1)], trees, 1, 0, levels, held)[0].num_boosted_rounds()
    assert 0 < kept < 100
    losses = [loss(n) for n in range(1, kept + 8)]
    assert np.argmin(losses) == kept - 1


def test_bins_follow_rows() -> None:
    assert [Trees(bins=32).bins_for(r) for r in (100, 3_240, 9_072, 10**6)] == [8, 16, 32, 32]
    assert Trees(bins=4).bins_for(10**6) == 4
