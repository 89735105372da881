"""The stock suite on what goes wrong with markets, and many histories in one pass: each member is as if alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from forecast.panel import Panel, moment
from forecast.schema import Task, Variable
from forecast.together import Fit, fit_together
from models.stock.forecaster import Stock, training_of
from models.weekdays import Weekdays

COLUMNS = ("open", "high", "low", "close", "volume")
TASK = Task([Variable("open")], step="1d", context=14, horizon=7, past=[Variable(c) for c in COLUMNS[1:]], patience=6)


def stock(network: str, seed: int = 0) -> Stock:
    return Stock(network, units=8, training=training_of(network, epochs=2, batch=64), seed=seed)


def market(rows: int = 150, series: int = 2) -> Panel:
    """Wandering shares, on weekdays only."""
    values = 100 + np.cumsum(np.random.default_rng(0).normal(size=(series, rows, 5)), axis=1)  # (N, T, V)
    times = np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "D")
    values[:, ~np.is_busday(times.astype("datetime64[D]"))] = np.nan
    return Panel(values, times, tuple("AB"[:series]), COLUMNS, timedelta(days=1))


@pytest.mark.parametrize("name", ["cnn_univ_5", "cnn_multh_10", "lstm_univ_conv_10"])
def test_trainings_of_every_week_are_members_of_one_pass_and_each_as_alone(name: str) -> None:
    """Of histories that grow by a week, two seeds of each; then on from there, warm."""
    panel = market(330, 1)
    ends = [230 + 7 * week for week in range(6)]
    make = [lambda seed=seed: Weekdays(stock(name, seed)) for seed in range(2)]
    fits = [Fit(one(), panel.rows(slice(0, end)), TASK) for end in ends for one in make]
    assert fit_together(fits) == [None] * len(fits)
    alone = {k: make[k % 2]().fit(fits[k].panel, TASK) for k in (0, 7, 11)}
    for warm in (False, True):
        for k, one in alone.items():
            wanted = one.predict(panel).quantiles
            np.testing.assert_allclose(fits[k].model.predict(panel).quantiles, wanted, rtol=1e-4)
            one.fit(panel.rows(slice(0, ends[k // 2] + 14)), TASK, warm=True)
        if not warm:
            on = [
                replace(fit, panel=panel.rows(slice(0, end + 14)), warm=True)
                for fit, end in zip(fits, [e for e in ends for _ in make], strict=True)
            ]
            assert fit_together(on) == [None] * len(on)


def test_nothing_after_the_origin_is_seen() -> None:
    """Through Weekdays, from the end of every day of a week; weekends and the columns beside the target count too."""
    panel = market()
    for row in range(100, 107):
        poisoned = panel.values.copy()
        poisoned[:, row + 1 :] = 1e6
        found = []
        for one in (panel, replace(panel, values=poisoned)):
            model = Weekdays(stock("cnn_multv_10")).fit(one.rows(slice(0, row + 1)), TASK)
            found.append(model.predict_at(one, [moment(one.times[row])])[0].quantiles)
        np.testing.assert_array_equal(*found)


HARM: dict[str, Callable[[np.ndarray], None]] = {
    "volume unknown": lambda v: v[..., 4].fill(np.nan),
    "volume unknown at first": lambda v: v[:, :70, 4].fill(np.nan),
    "a gap of weeks": lambda v: v[:, 60:85].fill(np.nan),
    "constant": lambda v: np.copyto(v[0], 50.0, where=~np.isnan(v[0])),
    "dead": lambda v: v[0].fill(np.nan),
    "silent since": lambda v: v[0, 90:].fill(np.nan),
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("name", ["cnn_univ_10", "cnn_multv_10", "lstm_multv_ed_10"])
def test_what_ails_a_series_leaves_the_others_as_they_were(name: str, harm: str) -> None:
    panel = market()
    values = panel.values.copy()
    HARM[harm](values)
    model = Weekdays(stock(name)).fit(replace(panel, values=values), TASK)
    found = model.predict(panel)  # the silent speaks again
    assert np.isfinite(found.quantiles).all()
    widths = found.quantiles[..., 2] - found.quantiles[..., 0]
    assert (widths > 0).all()
    if harm in ("constant", "dead", "silent since"):
        usual = Weekdays(stock(name)).fit(panel, TASK).predict(panel)
        np.testing.assert_allclose(found.point[1], usual.point[1], rtol=1e-6)
    if harm == "constant":
        np.testing.assert_allclose(found.point[0], 50, rtol=1e-6)


@pytest.mark.parametrize("speaking", [[1], []])
def test_a_silence_before_the_end_leaves_the_intervals(speaking: list[int]) -> None:
    """A series' own newest errors tell its width, also where they are older than a fifth of the rows."""
    panel = market(rows=300)
    values = panel.values * np.array([1000.0, 1.0])[:, None, None]
    panel, values = replace(panel, values=values), values.copy()
    values[[n for n in (0, 1) if n not in speaking], 200:] = np.nan
    found, usual = (
        Weekdays(stock("cnn_univ_5")).fit(replace(panel, values=one), TASK).predict(panel).quantiles
        for one in (values, panel.values)
    )
    ratio = (found[..., 2] - found[..., 0]) / (usual[..., 2] - usual[..., 0])  # (N, H, C)
    assert ratio.min() > 0.1
    assert ratio.max() < 10
