"""Training a stack is training each of its members: the same weights to 1e-4, whatever differs between them."""

import pytest
import torch
from torch import nn

from models import stack
from models.lightning import Training, train
from models.training.batches import Batches, Rows

ROWS = (110, 47, 90, 20, 110)


class Net(nn.Module):
    """Every layer there is."""

    def __init__(self):
        super().__init__()
        self.lstm, self.attention, self.norm = stack.LSTM(5, 8, 2, 0.2), stack.Attention(8, 2), stack.LayerNorm(8)
        self.dropout, self.out = stack.Dropout(0.3), stack.Linear(8, 2)

    def forward(self, x):
        states = self.lstm(x)
        return self.out(self.dropout(self.norm(states + self.attention(states))[:, :, -1]))


def squares(output, truth):
    known = ~torch.isnan(truth)
    errors = torch.where(known, output - torch.where(known, truth, 0.0), 0.0).square()
    return errors.flatten(1).sum(1) / known.flatten(1).sum(1).clamp(min=1)


def differing(members=5):
    """Data and networks of the members; padding is NaN, so that a use of it would show."""
    torch.manual_seed(0)
    x = torch.randn(members, max(ROWS), 6, 5)
    y = 0.3 * x.sum(2)[..., :2] + 0.1 * torch.randn(members, max(ROWS), 2)
    y[torch.rand_like(y) < 0.1] = torch.nan
    for m, rows in enumerate(ROWS[:members]):
        x[m, rows:], y[m, rows:] = torch.nan, torch.nan
    return [Net() for _ in range(members)], x, y


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 5},
        {"epochs": 12, "split": "holdout", "schedule": "plateau", "plateau": 1, "patience": 3, "rate": 2e-2},
        {"epochs": 6, "split": "paper", "schedule": "cosine", "optimiser": "adam"},
        {"epochs": 5, "clip": 0.05, "together": 2},
    ],
    ids=["refit_all", "holdout", "paper", "clip"],
)
def test_ragged_members_end_as_if_trained_alone(settings):
    nets, x, y = differing()
    training = Training(batch=32, **settings)
    net = stack.stacked(nets)
    histories = train(net, squares, [x], y, training, seeds=range(5), rows=ROWS)
    for m, (one, rows) in enumerate(zip(nets, ROWS, strict=True)):
        (history,) = train(one, squares, [x[m : m + 1, :rows]], y[m : m + 1, :rows], training, seeds=[m])
        assert (histories[m].steps, histories[m].kept) == (history.steps, history.kept)
        assert histories[m].losses == pytest.approx(history.losses, rel=1e-4)
        for (name, theirs), own in zip(net.named_parameters(), one.parameters(), strict=True):
            torch.testing.assert_close(theirs[m : m + 1], own, rtol=0, atol=1e-4, msg=f"member {m}, {name}")
    if "split" in settings:
        assert len({len(history.losses) for history in histories}) > 1 or settings["split"] == "paper"


def test_data_shared_by_the_members_need_not_be_copied():
    nets, x, y = differing(2)
    x, y = x[:1].expand(2, -1, -1, -1), y[:1].expand(2, -1, -1)
    net, copied = stack.stacked(nets), stack.stacked(nets)
    training = Training(epochs=2, batch=32)
    train(net, squares, [x], y, training, seeds=[0, 1])
    train(copied, squares, [x.clone()], y.clone(), training, seeds=[0, 1])
    for one, other in zip(net.parameters(), copied.parameters(), strict=True):
        assert torch.equal(one, other)


def test_data_shared_by_the_members_lie_on_a_device_once():
    shared, own = torch.zeros(1, 30, 2).expand(6, -1, -1), torch.zeros(6, 30, 2)
    assert [len(flat) for flat in Rows([shared, own], torch.device("meta")).flat] == [30, 180]


def test_members_with_other_seeds_see_other_batches_and_every_row_once_an_epoch():
    rows, seeds = (50, 21, 64), (3, 4, 5)
    batches = Batches(rows, 16, [torch.Generator().manual_seed(seed) for seed in seeds])
    seen = [[], [], []]
    for step in range(12):
        index, counts = batches.at(step)
        for m in range(3):
            seen[m].extend(index[m, : counts[m]].tolist())
        for m in batches.ends(step):
            assert sorted(seen[m]) == list(range(rows[m]))
            first = torch.randperm(rows[m], generator=torch.Generator().manual_seed(seeds[m])).tolist()
            assert (seen[m] == first) == (step == batches.per_epoch[m] - 1)
            seen[m].clear()
