"""Euclidean distances by matrix product, safe for duplicate rows.

|a - b|^2 = |a|^2 + |b|^2 - 2 a.b is one BLAS call, but when a and b nearly coincide the subtraction leaves only
rounding: a distance of 0 comes out as 1e-8 |a|. Those few pairs are found by their size and computed again from
their differences, so duplicate rows are exactly 0 apart and every other distance is good to about 1e-12 |a|.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

NEAR = 1e-8  # of |a|^2 + |b|^2: below this half of the digits are lost, so the difference itself is taken
CHUNK = 1 << 16  # numbers in one array of differences: 512 KB, which a cache holds


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances between all rows of `a` (A, D) and `b` (B, D), both centred; returns (A, B).

    Centre both on a row of the data first: an offset common to all rows costs digits.
    """
    size_a, size_b = squared_sizes(a), squared_sizes(b)  # (A,), (B,)
    squared = a @ b.T  # (A, B)
    squared *= -2.0
    squared += size_a[:, None]
    squared += size_b
    pairs = np.flatnonzero(squared < NEAR * (size_a.max() + size_b.max()))
    i, j = np.divmod(pairs, len(b))
    near = squared.flat[pairs] < NEAR * (size_a[i] + size_b[j])
    _set_from_differences(squared, a, b, i[near], j[near])
    return squared


def _set_from_differences(squared: np.ndarray, a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> None:
    """Overwrite squared[i, j] with sums of squared differences."""
    for part in _chunks(len(i), a.shape[1]):
        difference = a[i[part]] - b[j[part]]  # (pairs, D)
        squared[i[part], j[part]] = squared_sizes(difference)


def squared_sizes(rows: np.ndarray) -> np.ndarray:
    """|a|^2 of each of `rows` (M, D); returns (M,)."""
    return np.einsum("ij,ij->i", rows, rows)


def squared_distances_to(rows: np.ndarray, sizes: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Squared distances of `rows` (M, D), of `squared_sizes` (M,), to one `row` (D,), all centred; returns (M,).

    One pass over the rows, where their differences would take three.
    """
    both = sizes + row @ row  # (M,)
    squared = rows @ row  # (M,)
    squared *= -2.0
    squared += both
    near = np.flatnonzero(squared < NEAR * both)
    difference = rows[near] - row  # (pairs, D)
    squared[near] = squared_sizes(difference)
    return squared


def _chunks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of so many rows that each spans about CHUNK numbers."""
    at_once = max(1, CHUNK // columns)
    return (slice(start, start + at_once) for start in range(0, rows, at_once))
