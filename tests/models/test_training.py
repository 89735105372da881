"""The training routine: stopping, clipping, schedules, optimisers, errors, precision, checkpoints."""

import dataclasses
import importlib.util
import json
import math

import pytest
import torch
from torch import nn

from forecast.errors import CorruptModelError, SchemaError, UnknownNameError
from models import stack
from models.lightning import Training, train
from models.training import optimisers
from models.training.schedules import one_cycle, plateau, share
from models.training.stepper import Stepper


class Net(nn.Module):
    def __init__(self, dropout=0.1):
        super().__init__()
        self.lstm, self.dropout, self.out = stack.LSTM(3, 12, 2, dropout), stack.Dropout(dropout), stack.Linear(12, 2)

    def forward(self, x):
        return self.out(self.dropout(self.lstm.last(x)))


def squares(output, truth):
    known = ~torch.isnan(truth)
    errors = torch.where(known, output - torch.where(known, truth, 0.0), 0.0).square()
    return errors.flatten(1).sum(1) / known.flatten(1).sum(1).clamp(min=1)


def problem(members=1, rows=120, seed=0):
    torch.manual_seed(seed)
    x = torch.randn(members, rows, 4, 3)  # (M, B, L, D)
    y = 0.3 * x.sum(2)[..., :2] + 0.1 * torch.randn(members, rows, 2)  # (M, B, O)
    return stack.stacked([Net() for _ in range(members)]), x, y


def weights(net):
    return torch.cat([parameter.detach().flatten(1) for parameter in net.parameters()], 1).clone()  # (M, P)


def fitted(training, members=1, **given):
    net, x, y = problem(members)
    histories = train(net, squares, [x], y, training, **({"seeds": range(members)} | given))
    return net, histories


def test_training_learns_and_repeats_to_the_bit():
    net, (history,) = fitted(Training(epochs=20, batch=16))
    again, _ = fitted(Training(epochs=20, batch=16))
    other, _ = fitted(Training(epochs=20, batch=16), seeds=[7])
    assert history.losses[-1] < 0.6 * history.losses[0]
    assert history.steps == 20 * round(120 / 16)
    assert torch.equal(weights(net), weights(again))
    assert not torch.equal(weights(net), weights(other))
    assert not net.training


