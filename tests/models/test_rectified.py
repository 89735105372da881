"""The layers of the stock networks, each against torch's own or a slow loop, forward and backward."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from forecast.errors import SchemaError, UnknownNameError
from models import stack

MEMBERS, BATCH, ROWS, HIDDEN = 3, 4, 5, 6
EXACT = {"rtol": 1e-9, "atol": 1e-11}


pytestmark = pytest.mark.usefixtures("double")


def shaken(make, members=MEMBERS):
    """A stack whose weights, biases too, are away from where they begin."""
    net = stack.stacked([make() for _ in range(members)])
    for parameter in net.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return net


def looped(net, x, steps):
    """States (M, B, steps, H) of x (M, B, L, D), or of x (M, B, 1, D) at every step, by autograd."""
    curve = torch.relu if net.activation == "relu" else torch.tanh
    members = []
    for m, one in enumerate(x):
        h = c = one.new_zeros(len(one), net.weight_hh.shape[2])
        states = []
        for t in range(steps):
            gates = one[:, t % one.shape[1]] @ net.weight_ih[m].T + h @ net.weight_hh[m].T + net.bias[m]
            i, f, g, o = gates.chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * curve(g)
            h = o.sigmoid() * curve(c)
            states.append(h)
        members.append(torch.stack(states, 1))
    return torch.stack(members)


def compare(net, x, ours, theirs):
    """Equal outputs, and equal gradients of a sum in which every element has a weight of its own."""
    torch.testing.assert_close(ours, theirs, **EXACT)
    weight, inputs = torch.randn_like(ours), [x, *net.parameters()]
    grads = [torch.autograd.grad((y * weight).sum(), inputs, retain_graph=True) for y in (ours, theirs)]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, **EXACT)
    assert grads[0][0].abs().sum() > 0


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("members", [1, MEMBERS])
@pytest.mark.parametrize("columns", [1, 5, 20])
def test_the_sequence_kernel_is_a_loop_over_steps(columns, members, activation):
    net = shaken(lambda: stack.RectifiedLSTM(columns, HIDDEN, activation), members)
    x = torch.randn(members, BATCH, ROWS, columns, requires_grad=True)
    compare(net, x, net(x), looped(net, x, ROWS))
    compare(net, x, net.last(x), looped(net, x, ROWS)[:, :, -1])
    one = x[:, :, 0].detach().requires_grad_()
    compare(net, one, net.repeated(one, 7), looped(net, one.unsqueeze(2), 7))
    compare(net, one, net.repeated(one, 1), looped(net, one.unsqueeze(2), 1))


@pytest.mark.parametrize("way", ["forward", "last", "repeated"])
def test_the_hand_written_backward_pass_is_the_derivative(way):
    net = shaken(lambda: stack.RectifiedLSTM(2, 3), 2)
    names = [name for name, _ in net.named_parameters()]
    x = torch.randn(2, 3, 2, requires_grad=True) if way == "repeated" else torch.randn(2, 3, 4, 2, requires_grad=True)

    class Asked(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return net.repeated(x, 4) if way == "repeated" else getattr(net, way)(x)

    def run(x, *weights):
        named = {f"net.{name}": weight for name, weight in zip(names, weights, strict=True)}
        return torch.func.functional_call(Asked(), named, x)

    assert torch.autograd.gradcheck(run, (x, *net.parameters()))


def test_in_float32_it_is_the_loop_in_float64_to_a_millionth():
    net = shaken(lambda: stack.RectifiedLSTM(1, 50))
    x = torch.rand(MEMBERS, 16, 10, 1)
    net.weight_hh.data *= 0.3  # or the states grow from step to step
    expected = looped(net, x, 10)
    torch.testing.assert_close(net.float()(x).double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("members", [1, MEMBERS])
def test_with_tanh_it_is_torchs_lstm_of_one_bias(members):
    net = shaken(lambda: stack.RectifiedLSTM(3, HIDDEN, "tanh"), members)
    x = torch.randn(members, BATCH, ROWS, 3)
    for m in range(members):
        theirs = nn.LSTM(3, HIDDEN, batch_first=True)
        weights = (net.weight_ih[m], net.weight_hh[m], net.bias[m], torch.zeros(4 * HIDDEN))
        for parameter, value in zip(theirs.parameters(), weights, strict=True):
            parameter.data.copy_(value)
        torch.testing.assert_close(net(x)[m], theirs(x[m])[0], **EXACT)


EDGES = {  # what is done to gates i, f, g, o
    "a dead candidate": lambda i, f, g, o: g.fill_(-50),
    "nothing kept": lambda i, f, g, o: f.fill_(-800),
    "nothing let in of a huge candidate": lambda i, f, g, o: (i.fill_(-800), g.fill_(1e200)),
    "hardly anything let in": lambda i, f, g, o: i.fill_(-740),
    "at the kink": lambda i, f, g, o: g.fill_(0),
    "infinite": lambda i, f, g, o: g.fill_(torch.inf),
    "not a number": lambda i, f, g, o: i.fill_(torch.nan),
}


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("edge", EDGES)
def test_at_the_edges_of_numbers_too_it_is_the_loop(edge, flushed):
    net = shaken(lambda: stack.RectifiedLSTM(2, HIDDEN))
    with torch.no_grad():
        EDGES[edge](*net.bias.chunk(4, 1))
        if edge == "at the kink":
            net.weight_ih.zero_()
            net.weight_hh.zero_()
    x = torch.randn(MEMBERS, BATCH, ROWS, 2, requires_grad=True)
    torch.set_flush_denormal(flushed)
    try:
        ours, theirs = net(x), looped(net, x, ROWS)
        grads = [torch.autograd.grad(y.sum(), [x, *net.parameters()]) for y in (ours, theirs)]
    finally:
        torch.set_flush_denormal(False)
    for one, other in zip((ours, *grads[0]), (theirs, *grads[1]), strict=True):
        torch.testing.assert_close(one, other, **EXACT, equal_nan=True)


def test_states_do_not_see_later_rows():
    net = shaken(lambda: stack.RectifiedLSTM(2, HIDDEN))
    x = torch.randn(MEMBERS, BATCH, ROWS, 2)
    other = x.clone()
    other[:, :, 2:] = 9
    torch.testing.assert_close(net(x)[:, :, :2], net(other)[:, :, :2], rtol=0, atol=0)
    assert not torch.allclose(net(x)[:, :, 2:], net(other)[:, :, 2:])


@pytest.mark.parametrize(("groups", "inputs", "outputs"), [(1, 1, 4), (1, 3, 4), (3, 6, 9)])
def test_convolution_is_torchs_with_the_same_weights(groups, inputs, outputs):
    net = shaken(lambda: stack.Conv1d(inputs, outputs, 3, groups))
    x = torch.randn(MEMBERS, BATCH, 8, inputs, requires_grad=True)
    each = [F.conv1d(x[m].transpose(1, 2), net.weight[m], net.bias[m], groups=groups) for m in range(MEMBERS)]
    compare(net, x, net(x), torch.stack(each).transpose(2, 3))


@pytest.mark.parametrize("rows", [2, 7, 8])
def test_pooling_is_torchs(rows):
    x = torch.randn(MEMBERS, BATCH, rows, 3, requires_grad=True)
    expected = F.max_pool1d(x.flatten(0, 1).transpose(1, 2), 2).transpose(1, 2).unflatten(0, (MEMBERS, BATCH))
    compare(nn.Identity(), x, stack.MaxPool()(x), expected)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_convolutional_lstm_is_a_slow_loop_over_images(activation):
    net = shaken(lambda: stack.ConvLSTM(2, 4, 3, activation))
    curve = torch.relu if activation == "relu" else torch.tanh
    x = torch.randn(MEMBERS, BATCH, 3, 6, 2, requires_grad=True)
    members = []
    for m in range(MEMBERS):
        h = c = torch.zeros(BATCH, 4, 1, 4)
        states = []
        for step in range(3):
            image = x[m, :, step].transpose(1, 2).unsqueeze(2)  # (B, C, 1, places)
            gates = F.conv2d(image, net.weight_ih[m].unsqueeze(2), net.bias[m])
            gates = gates + F.conv2d(h, net.weight_hh[m].unsqueeze(2), padding=(0, 1))
            i, f, g, o = gates.chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * curve(g)
            h = o.sigmoid() * curve(c)
            states.append(h.squeeze(2).transpose(1, 2))
        members.append(torch.stack(states, 1))
    expected = torch.stack(members)  # (M, B, L, places - 2, F)
    compare(net, x, net(x), expected)
    compare(net, x, net.last(x), expected[:, :, -1])


def test_weights_begin_as_keras_would():
    lstm, conv_lstm = stack.RectifiedLSTM(5, 40), stack.ConvLSTM(1, 16)
    torch.testing.assert_close(lstm.weight_hh[0].T @ lstm.weight_hh[0], torch.eye(40), **EXACT)
    flat = conv_lstm.weight_hh[0].flatten(1)  # (4F, 3F)
    torch.testing.assert_close(flat.T @ flat, torch.eye(48), **EXACT)
    for layer, width in ((lstm, 40), (conv_lstm, 16)):
        assert layer.bias.view(4, width).tolist() == [[value] * width for value in (0, 1, 0, 0)]
    grouped = stack.Conv1d(5, 500, 3, groups=5)  # each group by itself: 1 channel in, 100 out
    for weight, bound in (
        (lstm.weight_ih, (6 / (5 + 160)) ** 0.5),
        (conv_lstm.weight_ih, (6 / (3 + 3 * 64)) ** 0.5),
        (grouped.weight, (6 / (3 + 3 * 100)) ** 0.5),
    ):
        assert 0.95 * bound < weight.abs().max() <= bound
    assert not grouped.bias.any()


def test_it_computes_in_the_weights_precision_under_autocast():
    net = stack.RectifiedLSTM(2, HIDDEN).float()
    x = torch.randn(1, BATCH, ROWS, 2, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(net(x), net(x.clone()))
        low = net(x.bfloat16())
        high = net(x)
    assert low.dtype == high.dtype == torch.float32
    torch.testing.assert_close(high, net(x), rtol=0, atol=0)


@pytest.mark.parametrize("make", [stack.RectifiedLSTM, lambda *given: stack.ConvLSTM(1, 2, 3, given[-1])])
def test_other_activations_are_refused(make):
    with pytest.raises(UnknownNameError, match=r"rleu.*relu"):
        make(1, 2, "rleu")


def test_shapes_that_cannot_be_are_refused():
    with pytest.raises(SchemaError, match="odd"):
        stack.ConvLSTM(1, 2, 4)
    with pytest.raises(SchemaError, match="5 groups"):
        stack.Conv1d(6, 10, 3, 5)
    with pytest.raises(SchemaError, match="2 rows"):
        stack.Conv1d(1, 4, 3)(torch.zeros(1, 5, 2, 1))
