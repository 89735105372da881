"""Quantile tracking: each bound takes a small step out when it is missed, and a smaller one in when it is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecast.conformal.adaptive import Adaptive, State, covered

FAR = 20.0


@dataclass(frozen=True)
class Tracking(Adaptive):
    """Online gradient descent on the pinball loss of each level, in units of the errors' present size.

    The bound is u * size, where size is the exponentially weighted mean of the absolute errors: stormy days widen the
    interval within hours. After each error u <- u + rate * (q - [error <= bound]): whatever the errors do, as long as
    they stay bounded in that unit, the share at or below the bound tends to q. A few numbers per level are all it
    remembers. The median keeps its offset: the point stays the model's own. An error beyond FAR times both the present
    size and the median of the calibration's counts as that much: one reading of 1e9 may not widen the weeks after it.

    Args:
        rate: step of u; the quantile is found again in about 1 / rate errors.
        memory: errors over which their mean size is taken.

    Source: the quantile tracker (P) of Angelopoulos, Candes and Tibshirani, "Conformal PID Control for Time Series
    Prediction", NeurIPS 36 (2023), section 2; of errors divided by their size, as in Lei et al., JASA 113 (2018),
    section 5.2. Rate, memory, and this rule among others, were chosen by `benchmarks/coverage.py --rules`.

    >>> rule, levels = Tracking(), (0.1, 0.5, 0.9)
    >>> state = rule.begin(np.array([[-1.0, 0.0, 1.0]]), np.full((9, 1, 1), 0.8), levels)
    >>> rule.step(state, np.array([[3.0]]), levels)["offsets"].round(2).tolist()  # missed above: wider, above the more
    [[-1.04, 0.0, 1.06]]
    """

    rate: float = 0.03
    memory: float = 72.0

    def _begin(self, offsets: np.ndarray, errors: np.ndarray, levels: np.ndarray) -> State:
        known = ~np.isnan(errors)  # (T, S, E)
        lengths = np.where(known, np.abs(errors), 0)  # (T, S, E)
        most = FAR * _middle(np.abs(errors))  # (S, E)
        size = np.minimum(lengths, most).sum(0) / np.maximum(known.sum(0), 1)  # (S, E)
        reach = np.abs(offsets).max(-1, keepdims=True)  # (S, 1)
        size = np.where(size > 0, size, np.where(reach > 0, reach, 1.0))
        return {"size": size, "most": most, "units": offsets / size}

    def _step(self, state: State, error: np.ndarray, levels: np.ndarray) -> State:
        due = levels - covered(error, state["offsets"], levels)  # (S, Q)
        units = state["units"] + self.rate * np.where(levels == 0.5, 0.0, due)  # (S, Q)
        length = np.minimum(np.abs(error), np.maximum(state["most"], FAR * state["size"]))  # (S, E)
        size = state["size"] + (length - state["size"]) / self.memory  # (S, E)
        offsets = np.where(levels == 0.5, state["offsets"], units * size)
        return {"offsets": offsets, "units": units, "size": size, "most": state["most"]}


def _middle(lengths: np.ndarray) -> np.ndarray:
    """(S, E) the median of lengths (T, S, E), NaN left out; infinite where it is 0 or unknown, and so no measure."""
    ordered = np.sort(lengths, axis=0)  # NaN last
    count = (~np.isnan(lengths)).sum(0)  # (S, E)
    if not len(lengths):
        return np.full(count.shape, np.inf)
    found = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    return np.where((count > 0) & (found > 0), found, np.inf)
