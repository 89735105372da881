"""Whether, and how many at a time, equal networks are better trained together.

Measured by `benchmarks/fleet_training.py --sweep` (batch 64, one thread, CPU ms per member and step alone, and
in the best stack): MLP hidden 64 1.83 and 0.23, 256 2.7 and 1.1, 512 5.2 and 3.4, 1024 12.9 and 11.6; LSTM of two
layers hidden 16 3.4 and 0.55, 64 6.4 and 3.9, 128 13.6 and 12.5, 256 34.8 and 47.8. So what counts is the arithmetic of
a step: a stack saves the calls, and its products are no faster than a large network's own. At batch 16 that holds for
larger networks too: an encoder-decoder of two rectified LSTMs of width 200 (502,601 parameters) took 8.8 ms alone,
6.5 in a stack of three, 6.1 of six, 7.3 of ten.
"""

from __future__ import annotations

SMALL = 2**18  # parameters of a network that gains by stacking, at MEASURED rows a step
MEASURED, FEWEST = 64, 16  # rows; with fewer than the latter it was not tried
TOGETHER = 2**21  # parameters of all members trained in one pass: more fall out of the cache, and cost memory


def together_pays(members: int, parameters: int, rows: int, device: str = "cpu") -> bool:
    """Whether training `members` equal nets as one stack costs less than one after another.

    Args:
        members: M. parameters: of one of them. rows: of one training step (the batch).

    >>> together_pays(48, 14_000, 64), together_pays(48, 1_200_000, 64), together_pays(1, 14_000, 64)
    (True, False, False)
    """
    return group_size(members, parameters, rows, device) > 1


def group_size(members: int, parameters: int, rows: int, device: str = "cpu") -> int:
    """How many of the members to train in one pass: 1 for large networks; on a GPU all that fit.

    >>> group_size(48, 14_000, 64), group_size(48, 100_000, 64), group_size(48, 300_000, 64)
    (48, 20, 1)
    """
    if device != "cpu":
        return max(1, min(members, 2**28 // parameters))
    if parameters * max(rows, FEWEST) > SMALL * MEASURED:
        return 1
    return max(1, min(members, TOGETHER // parameters))
