"""Trees as flat arrays, walked all at once by NumPy: the quick way to score a few rows.

A call of XGBoost costs about 0.3 ms before it looks at a row: more than all the work on a live forecast's few rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xgboost as xgb


@dataclass(frozen=True, eq=False)
class Forest:
    """The trees of G boosters of T trees each, whose leaves hold K numbers. It answers bit for bit what XGBoost does.

    The roots come first, in the boosters' order; the two children of a node stand side by side. A leaf is its own
    left child and its threshold is NaN, which no value reaches, so that a row which is there stays there.

    Args:
        feature: (M,) column of a row that is written twice, first with -inf and then with +inf for its gaps: a node
            whose gaps go left looks at the first copy, any other at the second.
        threshold: (M,) float32; what is below goes left.
        left: (M,) the left child.
        leaf: (M, K) float32; means nothing inside the trees.
        base: (G, 1, K) float32, where the sums begin.
        trees: G*T, how many trees, and so roots, there are.

    >>> x = np.arange(4, dtype=np.float32)[:, None]
    >>> stump = xgb.train({"max_depth": 1, "base_score": 0.0}, xgb.DMatrix(x, [0, 0, 9, 9]), 1)
    >>> Forest.of([stump]).scores(x) == stump.inplace_predict(x)[:, None]
    array([[ True],
           [ True],
           [ True],
           [ True]])
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    leaf: np.ndarray
    base: np.ndarray
    trees: int

    @classmethod
    def of(cls, boosters: Sequence[xgb.Booster]) -> Forest:
        """The trees of boosters with equally many trees and outputs, and without categories."""
        learners = [json.loads(b.save_raw("json"))["learner"] for b in boosters]
        trees = [tree for one in learners for tree in one["gradient_booster"]["model"]["trees"]]
        starts = np.cumsum([0, *(len(tree["left_children"]) for tree in trees)])[:-1]  # (G*T,)
        left, right = (_children(trees, f"{side}_children", starts) for side in ("left", "right"))
        old = _order(left, right, starts)  # (M,)
        new = np.empty(len(left), np.int64)
        new[old] = np.arange(len(old))
        end = left[old] < 0  # (M,)
        width = int(learners[0]["learner_model_param"]["num_feature"])
        base = [json.loads(one["learner_model_param"]["base_score"]) for one in learners]
        return cls(
            feature=(_joined(trees, "split_indices") + width * (_joined(trees, "default_left") == 0))[old],
            threshold=np.where(end, np.nan, _joined(trees, "split_conditions")[old]).astype(np.float32),
            left=np.where(end, np.arange(len(old)), new[left[old]]),
            leaf=_leaves(trees)[old],
            base=np.array(base, np.float32)[:, None],
            trees=len(trees),
        )

    @cached_property
    def depth(self) -> int:
        """Steps from the roots to the deepest leaf."""
        depth, level = 0, np.arange(self.trees)
        while len(inside := level[self.left[level] != level]):
            depth, level = depth + 1, np.concatenate([self.left[inside], self.left[inside] + 1])
        return depth

    def scores(self, x: np.ndarray) -> np.ndarray:
        """(R, G*K) float32 of rows `x` (R, F) float32, NaN for a gap."""
        leaves = self.leaf.take(self._ends(x), axis=0)  # (R, G*T, K)
        leaves = leaves.reshape(len(x), len(self.base), -1, leaves.shape[2])  # (R, G, T, K)
        leaves[:, :, :1] += self.base
        return leaves.cumsum(axis=2)[:, :, -1].reshape(len(x), -1)  # tree by tree, as XGBoost adds

    def _ends(self, x: np.ndarray) -> np.ndarray:
        """(R, G*T) the leaf that each row reaches in each tree."""
        gaps = np.isnan(x)  # (R, F)
        cells = np.concatenate([np.where(gaps, -np.inf, x), np.where(gaps, np.inf, x)], axis=1)  # (R, 2F)
        begins = np.arange(0, cells.size, cells.shape[1])[:, None]  # (R, 1)
        node = np.broadcast_to(np.arange(self.trees), (len(x), self.trees))  # (R, G*T)
        for _ in range(self.depth):
            right = cells.take(self.feature.take(node) + begins) >= self.threshold.take(node)  # (R, G*T)
            node = self.left.take(node) + right
        return node


def _joined(trees: Sequence[dict], key: str) -> np.ndarray:
    return np.concatenate([tree[key] for tree in trees])


def _children(trees: Sequence[dict], key: str, starts: np.ndarray) -> np.ndarray:
    """Numbers within each tree as numbers among the nodes of all trees; -1 under a leaf."""
    sizes = [len(tree[key]) for tree in trees]
    inside = _joined(trees, "left_children") >= 0
    return np.where(inside, _joined(trees, key) + np.repeat(starts, sizes), -1)


def _order(left: np.ndarray, right: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(M,) the nodes in the forest's order: roots, then pairs of children; what was pruned away is left out."""
    inside = left >= 0
    pairs = np.stack([left[inside], right[inside]], axis=1)
    return np.concatenate([starts, pairs.ravel()])


def _leaves(trees: Sequence[dict]) -> np.ndarray:
    """(nodes, K) what the leaves hold: their threshold or, with many outputs, what their right child points at."""
    if "leaf_weights" not in trees[0]:
        return _joined(trees, "split_conditions")[:, None].astype(np.float32)
    parts = []
    for tree in trees:
        weights = np.array(tree["leaf_weights"], np.float32).reshape(-1, int(tree["tree_param"]["size_leaf_vector"]))
        end = np.array(tree["left_children"]) < 0
        parts.append(weights[np.where(end, tree["right_children"], 0)])
    return np.concatenate(parts)
