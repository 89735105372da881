"""The four convolutional stock networks: (M, B, L, D) -> (M, B, days).

Every convolution has a kernel of 3 rows and takes the rows that are there; each is rectified, as is every hidden
layer; the output is linear. Flattening goes row by row, the filters of a row side by side, as Keras does with
channels last: place = row * filters + filter.
"""

from __future__ import annotations

from torch import nn

from models.stack import Conv1d, MaxPool
from models.stock.parts import Heads, Sizes, dense

KERNEL = 3


def one_week(sizes: Sizes) -> nn.Module:
    """As published it never sees the newest row: its convolution leaves three rows, and pooling drops the third."""
    return _univariate(5, sizes)


def two_weeks(sizes: Sizes) -> nn.Module:
    return _univariate(10, sizes)


def multivariate(sizes: Sizes) -> nn.Module:
    """The columns as the channels of one convolution."""
    return nn.Sequential(
        *(Conv1d(sizes.columns, 32, KERNEL), nn.ReLU(), Conv1d(32, 32, KERNEL), nn.ReLU(), MaxPool()),  # (M, B, 3, 32)
        *(Conv1d(32, 16, KERNEL), nn.ReLU(), nn.Flatten(2)),  # (M, B, 16)
        *(dense(16, 100), nn.ReLU(), dense(100, sizes.days)),
    )


def multihead(sizes: Sizes) -> nn.Module:
    """Convolutions of each column's own, as groups side by side."""
    heads, filters = sizes.columns, 32 * sizes.columns
    return nn.Sequential(
        *(Conv1d(heads, filters, KERNEL, heads), nn.ReLU(), Conv1d(filters, filters, KERNEL, heads), nn.ReLU()),
        *(MaxPool(), Heads(heads)),  # (M, B, heads * 3 * 32)
        *(dense(3 * filters, 200), nn.ReLU(), dense(200, 100), nn.ReLU(), dense(100, sizes.days)),
    )


def _univariate(rows: int, sizes: Sizes) -> nn.Module:
    left = (rows - KERNEL + 1) // 2
    return nn.Sequential(
        *(Conv1d(1, 16, KERNEL), nn.ReLU(), MaxPool(), nn.Flatten(2)),  # (M, B, left * 16)
        *(dense(left * 16, 10), nn.ReLU(), dense(10, sizes.days)),
    )
