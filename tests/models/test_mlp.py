"""The MLP: its net beside torch's, the paper's size, the contract."""

from __future__ import annotations

import pytest
import torch
from networks import FAST, LEAVE_OUT, MLP, model_of, numbers, parameters_of
from torch import nn

from forecast.checks import check_forecaster
from forecast.schema import Task, Variable
from models.mlp import Body
from models.nets.framing import Framing
from models.nets.heads import Shape


def test_the_net_is_torchs_with_the_same_weights() -> None:
    shape = Shape(rows=6, columns=3, extras=2, outputs=4, levels=(0.1, 0.5, 0.9))
    body = Body(shape, 8, 2, 0.0)
    windows, extras = numbers(1, 5, 6, 3), numbers(1, 5, 2, seed=1)
    theirs = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 16))
    ours = [body.layers[0], body.layers[2], body.out]
    for layer, source in zip([theirs[0], theirs[2], theirs[4]], ours, strict=True):
        layer.weight.data, layer.bias.data = source.weight.data[0], source.bias.data[0]
    wanted = theirs(torch.cat([windows[0].flatten(1), extras[0]], 1))
    torch.testing.assert_close(body(windows, extras)[0], wanted)


def test_dropout_is_off_in_forecasts_and_on_in_training() -> None:
    body = Body(Shape(2, 3, 0, 1, (0.5,)), 64, 1, 0.5)
    x = numbers(1, 4, 2, 3), numbers(1, 4, 0)
    assert (body(*x) != body(*x)).any()
    body.eval()
    torch.testing.assert_close(body(*x), body(*x))


def test_the_papers_size() -> None:
    """Linear-1024-ReLU-1024-ReLU-out on the flattened window; the outputs filled up to a multiple of 16."""
    shape = Framing(linear=False, harmonics=1).shape(1, Task([Variable("a")], past=[Variable("b")]), 0)
    flat = 6 * 2 + 4  # rows x columns; calendar
    wanted = (flat + 1) * 1024 + (1024 + 1) * 1024 + (1024 + 1) * 32  # 6 leads x 3 levels -> 32
    assert parameters_of(model_of("mlp_paper"), shape) == wanted


@pytest.mark.parametrize("framing", [Framing(scope="local"), Framing(scope="global")], ids=lambda f: f.scope)
def test_keeps_the_contract_in_other_scopes(framing: Framing) -> None:
    check_forecaster(lambda: MLP(hidden=8, framing=framing, training=FAST), LEAVE_OUT)
