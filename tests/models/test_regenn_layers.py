"""ReGENN's layers: recurrences both ways and the encoder beside torch's, with their gradients; dropout."""

from __future__ import annotations

import pytest
import torch
from regenn_witness import bidirectional, numbers, torchs_encoder
from torch import Tensor, nn

from models.regenn import ReGENN
from models.regenn.directions import Directions
from models.regenn.dropout import Dropout, kept
from models.regenn.encoder import BLOCK, Encoder

W = 7


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("both", [True, False])
def test_recurrences_are_torch_s_forwards_and_backwards(kind: str, both: bool) -> None:
    ours = Directions(kind, 5, 4, both=both).double()
    theirs = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[kind](5, 4, batch_first=True, bidirectional=both)
    run, x = bidirectional(ours, theirs), numbers(6, 3, 5).double()
    found, wanted = ours(x), run(x)
    torch.testing.assert_close(found, wanted)
    found.square().sum().backward()
    wanted.square().sum().backward()
    torch.testing.assert_close(ours.parts[0].weight_hh.grad, theirs.weight_hh_l0.grad)
    if both:
        torch.testing.assert_close(ours.parts[1].weight_ih.grad, theirs.weight_ih_l0_reverse.grad)


@pytest.mark.parametrize("kind", ["headwise", "slstm"])
def test_headwise_cells_may_be_gate_and_sequencer(kind: str) -> None:
    net = ReGENN(4, 6, 3, gate=kind, sequencer=kind, heads=3, feedforward=8)
    y = net(numbers(2, 5, 4, 3), torch.eye(3))
    assert y.shape == (2, 5, 6, 3)
    y.sum().backward()
    assert all(part.grad is not None for part in net.gate.parameters())


@pytest.mark.parametrize("rows", [4, 2 * BLOCK + 1])
def test_the_encoder_is_torch_s_with_its_gradients(rows: int) -> None:
    torch.manual_seed(3)
    ours = Encoder(W, 32, dropout=0.0).double()
    nn.init.normal_(ours.projections.bias)
    theirs, x = torchs_encoder(ours), numbers(3, rows, W).double()
    here, there = x.clone().requires_grad_(), x.clone().requires_grad_()
    found, wanted = ours(here), theirs(there.transpose(0, 1)).transpose(0, 1)
    torch.testing.assert_close(found, wanted)
    found.square().sum().backward()
    wanted.square().sum().backward()
    torch.testing.assert_close(here.grad, there.grad)
    for name, layer in (("widen", "linear1"), ("narrow", "linear2")):
        for kind in ("weight", "bias"):
            mine, other = (getattr(part, kind).grad for part in (getattr(ours, name), getattr(theirs, layer)))
            torch.testing.assert_close(mine, other)


def test_the_encoder_s_gradients_with_dropout_are_those_of_differences() -> None:
    """With the same draws; none of the hidden layer is drawn anew in the backward pass."""
    ours = Encoder(3, 8, dropout=0.3).double()
    x = numbers(2, 4, 3).double().requires_grad_()

    def run(values: Tensor) -> Tensor:
        torch.manual_seed(5)
        return ours(values)

    assert torch.autograd.gradcheck(run, (x,))


def test_dropout_keeps_its_share_and_the_mean() -> None:
    x = torch.ones(401, 501)
    torch.manual_seed(0)
    kept_share = kept(x, 0.1).double().mean().item()
    assert kept_share == pytest.approx(0.9, abs=0.003)  # 4 standard deviations: 0.0027
    layer = Dropout(0.25)
    out = layer(x)
    assert sorted(out.unique().tolist()) == pytest.approx([0, 4 / 3])
    assert out.mean().item() == pytest.approx(1, abs=0.006)
    assert torch.equal(layer.eval()(x), x)
    torch.manual_seed(1)
    one = layer.train()(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), one)
