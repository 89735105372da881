"""Ridge regression in closed form: where the linear path of a network starts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

COLUMNS = 1_000  # with more, choosing a penalty would cost more than the fit
CHUNK = 4_000_000  # numbers held in double precision at once


def ridge(
    inputs: np.ndarray, outputs: np.ndarray, penalties: Sequence[float], overlap: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (F, O) and bias (O,) that minimise mean squared error + penalty * |weights|^2.

    Args:
        inputs: (B, F). outputs: (B, O); a gap counts as the output's mean.
        penalties: of several each output takes its own by generalised cross-validation, where rows exceed columns;
            the first where they do not, or where there are more than a thousand columns.
        overlap: rows that share a truth, so that B / overlap of them are independent.

    Solved in the smaller of its two forms: F x F, or B x B when there are more inputs than rows. The sums are taken
    in double precision, some rows at a time.

    Source: Hoerl and Kennard, "Ridge regression", Technometrics 12 (1970), equation 2.1; Golub, Heath and Wahba,
    "Generalized cross-validation", Technometrics 21 (1979), equation 1.4.
    """
    rows, columns = inputs.shape
    centre, bias = inputs.mean(0, dtype=float), means(outputs)  # (F,), (O,)
    if columns > rows:
        x, y = inputs - centre, _centred(outputs, bias)  # (B, F), (B, O)
        weights = x.T @ np.linalg.solve(x @ x.T + penalties[0] * rows * np.eye(rows), y)  # (F, O)
        return weights, bias - centre @ weights
    inner, outer, square = np.zeros((columns, columns)), np.zeros((columns, outputs.shape[1])), 0.0
    step = max(1, CHUNK // (columns + outputs.shape[1]))
    for start in range(0, rows, step):
        x, y = inputs[start : start + step] - centre, _centred(outputs[start : start + step], bias)
        inner, outer, square = inner + x.T @ x, outer + x.T @ y, square + (y**2).sum(0)
    if len(penalties) == 1 or columns > COLUMNS:
        weights = np.linalg.solve(inner / rows + penalties[0] * np.eye(columns), outer / rows)  # (F, O)
    else:
        weights = _best(inner / rows, outer / rows, square / rows, penalties, rows / overlap)
    return weights, bias - centre @ weights


def _best(
    inner: np.ndarray, outer: np.ndarray, square: np.ndarray, penalties: Sequence[float], rows: float
) -> np.ndarray:
    """(F, O) weights from mean squares, each output's with the penalty of least cross-validated error."""
    strengths, axes = np.linalg.eigh(inner)  # (F,), (F, F)
    strengths, along = np.maximum(strengths, 0)[:, None], axes.T @ outer  # (F, 1), (F, O)
    scores = []
    for penalty in penalties:
        shrunk = 1 / (strengths + penalty)  # (F, 1)
        error = square - (along**2 * (2 * shrunk - strengths * shrunk**2)).sum(0)  # (O,)
        scores.append(np.maximum(error, 0) / max(1 - float((strengths * shrunk).sum()) / rows, 1e-3) ** 2)
    chosen = np.asarray(penalties)[np.argmin(scores, 0)]  # (O,)
    return axes @ (along / (strengths + chosen))


def means(outputs: np.ndarray) -> np.ndarray:
    """(O,) of outputs (B, O) with gaps; 0 where nothing is known."""
    known = ~np.isnan(outputs)  # (B, O)
    return np.where(known, outputs, 0).sum(0, dtype=float) / np.maximum(known.sum(0), 1)


def _centred(outputs: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.nan_to_num(outputs - bias)
