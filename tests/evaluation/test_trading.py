"""The long/flat rule against a walk through its days, without a look ahead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from forecast.evaluation import Asked, Question, Trade
from forecast.evaluation.traded import FLAT, HOLD, traded
from forecast.evaluation.trading import decisions, earned
from tests.evaluation.asking import ask, far, hold, near, walks


def slow(want: np.ndarray, truth: np.ndarray, cost: float, stride: int) -> tuple[float, int]:
    """Day by day with money and shares: total return and number of trades."""
    orders: dict[int, tuple[float, bool]] = {}  # day -> price, wanted
    for b in range(len(truth)):
        days = [h for h in range(truth.shape[1]) if not np.isnan(truth[b, h])]
        if days:
            orders[b * stride + days[0]] = truth[b, days[0]], bool(want[b])  # the later decision counts
    money, shares, trades = 1.0, 0.0, 0
    for day, (price, wanted) in sorted(orders.items()):
        long = wanted and day != max(orders)
        if long and not shares:
            money, shares, trades = 0.0, money * (1 - cost / 1e4) / price, trades + 1
        elif not long and shares:
            money, shares, trades = shares * price * (1 - cost / 1e4), 0.0, trades + 1
    return money - 1, trades


@pytest.mark.parametrize("stride", [7, 5, 1])
@pytest.mark.parametrize("cost", [0.0, 10.0, 250.0])
def test_it_is_a_walk_through_the_days_with_money_and_shares(stride: int, cost: float) -> None:
    """Sessions missing for a day, a week, and where several origins face the same session."""
    values = walks(days=520)
    values[:, 400:413] = np.nan
    values[:, [343, 350, 351, 352]] = np.nan
    q = ask(values, stride=stride)
    want = np.random.default_rng(stride).random((3, len(q.origins))) < 0.6
    made = earned(want, q.truth[:, 0, :, 0], cost_bp=cost, stride=stride)
    for g in range(3):
        total, trades = slow(want[g], q.truth[:, 0, :, 0], cost, stride)
        np.testing.assert_allclose(made.total[g], total, rtol=1e-9, atol=1e-12)
        assert made.trades[g] == trades


def test_sharpe_is_mean_over_deviation_of_weekly_returns_by_root_52() -> None:
    price = np.array([100.0, 104.0, 101.0, 106.0, 107.0])
    want = np.array([[True, True, False, True, True]])
    made = earned(want, price[:, None], stride=7)
    returns = np.array([0.04, 101 / 104 - 1, 0.0, 107 / 106 - 1])
    np.testing.assert_allclose(made.sharpe, returns.mean() / returns.std(ddof=1) * np.sqrt(52))
    np.testing.assert_allclose(made.long, 0.75)
    assert np.isnan(earned(~want & False, price[:, None]).sharpe).all()
    hourly = earned(want, price[:, None], step=timedelta(hours=1))
    np.testing.assert_allclose(hourly.sharpe / made.sharpe, np.sqrt(24 * 7))


def test_later_truths_change_no_decision() -> None:
    q = ask(walks())
    answer = near(q, "m", 20.0)
    want = decisions(answer.points[0, :, 0, :, 0], q.last[:, 0, 0])
    for b in (3, 20, 50):
        other = q.truth.copy()
        other[b:] *= 1.7
        changed = traded(replace(q, truth=other), [answer], Trade("v0"))["m"]
        half = traded(_until(q, b), [replace(answer, points=answer.points[:, :b])], Trade("v0"))["m"]
        again = traded(_until(replace(q, truth=other), b), [replace(answer, points=answer.points[:, :b])], Trade("v0"))
        np.testing.assert_array_equal(half.total, again["m"].total)
        assert changed.long == traded(q, [answer], Trade("v0"))["m"].long == want[:-1].mean()


def _until(q: Question, b: int) -> Question:
    return replace(q, truth=q.truth[:b], last=q.last[:b], origins=q.origins[:b])


@pytest.mark.parametrize("seed", range(5))
def test_who_knows_the_week_earns_at_least_what_holding_earns(seed: int) -> None:
    q = ask(walks(3, seed=seed))
    price = q.truth[:, :, 2, 0]  # Mondays, (B, N)
    gain = np.diff(price, axis=0, append=price[-1:])
    knows = replace(
        hold(q), label="knows", points=(q.last[:, :, None] + gain[:, :, None, None]) + np.zeros((1, 1, 1, 7, 1))
    )
    made = traded(q, [knows], Trade("v0", (0, 10)))
    assert (made["knows"].total[0] >= made[HOLD].total[0] - 1e-12).all()
    assert (made["knows"].total[0] >= 0).all()
    assert (made["knows"].total[1] < made["knows"].total[0]).all()
    np.testing.assert_allclose(made[HOLD].total[0, 0], price[-1] / price[0] - 1)
    np.testing.assert_allclose(made[HOLD].total[1, 0], price[-1] / price[0] * (1 - 1e-3) ** 2 - 1)
    assert not made[FLAT].total.any()
    assert not made[FLAT].trades.any()


def test_persistence_never_buys_and_a_gap_at_the_end_of_the_horizon_is_no_decision() -> None:
    q = ask(walks())
    assert not traded(q, [hold(q)], Trade("v0"))["persistence"].trades.any()
    points = np.array([[3.0, np.nan], [np.nan, np.nan], [1.0, np.nan]])
    assert decisions(points, np.array([2.0, 2.0, np.nan])).tolist() == [True, False, False]


def test_one_origin_or_no_session_earns_nothing() -> None:
    for truth in (np.full((1, 3), 5.0), np.full((4, 3), np.nan)):
        made = earned(np.ones((2, len(truth)), bool), truth, cost_bp=10)
        assert made.total.tolist() == [0, 0]
        assert made.trades.tolist() == [0, 0]
        assert np.isnan(made.sharpe).all()
        assert np.isnan(made.long).all()


def test_nothing_is_traded_unless_asked_for() -> None:
    q = ask(walks())
    assert traded(q, [far(q, "x", 1.0)], Asked().trade) == {}