def test_global_chance_and_threads_are_left_as_they_were():
    net, x, y = problem()
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train(net, squares, [x], y, Training(epochs=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("split", ["holdout", "paper"])
def test_rows_held_out_are_never_trained_on(split):
    training = Training(epochs=3, split=split, patience=99)
    net, x, y = problem(rows=300)
    kept = training.trained(300)
    other = y.clone()
    other[:, kept:] += 100  # steers which epoch is kept, not what is learnt
    results = []
    for truth in (y, other):
        one = stack.take(net, [0])
        train(one, squares, [x], truth, dataclasses.replace(training, epochs=1))
        results.append(weights(one))
    assert kept == {"holdout": 270, "paper": 150}[split]
    assert torch.equal(*results)


def test_early_stopping_returns_a_copy_of_the_best_weights_not_the_last():
    net, x, y = problem()
    training = Training(epochs=60, batch=16, rate=0.05, schedule="constant", split="holdout", patience=4)
    (history,) = train(net, squares, [x], y, training)
    assert history.kept == min(range(len(history.losses)), key=history.losses.__getitem__)
    assert len(history.losses) == history.kept + 1 + 4 < 60
    held = slice(training.trained(120), None)
    value = squares(net(x[:, held]), y[:, held]).detach()
    assert float(value) == pytest.approx(min(history.losses), rel=1e-5)
    assert float(value) != pytest.approx(history.losses[-1], rel=1e-5)


def test_rows_held_out_without_any_truth_stop_nothing():
    """A station silent for the newest weeks: no loss there is 0, and 0 is no reason to keep the first epoch."""
    training = Training(epochs=12, batch=16, split="holdout", patience=2)
    net, x, y = problem(2)
    y[0, training.trained(120) :] = math.nan
    histories = train(net, squares, [x], y, training, seeds=[0, 1])
    assert len(histories[0].losses) == 12
    assert histories[0].kept == 11
    assert histories[0].losses[-1] < 0.7 * histories[0].losses[0]
    assert min(histories[1].losses) > 0


def test_a_warm_start_goes_on_from_the_weights_for_fewer_epochs():
    net, x, y = problem()
    train(net, squares, [x], y, Training(epochs=20, batch=16))
    (history,) = train(net, squares, [x], y, Training(batch=16, warm_epochs=2, rate=1e-3), warm=True)
    cold, _, _ = problem()
    (fresh,) = train(cold, squares, [x], y, Training(batch=16, epochs=2, rate=1e-3))
    assert len(history.losses) == 2
    assert history.losses[0] < 0.5 * fresh.losses[0]


def test_each_members_gradient_is_clipped_by_its_own_norm():
    net = stack.stacked([stack.Linear(4, 2) for _ in range(2)])
    before = weights(net)
    stepper = Stepper(net, Training(optimiser="adam", clip=2.0))
    stepper.optimiser = torch.optim.SGD(stepper.parameters, lr=1.0)
    gradients = [
        torch.randn_like(parameter) * torch.tensor([9.0, 0.01]).view(2, *[1] * (parameter.ndim - 1))
        for parameter in net.parameters()
    ]
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        parameter.grad = gradient.clone()
    norms = stepper.step([1.0, 1.0])
    moved = (before - weights(net)).norm(dim=1)
    assert norms[0] > 2 > norms[1]
    assert moved[0] == pytest.approx(2.0, rel=1e-5)
    assert moved[1] == pytest.approx(float(norms[1]), rel=1e-5)


def test_the_fused_kernel_clips_as_torch_does():
    torch.manual_seed(0)
    net = stack.Linear(4, 2)
    plain = stack.take(net, [0])
    stepper = Stepper(net, Training(optimiser="adamw", clip=0.5, rate=0.1))
    reference = torch.optim.AdamW(plain.parameters(), lr=0.1, weight_decay=0.1)
    for scale in (3.0, 0.01, 5.0):
        for ours, theirs in zip(net.parameters(), plain.parameters(), strict=True):
            ours.grad = scale * torch.randn_like(ours)
            theirs.grad = ours.grad.clone()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        reference.step()
        stepper.step([0.1])
    torch.testing.assert_close(weights(net), weights(plain), rtol=1e-5, atol=1e-6)


STACKING = [
    name for name, kind in optimisers.OPTIMISERS.items()
    if kind.stacks and (name in ("adamw", "adam") or importlib.util.find_spec("pytorch_optimizer"))
]  # fmt: skip


@pytest.mark.parametrize("name", STACKING)
def test_members_take_steps_in_proportion_to_their_rates(name):
    """A stack whose members have rates of their own moves each as an optimiser of its own would."""
    torch.manual_seed(0)
    net, rates = stack.stacked([stack.Linear(3, 2) for _ in range(2)]), (1e-2, 2e-3)
    alone = stack.members(net)
    training = Training(optimiser=name)
    together, steppers = Stepper(net, training), [Stepper(one, training) for one in alone]
    for _ in range(5):
        gradients = [torch.randn_like(parameter) for parameter in net.parameters()]
        for parameter, gradient in zip(net.parameters(), gradients, strict=True):
            parameter.grad = gradient.clone()
        for m, one in enumerate(alone):
            for parameter, gradient in zip(one.parameters(), gradients, strict=True):
                parameter.grad = gradient[m : m + 1].clone()
            steppers[m].step([rates[m]])
        together.step(rates)
    torch.testing.assert_close(weights(net), torch.cat([weights(one) for one in alone]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", STACKING)
@pytest.mark.parametrize("schedule", ["plateau", "one_cycle"])
def test_every_optimiser_learns_at_its_own_rate(name, schedule):
    _, (history,) = fitted(Training(epochs=30, batch=16, optimiser=name, schedule=schedule))
    assert history.losses[-1] < 0.7 * history.losses[0]


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pytorch_optimizer", None)
    with pytest.raises(SchemaError, match=r"nowcastle\[optimisers\]"):
        fitted(Training(optimiser="lion"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_eight_bit_optimiser_says_that_it_needs_a_gpu():
    with pytest.raises(SchemaError, match="GPU only"):
        fitted(Training(optimiser="adam8bit"))


def test_schedules_are_torchs():
    parameter = nn.Parameter(torch.zeros(1))
    for name, steps in (("one_cycle", 1000), ("cosine", 1000)):
        optimiser = torch.optim.SGD([parameter], lr=1.0)
        theirs = (
            torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=steps)
            if name == "one_cycle"
            else torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps - 1)
        )
        for step in range(steps - 1):
            assert share(name, step, steps) == pytest.approx(optimiser.param_groups[0]["lr"], abs=6e-3)
            optimiser.step()
            theirs.step()
    assert one_cycle(0.3) == 1.0


@pytest.mark.parametrize(("factor", "threshold"), [(0.5, 1e-4), (0.95, 0.1)])
def test_plateau_is_torchs(factor, threshold):
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=factor, patience=3, threshold=threshold)
    losses = [2.0, 1.0, 1.1, 1.0, 1.2, 0.99999, 1.1, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.8, 0.9, 0.4]
    for count, loss in enumerate(losses, 1):
        theirs.step(loss)
        assert plateau(losses[:count], 3, factor, threshold) == optimiser.param_groups[0]["lr"]


@pytest.mark.parametrize("members", [1, 3])
def test_a_loss_that_is_not_finite_names_epoch_batch_and_member_and_leaves_the_net_alone(members):
    net, x, y = problem(members)
    x[members - 1, 77] = math.nan
    before = weights(net)
    with pytest.raises(SchemaError, match=r"epoch 1, batch \d of 8") as caught:
        train(net, squares, [x], y, Training(epochs=2, batch=16), seeds=range(members))
    order = torch.randperm(120, generator=torch.Generator().manual_seed(members - 1))
    batch = [77 in part for part in order.tensor_split(8)].index(True) + 1
    assert f"batch {batch} of 8" in str(caught.value)
    assert ("member 3 of 3" in str(caught.value)) == (members == 3)
    assert torch.equal(weights(net), before)


def test_mixed_precision_trains_to_nearly_the_same_weights():
    exact, (fine,) = fitted(Training(epochs=5, batch=16), members=1)
    mixed, (coarse,) = fitted(Training(epochs=5, batch=16, precision="bf16-mixed"), members=1)
    assert coarse.losses[-1] == pytest.approx(fine.losses[-1], rel=0.05)
    assert not torch.equal(weights(exact), weights(mixed))
    assert weights(mixed).dtype == torch.float32
    _, stacked = fitted(Training(epochs=5, batch=16, precision="bf16-mixed"), members=2)
    assert stacked[0].losses[-1] == pytest.approx(fine.losses[-1], rel=0.5)


class Killed(Exception):
    pass


def killed_after(calls):
    """The loss, and a stop at some call of it, as a kill between two steps."""
    count = iter(range(10_000))

    def loss(output, truth):
        if next(count) == calls:
            raise Killed
        return squares(output, truth)

    return loss


@pytest.mark.parametrize("together", [None, 1])
@pytest.mark.parametrize("optimiser", STACKING)
def test_a_killed_training_taken_up_again_ends_with_the_same_weights(tmp_path, optimiser, together):
    training = Training(
        epochs=6, batch=16, optimiser=optimiser, split="holdout", schedule="plateau", plateau=1, patience=2,
        checkpoint_steps=5, together=together,
    )  # fmt: skip
    rows = [120, 50, 90]
    straight, histories = fitted(training, members=3, rows=rows)
    for calls in (13, 11, 9):
        net, x, y = problem(3)
        with pytest.raises(Killed):
            train(net, killed_after(calls), [x], y, training, seeds=range(3), rows=rows, checkpoint=tmp_path)
        assert (tmp_path / "training.json").exists()
    net, x, y = problem(3)
    again = train(net, squares, [x], y, training, seeds=range(3), rows=rows, checkpoint=tmp_path)
    assert torch.equal(weights(net), weights(straight))
    assert again == histories
    assert not list(tmp_path.iterdir())  # a finished training leaves nothing to take up


def test_a_resumed_training_does_not_start_over(tmp_path):
    training = Training(epochs=4, batch=16, checkpoint_steps=5)
    net, x, y = problem()
    with pytest.raises(Killed):
        train(net, killed_after(29), [x], y, training, checkpoint=tmp_path)
    assert json.loads((tmp_path / "training.json").read_text())["loop"]["step"] == 25
    with pytest.raises(Killed):  # 32 steps in all, 7 of them left
        train(net, killed_after(6), [x], y, training, checkpoint=tmp_path)
    train(net, killed_after(7), [x], y, training, checkpoint=tmp_path)


def test_a_checkpoint_of_another_training_or_a_broken_one_is_refused(tmp_path):
    training = Training(epochs=4, batch=16, checkpoint_steps=5)
    net, x, y = problem()
    with pytest.raises(Killed):
        train(net, killed_after(12), [x], y, training, checkpoint=tmp_path)
    with pytest.raises(SchemaError, match="with other epochs"):
        train(net, squares, [x], y, dataclasses.replace(training, epochs=5), checkpoint=tmp_path)
    with pytest.raises(SchemaError, match="with other data"):
        train(net, squares, [x], y + 1, training, checkpoint=tmp_path)
    told = json.loads((tmp_path / "training.json").read_text())
    for other in ([], None, {}, {"tensors": told["tensors"]}, {**told, "histories": [3]}):
        (tmp_path / "training.json").write_text(json.dumps(other))
        with pytest.raises(CorruptModelError, match="Delete it"):
            train(net, squares, [x], y, training, checkpoint=tmp_path)
    (tmp_path / "training.json").write_text(json.dumps(told))
    next(tmp_path.glob("*.safetensors")).write_bytes(b"broken")
    with pytest.raises(CorruptModelError, match="Delete it"):
        train(net, squares, [x], y, training, checkpoint=tmp_path)


def test_the_bar_is_shown_on_request_only(capsys):
    fitted(Training(epochs=2, batch=16))
    assert capsys.readouterr() == ("", "")
    fitted(Training(epochs=2, batch=16, progress=True))
    out, told = capsys.readouterr()
    assert out == ""
    assert "training" in told


def test_settings_and_shapes_are_checked():
    for name, value in (("optimiser", "adm"), ("schedule", "onecycle"), ("split", "hold"), ("precision", "16")):
        with pytest.raises(UnknownNameError, match=value):
            Training(**{name: value})
    for name, value in (("rate", 0), ("weight_decay", -0.1), ("epochs", 0)):
        with pytest.raises(SchemaError, match=f"{name} is {value}"):
            Training(**{name: value})
    with pytest.raises(SchemaError, match="'tpus' cannot be used"):
        fitted(Training(accelerator="tpus"))
    net, x, y = problem(2)
    with pytest.raises(SchemaError, match="2 members and 1 seeds"):
        train(net, squares, [x], y, Training())
    with pytest.raises(SchemaError, match="2 members, rows"):
        train(net, squares, [x[:1]], y, Training(), seeds=[0, 1])
