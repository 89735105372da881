"""DLinear: its net beside a slow loop, shared and individual maps, long horizons, the contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import FAST, LEAVE_OUT, QUICK, DLinear, model_of, numbers, panel_of, parameters_of

from forecast.checks import check_forecaster
from forecast.errors import SchemaError
from forecast.schema import Task, Variable
from models.dlinear import FRAMING, Body, moving_average
from models.nets.framing import Framing
from models.nets.heads import Shape


def test_the_net_is_the_papers_in_a_loop() -> None:
    shape = Shape(rows=30, columns=1, extras=0, outputs=4, levels=(0.5,))
    body, windows = Body(shape, 25), numbers(1, 3, 30, 1)
    body.trend.weight.data = 0.1 * numbers(*body.trend.weight.shape, seed=1)
    body.trend.bias.data = numbers(*body.trend.bias.shape, seed=2)
    found = body(windows, numbers(1, 3, 0))[0]  # (B, raw)
    for b in range(3):
        x = windows[0, b, :, 0].numpy()
        trend = [np.mean([x[min(max(t + k, 0), 29)] for k in range(-12, 13)]) for t in range(30)]
        for o in range(4):
            wanted = float((body.trend.bias[0, o] + body.out.bias[0, o]).detach())
            for t in range(30):
                wanted += float(body.trend.weight[0, o, t]) * trend[t] + float(body.out.weight[0, o, t]) * (
                    x[t] - trend[t]
                )
            assert found[b, o].item() == pytest.approx(wanted, abs=1e-5)


def test_the_moving_average_keeps_straight_lines_inside_and_members_apart() -> None:
    line = torch.arange(40.0)[None, None, :, None]
    x = torch.cat([line, -2 * line])  # (M, 1, L, 1)
    found = moving_average(x, 5)
    torch.testing.assert_close(found[:, :, 2:-2], x[:, :, 2:-2])
    assert found[0, 0, 0, 0] == (0 + 0 + 0 + 1 + 2) / 5


def test_shared_and_individual_maps() -> None:
    """Two maps from context to horizon; for each variable its own, or one pair for all."""
    task = Task([Variable("a"), Variable("b"), Variable("c")], horizon=96, context=336, levels=(0.5,))
    one = 2 * (336 + 1) * 96
    assert parameters_of(model_of("dlinear"), FRAMING.shape(1, task, 0)) == one
    individual = replace(FRAMING, scope="local")
    assert parameters_of(model_of("dlinear"), individual.shape(1, task, 0)) == one
    assert (FRAMING.members(1, task), individual.members(1, task)) == (1, 3)


def test_a_long_horizon_over_many_variables() -> None:
    """Seven daily cycles of unlike levels and phases, four days ahead from seven, where the last value is no guide."""
    hours, k = np.arange(700)[:, None], np.arange(7)
    values = (10.0 * k + np.sin(2 * np.pi * hours / 24 + k) * (k + 1))[None]  # (1, T, 7)
    names = tuple("abcdefg")
    task = Task([Variable(n) for n in names], horizon=96, context=168, levels=(0.5,))
    training = replace(QUICK, epochs=10, rate=0.01, weight_decay=0.0)
    found = DLinear(training=training).fit(panel_of(values, names).rows(slice(0, 600)), task)
    point = found.predict(panel_of(values, names).rows(slice(0, 604))).point[0]  # (H, C)
    error = abs(point - values[0, 604:700]).mean(0) / (k + 1)
    assert error.max() < 0.15


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(SchemaError, match="odd"):
        DLinear(kernel=24)


@pytest.mark.parametrize("framing", [FRAMING, Framing(scope="local"), Framing()], ids=lambda f: f.scope + f.channels)
def test_keeps_the_contract_in_other_scopes(framing: Framing) -> None:
    check_forecaster(lambda: DLinear(framing=framing, training=FAST), LEAVE_OUT)
