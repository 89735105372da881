"""A long/flat rule: what the forecasts would have earned, net of costs, beside holding the thing all along.

At each origin the last forecast of the horizon is compared with the newest known value: above it, one wants to own the
thing, else not. The trade is done at the first session after the origin, at its value, and the position is kept until
the first session after the next origin. The last position is sold there. No interest on money that is not invested.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

YEAR = timedelta(days=364)  # of 52 weeks


@dataclass(frozen=True, eq=False)
class Earned:
    """Of G groups of positions, say seeds: (G,) each.

    Args:
        total: return over all periods. sharpe: per year, of the returns per period, NaN where they do not vary.
        trades: bought and sold, counted apart. long: share of periods invested.
    """

    total: np.ndarray
    sharpe: np.ndarray
    trades: np.ndarray
    long: np.ndarray


def decisions(points: np.ndarray, last: np.ndarray) -> np.ndarray:
    """(..., B, H) forecasts and (B,) newest known values: (..., B) bool, where the last forecast is above.

    >>> decisions(np.array([[1.0, 3.0], [5.0, np.nan], [1.0, 2.0]]), np.array([2.0, 4.0, 2.0])).tolist()
    [True, True, False]
    """
    known = ~np.isnan(points)
    final = points.shape[-1] - 1 - known[..., ::-1].argmax(axis=-1)[..., None]  # (..., B, 1)
    return np.asarray(np.take_along_axis(points, final, axis=-1)[..., 0] > last)


def sessions(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First known value after each origin, and its lead: (B, H) to (B,) and (B,); NaN and 0 where there is none."""
    known = ~np.isnan(truth)  # (B, H)
    first = known.argmax(axis=1)  # (B,)
    return truth[np.arange(len(truth)), first], np.where(known.any(axis=1), first + 1, 0)


def earned(
    want: np.ndarray, truth: np.ndarray, *, cost_bp: float = 0.0, stride: int = 1, step: timedelta = timedelta(days=1)
) -> Earned:
    """Walk through the decisions.

    Args:
        want: (G, B) bool, decided at each origin. truth: (B, H) prices at which one can trade; NaN: no session.
        cost_bp: basis points of the value, for each time one buys or sells. stride: rows between origins.

    Returns:
        Where an origin has no session before the next one's, its decision is void: the later one counts.

    >>> made = earned(np.array([[True, False, True]]), np.array([[100.0], [110.0], [99.0]]))
    >>> [round(float(x[0]), 6) for x in (made.total, made.trades, made.long)]
    [0.1, 2.0, 0.5]
    """
    price, lead = sessions(truth)  # (B,), (B,)
    row = np.arange(len(price)) * stride + lead  # (B,) of the trade
    usable = (lead > 0) & (price > 0)
    later = np.flatnonzero(usable)
    rows = later[np.append(np.diff(row[later]) > 0, True)] if len(later) else later  # (W+1,)
    growth = price[rows][1:] / price[rows][:-1]  # (W,)
    held = want[:, rows[:-1]].astype(float)  # (G, W)
    edges = np.diff(held, axis=1, prepend=0.0, append=0.0)  # (G, W+1), the last one sells
    paid = (1 - cost_bp / 1e4) ** np.abs(edges)  # (G, W+1)
    net = np.where(held > 0, growth, 1.0) * paid[:, :-1]  # (G, W)
    net[:, -1:] *= paid[:, -1:]
    sharpe = _sharpe(net - 1, _a_year(row[rows], step))
    return Earned(net.prod(axis=1) - 1, sharpe, np.abs(edges).sum(1), _share(held))


def _a_year(rows: np.ndarray, step: timedelta) -> float:
    """Periods a year between (W+1,) rows of trades: 52 of weeks, 260 of sessions five days a week."""
    return (len(rows) - 1) * (YEAR / step) / max(int(rows[-1] - rows[0]), 1) if len(rows) > 1 else 0.0


def _sharpe(returns: np.ndarray, periods: float) -> np.ndarray:
    if returns.shape[1] < 2:
        return np.full(len(returns), np.nan)
    spread = returns.std(axis=1, ddof=1)  # (G,)
    varies = spread > 1e-12
    return np.where(varies, returns.mean(axis=1) / np.where(varies, spread, 1.0) * np.sqrt(periods), np.nan)


def _share(held: np.ndarray) -> np.ndarray:
    return held.mean(axis=1) if held.shape[1] else np.full(len(held), np.nan)
