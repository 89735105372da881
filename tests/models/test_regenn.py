"""ReGENN's network: the paper's counts, slow loops and torch's own layers as witnesses, switches, who sees whom."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from regenn_witness import bidirectional, numbers, slow_evolution, torchs_encoder
from torch import Tensor, nn

from forecast.errors import SchemaError, UnknownNameError
from models.regenn import GraphSoftEvolution, ReGENN, cooccurrence, cosine
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
    ones = torch.where(mask, 1, 0)  # a mask of another kind of number means the same
    assert cooccurrence(x, ones).tolist() == cooccurrence(x, mask).tolist()


def test_gaps_are_counted_as_nothing_where_the_mask_says_so_and_refused_elsewhere() -> None:
    gap = torch.tensor([[[1.0, 0.0], [torch.nan, 3.0], [2.0, 5.0]]])
    mask = torch.tensor([[[True, False], [False, True], [True, True]]])
    assert cooccurrence(gap, mask).tolist() == [[1, 2], [5, 3]]  # 3 - 2 and 8 - 5 on the diagonal
    for given in (None, torch.ones_like(mask)):
        with pytest.raises(SchemaError, match="1 values of a graph are not finite"):
            cooccurrence(gap, given)
    with pytest.raises(SchemaError, match="at least one row"):
        cooccurrence(torch.zeros(0, 5, 2))


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
        ({"bidirectional_gate": False}, 4 * 14 * (7 + 14 + 2)),
        ({"bidirectional_sequencer": False}, 4 * 3 * (3 + 3 + 2)),
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


def torch_s(net: ReGENN, x: Tensor, graph: Tensor, kept: float = 1.0) -> Tensor:
    """The network out of torch's own layers and the slow evolution, series in the first axis; dropouts times `kept`."""
    mixed, evolved = slow_evolution(net.source, x, graph)
    z = torchs_encoder(net.encoder)(mixed.mT)  # (S, V, W): the first axis is the sequence
    t = bidirectional(net.gate, nn.LSTM(W, Z, batch_first=True, bidirectional=True))(z).mT  # (S, Z, V)
    q = bidirectional(net.sequencer, nn.LSTM(V, V, batch_first=True, bidirectional=True))(kept * t)
    y = slow_evolution(net.target, kept * q + kept * t, evolved)[0]
    shadow = nn.Linear(W, Z).double()
    shadow.weight.data, shadow.bias.data = net.w_ar.T, net.b_ar[:, 0]
    return y + shadow(x.mT).mT


def test_the_forward_pass_is_torch_s() -> None:
    net = net_of()
    x, graph = numbers(5, W, V, seed=2).double(), numbers(V, V, seed=3).double()
    with torch.no_grad():
        torch.testing.assert_close(net(x, graph), torch_s(net, x, graph), atol=1e-9, rtol=1e-9)


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def test_dropout_acts_where_the_paper_has_it() -> None:
    net = net_of(dropout=0.3)
    assert net.source.dropout.p == net.encoder.dropout.p == net.dropout.p == 0.3
    assert net.target.dropout.p == 0
    x, graph = numbers(5, W, V, seed=2).double(), numbers(V, V, seed=3).double()
    plain = net.source(x, graph)[0]
    net.dropout = Twice()  # of the time gate's output, and of the sequencer's before both are added
    with torch.no_grad():
        torch.testing.assert_close(net(x, graph), torch_s(net, x, graph, kept=2.0), atol=1e-9, rtol=1e-9)
    net.source.dropout = Twice()  # of what is mixed, before the time-dot and its bias
    b_t = net.source.b_t
    torch.testing.assert_close(net.source(x, graph)[0], 2 * (plain - b_t) + b_t)


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


def test_numbers_of_another_kind_are_computed_in_the_weights_precision() -> None:
    net, x = net_of(), torch.arange(5 * W * V).reshape(5, W, V)
    wanted = net(x.double(), torch.eye(V).double())
    torch.testing.assert_close(net(x, torch.eye(V)), wanted)
    assert net(x.float(), torch.eye(V)).dtype == torch.float64


@pytest.mark.parametrize(
    ("shape", "graph", "words"),
    [
        ((5, 6, V), V, r"shape \(5, 6, 3\), their last two axes must be \(7, 3\)"),
        ((5, W, 4), V, "last two axes"),
        ((W, V), V, r"give \(series, steps, variables\)"),
        ((5, W, V), 4, r"graph has shape \(4, 4\), it must be \(3, 3\)"),
    ],
)
@pytest.mark.parametrize("time_dot", [True, False])
def test_values_that_do_not_fit_are_refused(shape: tuple[int, ...], graph: int, words: str, time_dot: bool) -> None:
    with pytest.raises(SchemaError, match=words):
        net_of(time_dot=time_dot)(torch.zeros(shape), torch.eye(graph))


def test_a_gap_is_refused_before_it_reaches_every_series() -> None:
    x = numbers(5, W, V)
    x[2, 3, 1] = torch.nan
    with pytest.raises(SchemaError, match="not finite"):
        net_of()(x, torch.eye(V))
    with pytest.raises(SchemaError, match="not finite"):
        net_of()(numbers(5, W, V), torch.full((V, V), torch.inf))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"gate": "lstn"}, UnknownNameError, "unknown gate 'lstn': did you mean 'lstm'"),
        ({"gate": None}, UnknownNameError, "unknown gate 'none'"),
        ({"sequencer": "conv"}, UnknownNameError, "unknown sequencer"),
        ({"gates": "lstm"}, UnknownNameError, "switch of ReGENN 'gates': did you mean 'gate'"),
        ({"attend_over": "countries"}, UnknownNameError, "attend_over"),
        ({"output": "tanh"}, UnknownNameError, "unknown output"),
        ({"dropout": 1}, SchemaError, "dropout is 1"),
        ({"feedforward": 0}, SchemaError, "feedforward is 0"),
        ({"encoder": "no"}, SchemaError, "encoder is 'no': it must be true or false"),
        ({"bias": 0}, SchemaError, "bias is 0"),
        ({"heads": 2}, SchemaError, "gate lstm and sequencer lstm have one head"),
        ({"gate": "slstm", "bias": False}, SchemaError, "slstm cannot be without"),
        ({"gate": "slstm", "heads": 4}, SchemaError, "14 cannot be divided into 4 heads"),
        ({"switches": "lstm"}, SchemaError, "give Switches"),
    ],
    ids=str,
)
def test_a_switch_that_is_not_there_is_refused(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ReGENN(W, Z, V, **changes)


@pytest.mark.parametrize(("sizes", "words"), [((W, Z, 0), "variables is 0"), ((7.0, Z, V), "window is 7.0")])
def test_sizes_are_whole_numbers(sizes: tuple[int, int, int], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        ReGENN(*sizes)
    with pytest.raises(SchemaError, match="window is 0"):
        GraphSoftEvolution(3, window=0)
    with pytest.raises(SchemaError, match="dropout is 1"):
        GraphSoftEvolution(3, dropout=1)
    with pytest.raises(UnknownNameError, match="recurrence"):
        Directions("tanh", 3, 3)
