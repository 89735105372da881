"""Forest against XGBoost itself: the same bits, gaps and all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

from models.trees.boosting import FEW_ROWS, Boosters, Trees, grow, read_boosters, scores, write_boosters
from models.trees.forest import Forest

GROUPS = {
    "scalar leaves": [slice(0, 1)],
    "vectors": [slice(0, 2), slice(2, 4)],
    "many": [slice(k, k + 1) for k in range(4)],
}


def drawn(rows: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(3)
    x = chance.normal(size=(rows, 5)).round(1).astype(np.float32)  # (R, F) many values lie on a threshold
    x[chance.random(x.shape) < 0.15] = np.nan
    labels = np.nan_to_num(x[:, :4]) + chance.normal(size=(rows, 4))  # (R, K)
    return x, labels.astype(np.float32)


def answers(boosters: Boosters, x: np.ndarray) -> np.ndarray:
    return np.concatenate([b.inplace_predict(x).reshape(len(x), -1) for b in boosters], axis=1)


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_it_answers_bit_for_bit(groups: list[slice], tmp_path: Path) -> None:
    x, labels = drawn()
    boosters = grow(x, labels, groups, Trees(rounds=30, depth=6, leaf=5), 1, 0)
    wanted = answers(boosters, x)
    np.testing.assert_array_equal(boosters.forest.scores(x), wanted)
    write_boosters(tmp_path, boosters)
    np.testing.assert_array_equal(read_boosters(tmp_path, 1).forest.scores(x), wanted)
    for rows in (1, FEW_ROWS, FEW_ROWS + 1):
        np.testing.assert_array_equal(scores(boosters, x[:rows]), wanted[:rows])


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_a_tree_may_be_one_leaf(groups: list[slice]) -> None:
    x, labels = drawn(200)
    boosters = grow(x, np.ones_like(labels), groups, Trees(rounds=3), 1, 0)
    assert boosters.forest.depth == 0
    np.testing.assert_array_equal(boosters.forest.scores(x), answers(boosters, x))


def test_pruned_trees_and_another_base() -> None:
    x, labels = drawn()
    params = {"base_score": 0.7, "gamma": 20.0, "max_depth": 5, "nthread": 1}
    booster = xgb.train(params, xgb.QuantileDMatrix(x, labels[:, 0]), 20)
    np.testing.assert_array_equal(Forest.of([booster]).scores(x)[:, 0], booster.inplace_predict(x))
