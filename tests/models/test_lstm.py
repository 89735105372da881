"""The LSTM: its net beside torch's, the paper's sizes, what only a recurrent path can learn, the contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import FAST, HOUR, LEAVE_OUT, LSTM, QUICK, model_of, numbers, panel_of, parameters_of
from torch import nn

from forecast.checks import check_forecaster
from forecast.errors import UnknownNameError
from forecast.panel import moment
from forecast.schema import Task, Variable
from models.lstm import All, Last
from models.nets.framing import Framing
from models.nets.heads import Shape
from models.training.settings import Training

SHAPE = Shape(rows=6, columns=3, extras=2, outputs=4, levels=(0.1, 0.5, 0.9))


def copied(ours: nn.Module, theirs: nn.LSTM) -> None:
    for name, value in theirs.named_parameters():
        value.data = ours.get_parameter(name).data[0]


@pytest.mark.parametrize(("kind", "hidden", "layers"), [(Last, 8, 1), (All, 8, 2)])
def test_the_net_is_torchs_with_the_same_weights(kind: type, hidden: int, layers: int) -> None:
    body = kind(SHAPE, hidden, layers, 0.1).eval()
    windows, extras = numbers(1, 5, 6, 3), numbers(1, 5, 2, seed=1)
    rows = torch.cat([windows, extras[:, :, None].expand(1, 5, 6, 2)], -1)[0]  # (B, L, D + E)
    if kind is Last:
        rows = torch.cat([rows, windows[0] - windows[0, :, -1:]], -1)
    lstm = nn.LSTM(rows.shape[-1], hidden, layers, batch_first=True)
    copied(body.lstm, lstm)
    states = lstm(rows)[0]  # (B, L, hidden)
    if kind is Last:
        wanted = nn.functional.linear(states[:, -1], body.out.weight[0], body.out.bias[0])
    else:
        tower, at = body.tower.layers, states.flatten(1)
        assert [tower[k].weight.shape[1:] for k in (0, 2, 4)] == [(8, 48), (4, 8), (2, 4)]  # h, h/2, h/4
        for k in (0, 2, 4):
            at = nn.functional.relu(nn.functional.linear(at, tower[k].weight[0], tower[k].bias[0]))
        wanted = nn.functional.linear(at, body.out.weight[0], body.out.bias[0])
    torch.testing.assert_close(body(windows, extras)[0], wanted)


def test_the_papers_size() -> None:
    """Two layers, all hidden states flattened, widths h, h/2, h/4, out; the outputs filled up to a multiple of 16."""
    shape, h = Framing(linear=False, harmonics=1).shape(1, Task([Variable("a")], past=[Variable("b")]), 0), 128
    inputs = 2 + 4  # columns; calendar
    gates = 4 * h * (inputs + h + 2) + 4 * h * (h + h + 2)
    tower = (6 * h + 1) * h + (h + 1) * h // 2 + (h // 2 + 1) * h // 4 + (h // 4 + 1) * 32  # 6 leads x 3 levels -> 32
    assert shape.raw == 32
    assert parameters_of(model_of("lstm_paper"), shape) == gates + tower


def test_learns_what_the_linear_path_cannot() -> None:
    """The next sign is the product of the newest two: linear regression finds nothing there."""
    rng = np.random.default_rng(0)
    sign = rng.choice([-1.0, 1.0], size=(1, 1200, 2))
    sign[0, 1:, 0] = sign[0, 0, 0] * np.cumprod(sign[0, :-1, 1])
    task = Task([Variable("a")], past=[Variable("b")], step=HOUR, horizon=1, context=2)
    model = LSTM(hidden=16, dropout=0.0, training=Training(epochs=10, batch=64, rate=2e-2))
    panel = panel_of(sign)
    model.fit(panel, task)
    forecasts = model.predict_at(panel, map(moment, panel.times[5:1000]))
    points = np.array([f.point[0, 0, 0] for f in forecasts])
    assert (np.sign(points) == sign[0, 6:1001, 0]).mean() > 0.9


@pytest.mark.parametrize(
    ("context", "horizon", "levels"), [(1, 1, (0.5,)), (6, 1, (0.1, 0.2, 0.5)), (3, 5, (0.5, 0.9))]
)
@pytest.mark.parametrize("head", ["last", "tower"])
def test_small_questions(context: int, horizon: int, levels: tuple[float, ...], head: str) -> None:
    task = Task([Variable("a")], horizon=horizon, context=context, levels=levels)
    panel = panel_of(np.random.default_rng(0).normal(size=(1, 60, 1)))
    forecast = LSTM(hidden=4, layers=2, head=head, training=QUICK).fit(panel, task).predict(panel)
    assert forecast.quantiles.shape == (1, horizon, 1, len(levels))


def test_another_head_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'tower'"):
        LSTM(head="towers")


@pytest.mark.parametrize("framing", [Framing(scope="local"), Framing(scope="global")], ids=lambda f: f.scope)
def test_keeps_the_contract_in_other_scopes(framing: Framing) -> None:
    check_forecaster(lambda: LSTM(hidden=4, framing=framing, training=FAST), LEAVE_OUT)
