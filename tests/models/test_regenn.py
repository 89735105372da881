"""ReGENN's network: the paper's counts, slow loops and torch's own layers as witnesses, switches, who sees whom."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from regenn_witness import bidirectional, numbers, slow_evolution, torchs_encoder
from torch import Tensor, nn

from forecast.errors import SchemaError, UnknownNameError
from models.regenn import GraphSoftEvolution, ReGENN, Switches, cooccurrence, cosine
from models.regenn.directions import Directions

W, Z, V = 7, 14, 3  # the paper's size


def net_of(**changes: Any) -> ReGENN:
    """One whose biases and graph weights are no longer at their start, in double precision, for forecasts."""
    torch.manual_seed(0)
    net = ReGENN(W, Z, V, **{"feedforward": 16, **changes}).double().eval()
    with torch.no_grad():
        for part in net.parameters():
            part += 0.1 * torch.randn_like(part)
    return net


def count(**changes: Any) -> int:
    return sum(part.numel() for part in ReGENN(W, Z, V, **changes).parameters())


# --- the graph


def test_the_graph_of_the_specification() -> None:
    assert cooccurrence(torch.tensor([[[1.0, 0.0], [2.0, 3.0]]])).tolist() == [[1, 2], [3, 0]]


def test_the_graph_is_a_slow_count() -> None:
    x = torch.relu(numbers(4, 6, 5).double())
    wanted = torch.zeros(5, 5).double()
    for series in x:
        for row in series:
            for b in range(5):
                for c in range(5):
                    wanted[b, c] += row[b] * (1 if row[c] > 0 else 0)
    for b in range(5):
        wanted[b, b] = max(0.0, wanted[b, b] - sum(wanted[b, c] for c in range(5) if c != b))
    torch.testing.assert_close(cooccurrence(x), wanted)


def test_a_mask_says_what_is_present() -> None:
    x = torch.tensor([[[-1.0, -2.0]], [[-3.0, 5.0]]])
    mask = torch.tensor([[[True, True]], [[True, False]]])
    assert cooccurrence(x, mask).tolist() == [[0, -1], [3, 0]]
    assert cooccurrence(x).tolist() == [[3, -3], [0, 5]]  # 0 - (-3) on the diagonal
    with pytest.raises(SchemaError, match="mask of a graph has shape"):
        cooccurrence(x, mask[0])


def test_the_graph_has_no_gradient_and_zeros_have_no_direction() -> None:
    assert not cooccurrence(numbers(2, 3, 4).requires_grad_()).requires_grad
    assert cosine(torch.tensor([[0.0, 0.0], [3.0, 4.0]])).tolist() == [[0, 0], [0, pytest.approx(1)]]


# --- Graph Soft Evolution


@pytest.mark.parametrize("window", [None, 4])
def test_evolution_is_a_slow_loop(window: int | None) -> None:
    torch.manual_seed(1)
    layer = GraphSoftEvolution(3, window).double()
    with torch.no_grad():
        for part in layer.parameters():
            part.copy_(torch.randn_like(part))
    x, graph = numbers(2, 4, 3).double(), numbers(3, 3, seed=1).double()
    for found, wanted in zip(layer(x, graph), slow_evolution(layer, x, graph), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)


def test_a_graph_of_zeros_leaves_the_bias_alone() -> None:
    layer = GraphSoftEvolution(3)
    mixed, evolved = layer(numbers(2, 4, 3), torch.zeros(3, 3))
    assert not mixed.any()
    assert not evolved.any()


def test_the_evolved_graph_carries_no_gradient_on() -> None:
    layer, x = GraphSoftEvolution(3), numbers(2, 4, 3)
    mixed, evolved = layer(x, torch.eye(3))
    assert not evolved.requires_grad
    mixed.sum().backward()
    assert layer.w_a.grad.abs().sum() > 0


# --- the whole network


def test_the_paper_s_size() -> None:
    assert count() == 33_975


@pytest.mark.parametrize(
    ("changes", "less"),
    [
        ({"encoder": False}, 30_979),  # (3 + 1) x 7 x 7 + 4 x 7 of attention, 2 x 7 x 2048 + 2055, two norms of 14
        ({"autoregression": False}, 7 * 14 + 14),
        ({"time_dot": False}, 7 * 7 + 7),
        ({"gate_both": False}, 4 * 14 * (7 + 14 + 2)),
        ({"sequencer_both": False}, 4 * 3 * (3 + 3 + 2)),
        ({"gate": "gru"}, 2 * 14 * (7 + 14 + 2)),
        ({"gate": "rnn"}, 2 * 3 * 14 * (7 + 14 + 2)),
        ({"sequencer": "gru"}, 2 * 3 * (3 + 3 + 2)),
        ({"sequencer": "rnn"}, 2 * 3 * 3 * (3 + 3 + 2)),
        ({"feedforward": 1024}, 1024 * (7 + 7 + 1)),
        # b_a and B_c twice, b_t, b_ar; 4 x 7, 2048 + 7, 2 x 7 of the encoder; two of each gate and direction
        ({"bias": False}, 2 * (3 + 9) + 7 + 14 + 28 + 2055 + 14 + 2 * 2 * 4 * (14 + 3)),
        ({"attend_over": "variables"}, 0),
        ({"output": "relu"}, 0),
        ({"dropout": 0.0}, 0),
    ],
    ids=str,
)
def test_a_switch_removes_what_it_should(changes: dict[str, Any], less: int) -> None:
    assert 33_975 - count(**changes) == less


def torch_s(net: ReGENN, x: Tensor, graph: Tensor) -> Tensor:
    """The network out of torch's own layers and the slow evolution, series in the first axis."""
    mixed, evolved = slow_evolution(net.source, x, graph)
    z = torchs_encoder(net.encoder)(mixed.mT)  # (S, V, W): the first axis is the sequence
    t = bidirectional(net.gate, nn.LSTM(W, Z, batch_first=True, bidirectional=True))(z).mT  # (S, Z, V)
    q = bidirectional(net.sequencer, nn.LSTM(V, V, batch_first=True, bidirectional=True))(t)
    y = slow_evolution(net.target, q + t, evolved)[0]
    shadow = nn.Linear(W, Z).double()
    shadow.weight.data, shadow.bias.data = net.w_ar.T, net.b_ar[:, 0]
    return y + shadow(x.mT).mT


