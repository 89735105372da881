"""Stacks: layers against torch's own, members that know nothing of each other, joining and taking apart."""

import pytest
import torch
from torch import nn

from forecast.errors import SchemaError
from models import stack
from models.stack.sequence import lstm_sequence

MEMBERS, BATCH, ROWS, WIDTH = 3, 5, 4, 8


pytestmark = pytest.mark.usefixtures("double")


LAYERS = {
    "linear": (lambda: stack.Linear(WIDTH, 3), (BATCH, ROWS, WIDTH)),
    "norm": (lambda: stack.LayerNorm(WIDTH), (BATCH, ROWS, WIDTH)),
    "attention": (lambda: stack.Attention(WIDTH, 2), (BATCH, ROWS, WIDTH)),
    "lstm": (lambda: stack.LSTM(WIDTH, 6, layers=2), (BATCH, ROWS, WIDTH)),
}


def gradients(net, x, output):
    return torch.autograd.grad(output.square().sum(), [x, *net.parameters()])


@pytest.mark.parametrize("name", LAYERS)
def test_a_stack_computes_what_its_members_compute_alone_forward_and_backward(name):
    make, shape = LAYERS[name]
    nets = [make() for _ in range(MEMBERS)]
    for net in nets:
        for parameter in net.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)  # also what starts at zero or one
    net, x = stack.stacked(nets), torch.randn(MEMBERS, *shape, requires_grad=True)
    together = gradients(net, x, net(x))
    for m, one in enumerate(nets):
        own = x[m : m + 1].detach().requires_grad_()
        output = one(own)
        torch.testing.assert_close(net(x)[m : m + 1], output, rtol=1e-10, atol=1e-12)
        for of_all, alone in zip(together, gradients(one, own, output), strict=True):
            torch.testing.assert_close(of_all[m : m + 1], alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("last", [False, True])
def test_the_hand_written_backward_pass_of_the_lstm_is_the_derivative(last):
    x = torch.randn(2, 3, 4, 2, requires_grad=True)
    net = stack.stacked([stack.LSTM(2, 3), stack.LSTM(2, 3)])
    assert torch.autograd.gradcheck(lambda x, *weights: lstm_sequence(x, weights, last), (x, *net.parameters()))


@pytest.mark.parametrize("members", [1, 2])
def test_lstm_is_torchs_with_the_same_weights(members):
    theirs = [nn.LSTM(WIDTH, 6, 2, batch_first=True) for _ in range(members)]
    ours = [stack.LSTM(WIDTH, 6, 2) for _ in range(members)]
    for one, other in zip(ours, theirs, strict=True):
        one.load_state_dict({name: value[None] for name, value in other.state_dict().items()})
    net, x = stack.stacked(ours), torch.randn(members, BATCH, ROWS, WIDTH)
    expected = torch.stack([other(one)[0] for other, one in zip(theirs, x, strict=True)])
    torch.testing.assert_close(net(x), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(net.last(x), expected[:, :, -1], rtol=1e-10, atol=1e-12)


def test_lstm_states_do_not_see_later_rows():
    net = stack.stacked([stack.LSTM(WIDTH, 6), stack.LSTM(WIDTH, 6)])
    x = torch.randn(2, BATCH, ROWS, WIDTH)
    other = x.clone()
    other[:, :, 2:] = 9
    torch.testing.assert_close(net(x)[:, :, :2], net(other)[:, :, :2], rtol=0, atol=0)
    assert not torch.allclose(net(x)[:, :, 2:], net(other)[:, :, 2:])


def test_attention_is_torchs_with_the_same_weights():
    theirs, ours = nn.MultiheadAttention(WIDTH, 2, batch_first=True), stack.Attention(WIDTH, 2)
    query, _, value = theirs.in_proj_bias.data.normal_().chunk(3)
    theirs.in_proj_bias.data[WIDTH : 2 * WIDTH] = 0
    ours.projections.data[0] = theirs.in_proj_weight
    ours.query_bias.data[0], ours.value_bias.data[0] = query, value
    ours.output.weight.data[0], ours.output.bias.data[0] = theirs.out_proj.weight, theirs.out_proj.bias
    x = torch.randn(BATCH, ROWS, WIDTH)
    torch.testing.assert_close(ours(x[None])[0], theirs(x, x, x)[0], rtol=1e-10, atol=1e-12)


def test_attention_refuses_heads_that_do_not_divide_its_width():
    with pytest.raises(SchemaError, match="3 heads"):
        stack.Attention(8, 3)


def test_a_member_draws_the_same_dropout_in_a_stack_as_alone_whatever_the_padding():
    def masks(members, rows):
        net, generators = stack.Dropout(0.4), [torch.Generator().manual_seed(m) for m in members]
        with stack.drawing(net, stack.Draws(generators, [rows[m] for m in members])):
            return net(torch.ones(len(members), max(rows[m] for m in members), 50))

    rows = (4, 7, 2)
    together = masks(range(3), rows)
    for m in range(3):
        torch.testing.assert_close(together[m, : rows[m]], masks([m], rows)[0], rtol=0, atol=0)
    assert set(together[1].unique().tolist()) == {0.0, 1 / 0.6}
    assert not torch.equal(together[0, :2], together[1, :2])


def test_joining_and_taking_apart_are_inverse_and_copy():
    nets = [stack.LSTM(WIDTH, 6) for _ in range(4)]
    net = stack.stacked([stack.stacked(nets[:3]), nets[3]])
    assert stack.size(net) == 4
    for one, member in zip(nets, stack.members(net), strict=True):
        for name, value in one.state_dict().items():
            torch.testing.assert_close(member.state_dict()[name], value, rtol=0, atol=0)
    next(net.parameters()).data.zero_()
    assert all(next(one.parameters()).abs().sum() > 0 for one in nets)


def test_nets_of_other_shapes_are_not_joined():
    with pytest.raises(SchemaError, match="equal shape"):
        stack.stacked([stack.Linear(2, 3), stack.Linear(3, 3)])


def test_large_networks_and_single_ones_are_not_stacked():
    assert stack.together_pays(2, 14_000, 64)
    assert not stack.together_pays(48, 2_000_000, 64)
    assert not stack.together_pays(1, 100, 64)
    assert stack.group_size(48, 14_000, 64) == 48
