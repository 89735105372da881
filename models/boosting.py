"""Growing boosted trees on one binned table: many boosters, one pass of binning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import xgboost as xgb

from models.forest import Forest

ROWS_PER_BIN, FEWEST_BINS = 200, 8  # a quantile that few rows vouch for costs time and buys no skill
SMALLEST_SHARE = 20  # a leaf never needs more than this part of the rows, or a short history could not be split
FEW_ROWS = 16  # up to which walking the trees in NumPy beats a call of XGBoost, whatever their number
WARM = 20  # few-row calls that XGBoost answers first; both give the same bits
COMPLETE = 0.9  # share of rows without a gap from which on the faster built-in loss is taken


@dataclass(frozen=True)
class Trees:
    """How trees are grown.

    Args:
        rounds: trees per booster. depth: splits from root to leaf. rate: shrinkage of each tree.
        bins: histogram bins per column, at most; one bin per 200 rows is the other limit, so that the cost
            of training falls with the rows.
        leaf: rows a leaf needs, at most a twentieth of all rows.
        rows, columns: share of the rows and columns each tree draws.

    >>> Trees(bins=32).bins_for(rows=3_000)
    15
    """

    rounds: int = 25
    depth: int = 5
    rate: float = 0.2
    bins: int = 32
    leaf: float = 60.0
    rows: float = 1.0
    columns: float = 1.0

    def bins_for(self, rows: int) -> int:
        return max(min(FEWEST_BINS, self.bins), min(self.bins, rows // ROWS_PER_BIN))

    def params(self, rows: int, threads: int, seed: int) -> dict[str, object]:
        """XGBoost's names for these settings."""
        return {
            "tree_method": "hist",
            "base_score": 0.0,
            "max_depth": self.depth,
            "eta": self.rate,
            "max_bin": self.bins_for(rows),
            "min_child_weight": min(self.leaf, rows / SMALLEST_SHARE),
            "subsample": self.rows,
            "colsample_bytree": self.columns,
            "nthread": threads,
            "seed": seed,
        }


class Boosters(tuple[xgb.Booster, ...]):
    """One booster per group of labels, and their trees once more for few rows."""

    asked = 0  # times that few rows were scored

    @cached_property
    def forest(self) -> Forest:
        """Made when first asked for: that takes longer than many forecasts."""
        return Forest.of(self)

    def pays(self, rows: int) -> bool:
        """Whether the forest is quicker than XGBoost: for few rows, and not for a model that is asked once."""
        self.asked += rows <= FEW_ROWS
        return rows <= FEW_ROWS and self.asked > WARM


def grow(x: np.ndarray, labels: np.ndarray, groups: Sequence[slice], trees: Trees, threads: int, seed: int) -> Boosters:
    """One booster per group of label columns; more than one column makes leaves that are vectors.

    Args:
        x: (R, F) float32, NaN for what is missing.
        labels: (R, K) float32 near mean 0 and deviation 1; NaN for what is not known: it pulls at nothing.
        groups: which columns of `labels` each booster learns.
    """
    params = trees.params(len(x), threads, seed)
    matrix = xgb.QuantileDMatrix(x, max_bin=trees.bins_for(len(x)), nthread=threads)
    return Boosters(_booster(matrix, labels[:, columns], params, trees.rounds) for columns in groups)


def _booster(matrix: xgb.QuantileDMatrix, labels: np.ndarray, params: dict, rounds: int) -> xgb.Booster:
    known = ~np.isnan(labels)  # (R, K)
    whole, some = known.all(1), known.any(1)  # (R,), (R,)
    often_gaps = whole.sum() < COMPLETE * some.sum()
    matrix.set_label(np.where(known, labels, 0))
    if not whole.all() or len(matrix.get_weight()):  # weights of 1 cost time too
        matrix.set_weight((some if often_gaps else whole).astype(np.float32))
    if labels.shape[1] > 1:
        params = {**params, "multi_strategy": "multi_output_tree"}
    return xgb.train(params, matrix, rounds, obj=_squared_error(labels, known) if often_gaps else None)


def _squared_error(labels: np.ndarray, known: np.ndarray) -> Callable:
    """Squared error that skips single gaps; the built-in one can only skip whole rows, but takes 15 % less time."""
    hessian = known.astype(np.float32)  # (R, K)

    def objective(scores: np.ndarray, _: xgb.DMatrix) -> tuple[np.ndarray, np.ndarray]:
        gradient = np.where(known, scores.reshape(labels.shape) - labels, 0).astype(np.float32)  # (R, K)
        return gradient, hessian

    return objective


def scores(boosters: Boosters, x: np.ndarray) -> np.ndarray:
    """(R, K): what the boosters say of `x` (R, F), side by side in the order of their groups."""
    if boosters.pays(len(x)):
        return boosters.forest.scores(x)
    return np.concatenate([b.inplace_predict(x, validate_features=False).reshape(len(x), -1) for b in boosters], axis=1)


def write_boosters(folder: Path, boosters: Sequence[xgb.Booster]) -> None:
    for i, booster in enumerate(boosters):
        booster.save_model(folder / f"trees-{i:03d}.ubj")


def read_boosters(folder: Path, threads: int) -> Boosters:
    paths = sorted(folder.glob("trees-*.ubj"))
    return Boosters(xgb.Booster({"nthread": threads}, model_file=path) for path in paths)
