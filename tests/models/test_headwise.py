"""Head-wise cells: their equations and kernels beside torch's LSTM, slow loops, laws and the package `flashrnn`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models import stack
from models.headwise import SLSTM, HeadwiseLSTM, headwise_lstm, slstm
from models.stack.flash import flash_sequence
from models.stack.slstm import slstm_sequence

BATCH, ROWS, INPUTS, HEADS, WIDTH = 5, 7, 4, 3, 2
GOLDEN = Path(__file__).parent / "golden" / "headwise.json"  # how it was made: golden/headwise.py
CELLS = ("headwise", "slstm", "exponential")


double = pytest.mark.usefixtures("double")


def cells() -> dict[str, nn.Module]:
    """Each cell with numbers of size 1 everywhere."""
    made = {
        "headwise": HeadwiseLSTM(INPUTS, HEADS * WIDTH, HEADS),
        "slstm": SLSTM(INPUTS, HEADS * WIDTH, HEADS),
        "exponential": SLSTM(INPUTS, HEADS * WIDTH, HEADS, forget="exponential"),
    }
    for net in made.values():
        for parameter in net.parameters():
            parameter.data.normal_()
    return made


def equations(net: nn.Module, x: Tensor) -> Tensor:
    weights = list(net.parameters())
    return headwise_lstm(x, weights)[0] if isinstance(net, HeadwiseLSTM) else slstm(x, weights, forget=net.forget)[0]


def gradients(net: nn.Module, x: Tensor, output: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(output.square().sum(), [x, *net.parameters()])


def close(ours: object, theirs: object) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def naive_slstm(net: SLSTM, x: Tensor) -> np.ndarray:
    """The paper's equations before they are stabilised, number by number; (B, L, heads * P)."""
    w, r, b = (parameter.detach().numpy() for parameter in net.parameters())
    out = np.empty((BATCH, ROWS, HEADS, WIDTH))
    for k in range(BATCH):
        for head in range(HEADS):
            h, c, n = np.zeros(WIDTH), np.zeros(WIDTH), np.zeros(WIDTH)
            for t in range(ROWS):
                g = w[head] @ x[k, t].numpy() + r[head] @ h + b[head]
                i, f, z, o = g[:WIDTH], g[WIDTH : 2 * WIDTH], g[2 * WIDTH : 3 * WIDTH], g[3 * WIDTH :]
                forget = np.exp(f) if net.forget == "exponential" else sigmoid(f)
                c, n = forget * c + np.exp(i) * np.tanh(z), forget * n + np.exp(i)
                out[k, t, head] = h = sigmoid(o) * c / n
    return out.reshape(BATCH, ROWS, HEADS * WIDTH)


@double
@pytest.mark.parametrize("name", ["slstm", "exponential"])
def test_slstm_is_the_papers_equations_before_they_are_stabilised(name: str) -> None:
    net, x = cells()[name], torch.randn(BATCH, ROWS, INPUTS)
    wanted = torch.from_numpy(naive_slstm(net, x))
    close(equations(net, x), wanted)
    close(net(x), wanted)


@double
@pytest.mark.parametrize("name", CELLS)
def test_the_kernels_are_the_equations_forward_and_backward(name: str) -> None:
    net, x = cells()[name], torch.randn(BATCH, ROWS, INPUTS, requires_grad=True)
    plain, fast = equations(net, x), net(x)
    close(fast, plain)
    close(gradients(net, x, fast), gradients(net, x, plain))


@double
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("exponential", [False, True])
def test_the_hand_written_backward_pass_of_the_slstm_is_the_derivative(last: bool, exponential: bool) -> None:
    given = [torch.randn(shape, requires_grad=True) for shape in ((2, 3, 4, 2), (2, 12, 2), (2, 12, 3), (2, 12))]
    assert torch.autograd.gradcheck(lambda x, *weights: slstm_sequence(x, weights, last, exponential), given)


@double
def test_one_head_is_torchs_lstm() -> None:
    theirs, x = nn.LSTM(INPUTS, 6, batch_first=True), torch.randn(BATCH, ROWS, INPUTS, requires_grad=True)
    ours, layer = HeadwiseLSTM(INPUTS, 6, heads=1), stack.HeadwiseLSTM(INPUTS, 6, heads=1)
    mapped = {
        "weight_ih": theirs.weight_ih_l0[None],
        "weight_hh": theirs.weight_hh_l0[None],
        "bias": (theirs.bias_ih_l0 + theirs.bias_hh_l0)[None],
    }
    ours.load_state_dict(mapped)
    layer.load_state_dict({f"{name}_l0": value[None] for name, value in mapped.items()})
    wanted, (hidden, cell) = theirs(x)
    plain, state = headwise_lstm(x, list(ours.parameters()))
    for output in (plain, ours(x), layer(x[None])[0]):
        close(output, wanted)
    close(state, (hidden[0, :, None], cell[0, :, None]))
    slope = torch.autograd.grad(wanted.square().sum(), x)[0]
    close(torch.autograd.grad(ours(x).square().sum(), x)[0], slope)


