"""The ten stock networks: parameter totals, plain torch versions as second witness, members that train as if alone."""

import math

import pytest
import torch
from plain_stock import fill, plain

from forecast.errors import SchemaError, UnknownNameError
from models import stack
from models.lightning import Training, alone, train
from models.stock.networks import NETWORKS, build, columns_of, rows_of

TOTALS = {
    "cnn_univ_5": 289, "cnn_univ_10": 769, "cnn_multv_10": 7_373, "cnn_multh_10": 132_965,
    "lstm_univ_5": 182_235, "lstm_univ_10": 182_235, "lstm_univ_ed_10": 502_601, "lstm_multv_ed_10": 505_801,
    "lstm_univ_cnn_10": 347_209, "lstm_univ_conv_10": 384_777,
}  # fmt: skip
RECURRENT = [name for name in NETWORKS if name.startswith("lstm")]
WEEKS = Training(epochs=2, batch=8, optimiser="keras_adam", schedule="constant", clip=math.inf)


def built(name, members=3, **sizes):
    """Members whose biases are away from zero too."""
    with alone(1, 1):
        net = stack.stacked([build(name, **sizes) for _ in range(members)])
        for parameter in net.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
    return net


def windows(name, rows=12, members=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(members, rows, rows_of(name), columns_of(name), generator=generator)  # (M, B, L, D)


def squares(output, truth):
    return (output - truth).square().mean((1, 2))  # (M,)


def test_there_are_ten_with_the_parameters_of_the_table():
    counted = {name: sum(p.numel() for p in build(name).parameters()) for name in NETWORKS}
    assert counted == TOTALS


def test_one_week_or_two_one_column_or_five_and_so_many_epochs():
    assert {name: rows_of(name) for name in NETWORKS} == {name: int(name.rsplit("_", 1)[1]) for name in NETWORKS}
    assert {name for name in NETWORKS if columns_of(name) == 5} == {name for name in NETWORKS if "_mult" in name}
    long = {"cnn_univ_10", "cnn_multv_10", "cnn_multh_10", "lstm_univ_ed_10"}
    assert {name for name, network in NETWORKS.items() if network.epochs == 70} == long
    assert {network.epochs for name, network in NETWORKS.items() if name not in long} == {20}
    assert {name: network.batch for name, network in NETWORKS.items() if network.batch != 16} == {"cnn_univ_5": 4}


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("name", NETWORKS)
def test_each_member_is_the_network_in_plain_torch(name, activation):
    net = built(name, units=7, activation=activation).double()
    x = windows(name, members=3).double()
    outputs = net(x)  # (M, B, days)
    gradients = torch.autograd.grad(outputs.square().sum(), list(net.parameters()))
    for m in range(3):
        one = fill(plain(name, 7, activation).double(), net, m)
        output = one(x[m])
        torch.testing.assert_close(outputs[m], output, rtol=1e-9, atol=1e-11)
        output.square().sum().backward()
        whole = sum(float(p.grad.square().sum()) for p in one.parameters())
        assert sum(float(g[m].square().sum()) for g in gradients) == pytest.approx(whole, rel=1e-9)
        first, last = next(one.parameters()), list(one.parameters())[-1]
        torch.testing.assert_close(
            gradients[0][m].flatten()[: first.numel()], first.grad.flatten(), rtol=1e-8, atol=1e-10
        )
        torch.testing.assert_close(gradients[-1][m], last.grad, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", NETWORKS)
def test_members_end_as_if_trained_alone(name):
    net, x = built(name, units=6), windows(name, 40, 3)
    truth = x[..., :1].mean(2) + torch.linspace(0, 0.5, 5)  # (M, B, days)
    nets = stack.members(net)
    histories = train(net, squares, [x], truth, WEEKS, seeds=[0, 1, 2])
    for m, one in enumerate(nets):
        (history,) = train(one, squares, [x[m : m + 1]], truth[m : m + 1], WEEKS, seeds=[m])
        assert histories[m].losses == pytest.approx(history.losses, rel=1e-4)
        for (path, theirs), own in zip(net.named_parameters(), one.named_parameters(), strict=True):
            torch.testing.assert_close(theirs[m : m + 1], own[1], rtol=0, atol=1e-5, msg=path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_learns_a_rule_that_is_there_to_learn(name):
    with alone(0, 1):
        net = build(name, units=16)
    x = windows(name, 200)
    truth = x[..., -2, :1] * torch.linspace(1.0, 0.2, 5)  # (M, B, days): the row before the newest, fading
    before = float(squares(truth.mean(1, keepdim=True), truth))
    train(net, squares, [x], truth, Training(epochs=30, batch=16, optimiser="adam", rate=5e-3, schedule="constant"))
    assert squares(net(x), truth).item() < 0.5 * before


@pytest.mark.parametrize("name", NETWORKS)
def test_of_a_longer_window_the_newest_rows_count(name):
    net, x = built(name, 1, units=5), windows(name)
    longer = torch.cat([torch.full_like(x, 9.0), x], 2)
    assert torch.equal(net(longer), net(x))
    changed = x.clone()
    changed[:, :, 0] += 1
    assert not torch.allclose(net(changed), net(x)), "the oldest of its rows counts too"


@pytest.mark.parametrize("name", NETWORKS)
def test_all_but_the_one_week_cnn_see_the_newest_row(name):
    """Five rows leave three to the pooling, and it leaves out the third: 289 parameters say so."""
    net, x = built(name, 1, units=5), windows(name)
    changed = x.clone()
    changed[:, :, -1] += 1
    assert torch.equal(net(changed), net(x)) == (name == "cnn_univ_5")


def test_other_sizes():
    net = build("cnn_multh_10", days=3, columns=2)
    assert net(torch.rand(1, 4, 10, 2)).shape == (1, 4, 3)
    assert build("lstm_univ_ed_10", units=4, days=7)(torch.rand(1, 4, 10, 1)).shape == (1, 4, 7)
    assert all(p.shape[0] == 1 for name in NETWORKS for p in build(name, units=3).parameters())


@pytest.mark.parametrize("name", RECURRENT)
def test_the_activation_is_used(name):
    outputs = []
    for activation in ("relu", "tanh"):
        with alone(0, 1):
            outputs.append(build(name, units=5, activation=activation)(windows(name)))
    assert not torch.allclose(*outputs)


def test_chance_is_torchs_generator():
    def weights(seed):
        with alone(seed, 1):
            return torch.cat([parameter.flatten() for parameter in build("lstm_univ_conv_10", units=4).parameters()])

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_what_cannot_be_is_refused():
    with pytest.raises(UnknownNameError, match=r"lstm_univ_11.*lstm_univ_10"):
        build("lstm_univ_11")
    with pytest.raises(UnknownNameError, match="activation"):
        build("lstm_univ_5", activation="gelu")
    with pytest.raises(SchemaError, match="1 or more"):
        build("lstm_univ_5", units=0)
    with pytest.raises(SchemaError, match="one column"):
        build("cnn_univ_5", columns=5)
    with pytest.raises(SchemaError, match="newest 10 rows of 1 columns"):
        build("cnn_univ_10")(torch.zeros(1, 2, 9, 1))
    with pytest.raises(SchemaError, match="newest 10 rows of 5 columns"):
        build("cnn_multv_10")(torch.zeros(1, 2, 10, 1))