def test_the_forward_pass_is_torch_s() -> None:
    net = net_of()
    x, graph = numbers(5, W, V, seed=2).double(), numbers(V, V, seed=3).double()
    with torch.no_grad():
        torch.testing.assert_close(net(x, graph), torch_s(net, x, graph), atol=1e-9, rtol=1e-9)


def test_relu_is_of_the_sum() -> None:
    x, graph = numbers(5, W, V).double(), torch.eye(V).double()
    plain, cut = net_of(), net_of(output="relu")
    assert (plain(x, graph) < 0).any()
    torch.testing.assert_close(cut(x, graph), plain(x, graph).relu())


# --- who sees whom


@pytest.mark.parametrize("changes", [{}, {"attend_over": "variables"}, {"encoder": False}], ids=str)
def test_permuted_series_give_permuted_forecasts(changes: dict[str, Any]) -> None:
    net, x, graph = net_of(**changes), numbers(6, W, V).double(), torch.eye(V).double()
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(net(x[order], graph), net(x, graph)[order])


def test_only_attention_over_series_lets_them_see_each_other() -> None:
    x, graph = numbers(6, W, V).double(), torch.eye(V).double()
    other = x.clone()
    other[1:] = 9 * numbers(5, W, V, seed=9).double()
    across, within = net_of(), net_of(attend_over="variables")
    assert (across(x, graph)[0] - across(other, graph)[0]).abs().max() > 1e-6
    torch.testing.assert_close(within(x, graph)[0], within(other, graph)[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(within(x[:1], graph)[0], within(x, graph)[0], atol=1e-12, rtol=0)


def test_windows_in_front_do_not_see_each_other() -> None:
    net, x, graph = net_of(), numbers(2, 3, 5, W, V).double(), torch.eye(V).double()
    wanted = torch.stack([torch.stack([net(window, graph) for window in part]) for part in x])
    torch.testing.assert_close(net(x, graph), wanted, atol=1e-12, rtol=1e-12)


def test_what_is_not_allowed_is_said() -> None:
    with pytest.raises(UnknownNameError, match="unknown gate 'lstn': did you mean 'lstm'"):
        ReGENN(W, Z, V, gate="lstn")
    with pytest.raises(UnknownNameError, match="switch of ReGENN 'gates': did you mean 'gate'"):
        ReGENN(W, Z, V, gates="lstm")
    with pytest.raises(UnknownNameError, match="attend_over"):
        Switches(attend_over="countries")
    with pytest.raises(SchemaError, match="dropout is 1"):
        Switches(dropout=1)
    with pytest.raises(SchemaError, match="feedforward is 0"):
        Switches(feedforward=0)
    with pytest.raises(SchemaError, match="variables 0 must be at least 1"):
        ReGENN(W, Z, 0)
    with pytest.raises(UnknownNameError, match="recurrence"):
        Directions("tanh", 3, 3)