@double
def test_heads_are_a_block_diagonal_recurrent_matrix() -> None:
    """A dense LSTM with the blocks in its matrix, zeros elsewhere, gives the same."""
    net, x = cells()["headwise"], torch.randn(BATCH, ROWS, INPUTS, requires_grad=True)
    dense = nn.LSTM(INPUTS, HEADS * WIDTH, batch_first=True)
    w, r, b = (
        parameter.unflatten(1, (4, WIDTH)).transpose(0, 1) for parameter in net.parameters()
    )  # (4, heads, P, ...)
    dense.weight_ih_l0.data, dense.bias_ih_l0.data = w.flatten(0, 2).detach(), b.flatten().detach()
    dense.weight_hh_l0.data = torch.cat([torch.block_diag(*gate) for gate in r]).detach()
    dense.bias_hh_l0.data.zero_()
    wanted = dense(x)[0]
    close(net(x), wanted)
    close(torch.autograd.grad(net(x).square().sum(), x), torch.autograd.grad(wanted.square().sum(), x))


@double
@pytest.mark.parametrize("name", CELLS)
def test_a_heads_states_do_not_depend_on_the_other_heads(name: str) -> None:
    net, x = cells()[name], torch.randn(BATCH, ROWS, INPUTS)
    before = net(x)
    for parameter in net.parameters():
        parameter.data[0] += 1
    after = net(x)
    torch.testing.assert_close(after[..., WIDTH:], before[..., WIDTH:], rtol=0, atol=0)
    assert not torch.allclose(after[..., :WIDTH], before[..., :WIDTH])


@double
@pytest.mark.parametrize("name", ["slstm", "exponential"])
def test_a_constant_in_all_exponents_of_the_input_gate_changes_nothing(name: str) -> None:
    net, x = cells()[name], torch.randn(BATCH, ROWS, INPUTS)
    before = net(x)
    net.bias.data[:, :WIDTH] += 30
    close(net(x), before)
    close(equations(net, x), before)


@double
@pytest.mark.parametrize("function", [headwise_lstm, slstm])
def test_states_go_on_where_the_first_half_ended(function) -> None:
    x, weights = torch.randn(BATCH, ROWS, INPUTS), list(cells()["slstm"].parameters())
    whole, end = function(x, weights)
    first, state = function(x[:, :3], weights)
    second, again = function(x[:, 3:], weights, state)
    close(torch.cat([first, second], 1), whole)
    close(again, end)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("fast", [False, True])
def test_gates_of_80_stay_finite_forward_and_backward(name: str, fast: bool) -> None:
    """exp(80)^7 is infinite in float32, and exp(-80)^2 zero."""
    net = cells()[name]
    signs = torch.tensor([-80.0, 80.0])[torch.randint(2, (BATCH, ROWS, HEADS * WIDTH * 4))].requires_grad_()
    with torch.no_grad():  # the inputs are the gates' sums; the states add little
        net.weight_ih = nn.Parameter(torch.eye(HEADS * WIDTH * 4).unflatten(0, (HEADS, -1)))
    output = net(signs) if fast else equations(net, signs)
    assert output.isfinite().all()
    assert (output.abs() <= 1).all()
    assert all(gradient.isfinite().all() for gradient in gradients(net, signs, output))
    close_enough = equations(net.double(), signs.double()).float()
    torch.testing.assert_close(output, close_enough, rtol=1e-3, atol=1e-3)


def frozen() -> tuple[dict, list[Tensor]]:
    kept = json.loads(GOLDEN.read_text())
    given = [torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in kept["given"].values()]
    return kept, given


@pytest.mark.parametrize(("name", "function"), [("lstm", headwise_lstm), ("slstm", slstm)])
def test_states_and_gradients_are_those_that_flashrnn_gave(name: str, function) -> None:
    kept, given = frozen()
    hidden, _ = function(given[0], given[1:])
    close(hidden, torch.tensor(kept[name]["hidden"], dtype=torch.float64))
    slopes = torch.autograd.grad(hidden.square().sum(), given)
    close(slopes, tuple(torch.tensor(values, dtype=torch.float64) for values in kept[name]["gradients"]))


@double
@pytest.mark.parametrize(("name", "function"), [("lstm", headwise_lstm), ("slstm", slstm)])
def test_flashrnn_gives_the_same_where_it_is_installed(name: str, function) -> None:
    """Its plain backend, through the function that hands its CUDA kernels their numbers; gradients too."""
    pytest.importorskip("flashrnn", reason="the package flashrnn is not installed")
    net, x = cells()["slstm"], torch.randn(BATCH, ROWS, INPUTS, requires_grad=True)
    weights = list(net.parameters())
    theirs = flash_sequence(name, x.expand(HEADS, -1, -1, -1), weights, "vanilla").permute(1, 2, 0, 3).flatten(2)
    ours, _ = function(x, weights)
    close(ours, theirs)
    close(gradients(net, x, ours), gradients(net, x, theirs))
