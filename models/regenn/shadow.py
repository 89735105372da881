"""Where the linear shadow of a ReGENN begins: at chance, at a line through the window's end, or at least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.errors import SchemaError, UnknownNameError

STARTS = ("xavier", "persistence", "drift", "ridge")
PENALTY = 1e-3  # of the ridge start, as a share of the inputs' mean square


@dataclass(frozen=True)
class Shadow:
    """The start of the linear shadow: one matrix (W, Z) for all series and variables, before training.

    Args:
        start: `xavier`, chance as in the paper; `persistence`, the newest value; `drift`, the newest value and its
            mean change over the newest `changes` steps, carried on; `ridge`, least squares over the training windows.
            But for chance, the net beside it is silent at first: training begins at the line.
        changes: steps of the drift; None for all of the window.
        graph_kept: both W_a begin at the identity and not at chance, so that the evolved graph is the graph itself but
            for what training did; errors are the same to within seeds. Not for the start `xavier`.

    Raises:
        UnknownNameError: another start. SchemaError: changes below 1, a graph kept by chance.
    """

    start: str = "ridge"
    changes: int | None = None
    graph_kept: bool = False

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise UnknownNameError("start of the linear shadow", self.start, STARTS)
        if self.changes is not None and self.changes < 1:
            raise SchemaError(f"changes is {self.changes}: a drift needs at least one, or null for the whole window")
        if self.graph_kept and self.start == "xavier":
            raise SchemaError("graph_kept is true with start xavier, which begins at chance: take another start")

    def weights(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, difference: bool) -> np.ndarray:
        """(W + 1, Z) weights of a window's rows and, last, the constant.

        Args:
            x: scaled targets of windows (B, N, W, C). y: what came (B, N, Z, C), NaN unknown. weight: (B, N, 1, C)
            of each one's squared error. difference: whether both are differences to the newest row.

        Raises:
            SchemaError: a drift over more changes than the window has.
        """
        window, stride = x.shape[2], y.shape[2]
        if self.start == "ridge":
            return _ridge(x, y, weight)
        found = np.zeros((window + 1, stride))  # (W + 1, Z)
        found[window - 1] = 0.0 if difference else 1.0
        if self.start == "drift":
            changes = self.changes or max(window - 1, 1)
            if changes >= window:
                raise SchemaError(f"a drift over {changes} changes needs {changes + 1} rows, the window has {window}")
            leads = np.arange(1, stride + 1) / changes  # (Z,)
            found[window - 1] += leads
            found[window - 1 - changes] -= leads
        return found


def _ridge(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted least squares, each lead by itself; a lead without truth takes the one before it."""
    inputs = np.moveaxis(x, 2, -1).reshape(-1, x.shape[2])  # (R, W)
    inputs = np.concatenate([inputs, np.ones((len(inputs), 1))], 1)  # (R, W + 1)
    outputs = np.moveaxis(y, 2, -1).reshape(-1, y.shape[2])  # (R, Z)
    heavy = np.broadcast_to(weight, (*x.shape[:2], 1, x.shape[3])).reshape(-1)  # (R,)
    found = np.zeros((inputs.shape[1], outputs.shape[1]))  # (W + 1, Z)
    for lead in range(outputs.shape[1]):
        known = ~np.isnan(outputs[:, lead])
        rows, mass = inputs[known], heavy[known]
        if not mass.sum() > 0:
            found[:, lead] = found[:, max(lead - 1, 0)]
            continue
        inner = (rows * mass[:, None]).T @ rows / mass.sum()  # (W + 1, W + 1)
        outer = (rows * mass[:, None]).T @ outputs[known, lead] / mass.sum()  # (W + 1,)
        penalty = PENALTY * max(np.trace(inner[:-1, :-1]) / max(len(inner) - 1, 1), 1e-9)
        found[:, lead] = np.linalg.solve(inner + penalty * np.eye(len(inner)), outer)
    return found
