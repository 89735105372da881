"""Growing boosted trees on one binned table: many boosters, one pass of binning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import xgboost as xgb

from forecast.errors import UnknownNameError
from models.trees.forest import Forest

ROWS_PER_BIN, FEWEST_BINS = 200, 8  # a quantile that few rows vouch for costs time and buys no skill
SMALLEST_SHARE = 20  # a leaf never needs more than this part of the rows, or a short history could not be split
FEW_ROWS = 16  # up to which walking the trees in NumPy beats a call of XGBoost, whatever their number
WARM = 20  # few-row calls that XGBoost answers first; both give the same bits
COMPLETE = 0.9  # share of rows without a gap from which on the faster built-in loss is taken
OBJECTIVES = {"squared": "reg:squarederror", "absolute": "reg:absoluteerror"}
BEND = 0.3  # in deviations of the labels: where the smooth absolute loss turns from a square into a line


@dataclass(frozen=True)
class Trees:
    """How trees are grown.

    Args:
        rounds: trees per booster. depth: splits from root to leaf. rate: shrinkage of each tree.
        bins: histogram bins per column, at most; one bin per 200 rows is the other limit, so that the cost
            of training falls with the rows.
        leaf: rows a leaf needs, at most a twentieth of all rows.
        rows, columns: share of the rows and columns each tree draws. split_columns: share that each split draws.
        alpha: L1 penalty on the leaves.
        loss: `squared` aims at the mean, `absolute` at the median: the better for a bounded variable with two peaks,
            such as cloud, whose mean is a value it hardly ever has.
        patience: rounds without a gain on rows held out after which a booster stops and keeps its best; 0 for never.

    Raises:
        UnknownNameError: another loss.

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
    split_columns: float = 1.0
    alpha: float = 0.0
    loss: str = "squared"
    patience: int = 0

    def __post_init__(self) -> None:
        if self.loss not in OBJECTIVES:
            raise UnknownNameError("loss", self.loss, OBJECTIVES)

    def bins_for(self, rows: int) -> int:
        return max(min(FEWEST_BINS, self.bins), min(self.bins, rows // ROWS_PER_BIN))

    def params(self, rows: int, threads: int, seed: int) -> dict[str, object]:
        """XGBoost's names for these settings."""
        return {
            "tree_method": "hist",
            "objective": OBJECTIVES[self.loss],
            "base_score": 0.0,
            "max_depth": self.depth,
            "eta": self.rate,
            "max_bin": self.bins_for(rows),
            "min_child_weight": min(self.leaf, rows / SMALLEST_SHARE),
            "alpha": self.alpha,
            "subsample": self.rows,
            "colsample_bytree": self.columns,
            "colsample_bynode": self.split_columns,
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

    @cached_property
    def even(self) -> bool:
        """Whether all have equally many trees, as a forest wants them; those that stopped early may not."""
        return len({b.num_boosted_rounds() for b in self}) == 1

    def pays(self, rows: int) -> bool:
        """Whether the forest is quicker than XGBoost: for few rows, and not for a model that is asked once."""
        self.asked += rows <= FEW_ROWS
        return rows <= FEW_ROWS and self.asked > WARM and self.even


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a table in bins, and what is to be learnt there.

    Args:
        matrix: the binned columns; its labels and weights are set anew for each booster.
        labels: (R, K), NaN for what is not known: it pulls at nothing.
    """

    matrix: xgb.QuantileDMatrix
    labels: np.ndarray

    def ask(self, columns: slice) -> tuple[np.ndarray, bool]:
        """Give the matrix these labels (R, k); returns them, and whether gaps are so many that rows must be split."""
        labels = self.labels[:, columns]
        known = ~np.isnan(labels)  # (R, k)
        whole, some = known.all(1), known.any(1)  # (R,), (R,)
        often_gaps = bool(whole.sum() < COMPLETE * some.sum())
        self.matrix.set_label(np.where(known, labels, 0))
        if not whole.all() or len(self.matrix.get_weight()):  # weights of 1 cost time too
            self.matrix.set_weight((some if often_gaps else whole).astype(np.float32))
        return labels, often_gaps


def grow(
    x: np.ndarray,
    labels: np.ndarray,
    groups: Sequence[slice],
    trees: Trees,
    threads: int,
    seed: int,
    levels: Sequence[float] = (),
    held: np.ndarray | None = None,
) -> Boosters:
    """One booster per group of label columns; more than one column makes leaves that are vectors.

    Args:
        x: (R, F) float32, NaN for what is missing.
        labels: (R, K) float32 near mean 0 and deviation 1; NaN for what is not known: it pulls at nothing.
        groups: which columns of `labels` each booster learns.
        levels: Q quantile levels: groups are single columns then, leaves hold Q quantiles. None: by `trees.loss`.
        held: (R,) bool, rows that are not trained on; with `trees.patience` they say when to stop.
    """
    held = np.zeros(len(x), bool) if held is None else held  # (R,)
    params = trees.params(int((~held).sum()), threads, seed)
    taken = x[~held] if held.any() else x
    bins = {"max_bin": params["max_bin"], "nthread": threads}
    train = Rows(xgb.QuantileDMatrix(taken, **bins), labels[~held])
    stop = trees.patience > 0 and held.any()
    check = Rows(xgb.QuantileDMatrix(x[held], ref=train.matrix, **bins), labels[held]) if stop else None
    if levels:
        params |= {"objective": "reg:quantileerror", "quantile_alpha": list(levels)}
    return Boosters(_booster(train, check, columns, params, trees, levels) for columns in groups)


def _booster(
    train: Rows, check: Rows | None, columns: slice, params: dict, trees: Trees, levels: Sequence[float]
) -> xgb.Booster:
    labels, often_gaps = train.ask(columns)
    if labels.shape[1] > 1 or levels:
        params = {**params, "multi_strategy": "multi_output_tree"}
    objective = _gappy(trees.loss, labels) if often_gaps and not levels else None
    if objective:  # else XGBoost would set the leaves anew by its own loss, gaps included
        params = {**params, "objective": OBJECTIVES["squared"]}
    if check is None or np.isnan(check.labels[:, columns]).all():
        return xgb.train(params, train.matrix, trees.rounds, obj=objective)
    measure = _measure(trees.loss, check.ask(columns)[0], levels)
    found = xgb.train(
        {**params, "disable_default_eval_metric": True},
        train.matrix,
        trees.rounds,
        obj=objective,
        evals=[(check.matrix, "held")],
        custom_metric=measure,
        early_stopping_rounds=trees.patience,
        verbose_eval=False,
    )
    return found[: found.best_iteration + 1]


def _gappy(loss: str, labels: np.ndarray) -> Callable:
    """A loss that skips single gaps; the built-in ones can only skip whole rows, but take 15 % less time.

    The absolute loss is smooth here (pseudo-Huber), since XGBoost sets leaves to medians for its own alone.
    """
    known = ~np.isnan(labels)  # (R, K)
    hessian = known.astype(np.float32)  # (R, K)

    def objective(scores: np.ndarray, _: xgb.DMatrix) -> tuple[np.ndarray, np.ndarray]:
        gap = np.where(known, scores.reshape(labels.shape) - labels, 0).astype(np.float32)  # (R, K)
        if loss == "squared":
            return gap, hessian
        bend = np.sqrt(1 + (gap / BEND) ** 2)  # (R, K)
        return gap / bend, hessian / bend

    return objective


def _measure(loss: str, labels: np.ndarray, levels: Sequence[float]) -> Callable:
    """Mean loss over the known labels (R, K), by which a booster stops."""
    known = ~np.isnan(labels)  # (R, K)
    asked = np.array(levels or (0.5,))  # (Q,)

    def measure(scores: np.ndarray, _: xgb.DMatrix) -> tuple[str, float]:
        gap = labels - scores.reshape(len(labels), -1)  # (R, K), or (R, Q) beside labels (R, 1)
        if loss == "squared" and not levels:
            return loss, float((gap[known] ** 2).mean())
        cost = np.maximum(asked * gap, (asked - 1) * gap)  # (R, K)
        return loss, float(cost[np.broadcast_to(known, cost.shape)].mean())

    return measure


def scores(boosters: Boosters, x: np.ndarray) -> np.ndarray:
    """(R, K): what the boosters say of `x` (R, F), side by side in the order of their groups."""
    if boosters.pays(len(x)):
        return boosters.forest.scores(x)
    return np.concatenate([b.inplace_predict(x, validate_features=False).reshape(len(x), -1) for b in boosters], axis=1)


def write_boosters(folder: Path, boosters: Sequence[xgb.Booster]) -> None:
    for i, booster in enumerate(boosters):
        booster.save_model(folder / f"trees-{i:06d}.ubj")


def read_boosters(folder: Path, threads: int) -> Boosters:
    paths = sorted(folder.glob("trees-*.ubj"))
    return Boosters(xgb.Booster({"nthread": threads}, model_file=path) for path in paths)
