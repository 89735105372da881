"""The Transformer: its net beside torch's encoder, positions, patches, the paper's size, the contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import FAST, LEAVE_OUT, Encoder, Transformer, model_of, numbers, parameters_of
from torch import nn

from forecast.checks import check_forecaster
from forecast.errors import SchemaError
from forecast.schema import Task, Variable
from models.nets.framing import Framing
from models.nets.heads import Shape
from models.transformer import Body, patches, sinusoids


def test_the_net_is_torchs_encoder_with_the_same_weights() -> None:
    shape = Shape(rows=6, columns=3, extras=2, outputs=4, levels=(0.1, 0.5, 0.9))
    body = Body(shape, Encoder(width=8, heads=2, layers=2, feedforward=16), hidden=12).eval()
    for part in body.parameters():
        part.data += 0.1 * torch.randn(part.shape, generator=torch.Generator().manual_seed(part.numel()))
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    theirs = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    for ours, one in zip(body.layers, theirs.layers, strict=True):
        pairs = [
            (one.self_attn.out_proj, ours.attention.output),
            (one.linear1, ours.feedforward[0]),
            (one.linear2, ours.feedforward[3]),
            (one.norm1, ours.norm1),
            (one.norm2, ours.norm2),
        ]
        for target, source in pairs:
            target.weight.data, target.bias.data = source.weight.data[0], source.bias.data[0]
        one.self_attn.in_proj_weight.data = ours.attention.projections.data[0]
        query, value = ours.attention.query_bias[0], ours.attention.value_bias[0]
        one.self_attn.in_proj_bias.data = torch.cat([query, torch.zeros(8), value]).detach()
    windows, extras = numbers(1, 5, 6, 3), numbers(1, 5, 2, seed=1)
    rows = torch.cat([windows, extras[:, :, None].expand(1, 5, 6, 2)], -1)[0]  # (B, L, D + E)
    at = theirs(nn.functional.linear(rows, body.tokens.weight[0], body.tokens.bias[0]) + sinusoids(6, 8)).flatten(1)
    for k in (0, 2, 4):
        at = nn.functional.relu(nn.functional.linear(at, body.tower.layers[k].weight[0], body.tower.layers[k].bias[0]))
    wanted = nn.functional.linear(at, body.out.weight[0], body.out.bias[0])
    torch.testing.assert_close(body(windows, extras)[0], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [6, 7])
def test_positions_are_those_of_the_formula(width: int) -> None:
    wanted = [
        [(np.sin if i % 2 == 0 else np.cos)(p / 10_000 ** (2 * (i // 2) / width)) for i in range(width)]
        for p in range(9)
    ]
    np.testing.assert_allclose(sinusoids(9, width), wanted, atol=1e-6)


def test_the_order_of_rows_is_seen() -> None:
    shape = Shape(rows=6, columns=3, extras=0, outputs=1, levels=(0.5,))
    body, x, none = Body(shape, Encoder(width=8), hidden=64).eval(), numbers(1, 5, 6, 3), numbers(1, 5, 0)
    assert (body(x, none) - body(x.flip(2), none)).abs().max() > 1e-4


def test_patches_are_rows_side_by_side() -> None:
    x = torch.arange(10.0).reshape(1, 1, 5, 2)
    found = patches(x, 2)[0, 0]
    assert found.tolist() == [[0, 1, 0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]  # the oldest row twice
    assert patches(x, 1) is x


def test_the_papers_size() -> None:
    """Width a multiple of 8, 8 heads, 2 layers, flatten, h, h/2, h/4, out; outputs filled up to 16s."""
    shape = Framing(linear=False, harmonics=1).shape(1, Task([Variable("a")], past=[Variable("b")]), 0)
    inputs, width, wide, h = 2 + 4, 8, 2048, 1024
    attention = 4 * width * width + 3 * width  # keys have no bias: the softmax cancels it
    layer = attention + (width + 1) * wide + (wide + 1) * width + 4 * width
    tower = (6 * width + 1) * h + (h + 1) * h // 2 + (h // 2 + 1) * h // 4 + (h // 4 + 1) * 32
    assert parameters_of(model_of("transformer_paper"), shape) == (inputs + 1) * width + 2 * layer + tower
    assert Encoder(width=0, heads=8).width_for(27) == 32


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SchemaError, match="cannot be divided into 4 heads"):
        Encoder(width=10)
    with pytest.raises(SchemaError, match=r"encoder.patch is 0"):
        Encoder(patch=0)


@pytest.mark.parametrize("framing", [Framing(scope="local"), Framing(scope="global")], ids=lambda f: f.scope)
def test_keeps_the_contract_in_other_scopes(framing: Framing) -> None:
    small = Encoder(width=8, heads=2, feedforward=16, patch=4)
    check_forecaster(lambda: Transformer(small, hidden=8, framing=framing, training=FAST), LEAVE_OUT)
