"""Head-wise cells in stacks and as the recurrent part of the LSTM nowcaster."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import FAST, HOUR, LEAVE_OUT, LSTM, TASK, noisy, numbers, panel_of
from torch import Tensor, nn

from forecast.checks import check_forecaster
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.panel import moment
from forecast.saving import MANIFEST, _digest
from forecast.schema import Task, Variable
from forecast.together import Fit, fit_together
from models import stack
from models.headwise import SLSTM, HeadwiseLSTM, headwise_lstm, slstm
from models.lightning import train
from models.lstm import Cell, Last
from models.nets.framing import Framing
from models.nets.heads import Shape
from models.stack.flash import chosen
from models.training.settings import Training

BATCH, ROWS, INPUTS = 5, 7, 4
CELLS = {
    "headwise": Cell("headwise", heads=2),
    "slstm": Cell("slstm", heads=2),
    "exponential": Cell("slstm", heads=4, forget="exponential"),
}


double = pytest.mark.usefixtures("double")


def gradients(net: nn.Module, x: Tensor, output: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(output.square().sum(), [x, *net.parameters()])


def close(ours: object, theirs: object) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


LAYERS = {
    "headwise": lambda: stack.HeadwiseLSTM(INPUTS, 6, heads=3, layers=2),
    "slstm": lambda: stack.SLSTM(INPUTS, 6, heads=3, layers=2),
    "exponential": lambda: stack.SLSTM(INPUTS, 6, heads=2, forget="exponential"),
}


@double
@pytest.mark.parametrize("name", LAYERS)
def test_a_stack_computes_what_its_members_compute_alone_forward_and_backward(name: str) -> None:
    nets = [LAYERS[name]() for _ in range(3)]
    net, x = stack.stacked(nets), torch.randn(3, BATCH, ROWS, INPUTS, requires_grad=True)
    together = gradients(net, x, net(x))
    close(net.last(x), net(x)[:, :, -1])
    for m, one in enumerate(nets):
        own = x[m : m + 1].detach().requires_grad_()
        close(net(x)[m : m + 1], one(own))
        for of_all, alone in zip(together, gradients(one, own, one(own)), strict=True):
            close(of_all[m : m + 1], alone)


@double
@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_a_stack_are_the_cells_one_above_the_other(name: str) -> None:
    net, x = LAYERS[name](), torch.randn(1, BATCH, ROWS, INPUTS)
    at = x[0]
    for layer in range(net.layers):
        weights = [net.get_parameter(f"{part}_l{layer}")[0] for part in ("weight_ih", "weight_hh", "bias")]
        at = headwise_lstm(at, weights)[0] if name == "headwise" else slstm(at, weights, forget=net.forget)[0]
    close(net(x)[0], at)


@double
@pytest.mark.parametrize("name", LAYERS)
def test_states_do_not_see_later_rows(name: str) -> None:
    net, x = stack.stacked([LAYERS[name](), LAYERS[name]()]), torch.randn(2, BATCH, ROWS, INPUTS)
    other = x.clone()
    other[:, :, 2:] = 9
    torch.testing.assert_close(net(x)[:, :, :2], net(other)[:, :, :2], rtol=0, atol=0)
    assert not torch.allclose(net(x)[:, :, 2:], net(other)[:, :, 2:])


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.below, self.above = stack.HeadwiseLSTM(5, 8, 2, 2, 0.2), stack.SLSTM(8, 8, 4)
        self.out = stack.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.above.last(self.below(x)))


@double
def test_ragged_members_end_as_if_trained_alone() -> None:
    rows, nets, x = (90, 41, 60), [Both() for _ in range(3)], torch.randn(3, 90, 6, 5)
    y = x.sum(2)[..., :1]
    for m, count in enumerate(rows):
        x[m, count:], y[m, count:] = math.nan, math.nan
    net, training = stack.stacked(nets), Training(epochs=4, batch=32)
    train(net, squares, [x], y, training, seeds=range(3), rows=rows)
    for m, (one, count) in enumerate(zip(nets, rows, strict=True)):
        train(one, squares, [x[m : m + 1, :count]], y[m : m + 1, :count], training, seeds=[m])
        for name, value in one.state_dict().items():
            torch.testing.assert_close(net.state_dict()[name][m : m + 1], value, rtol=0, atol=1e-9)


def squares(output: Tensor, truth: Tensor) -> Tensor:
    known = ~torch.isnan(truth)
    errors = torch.where(known, output - torch.where(known, truth, 0.0), 0.0).square()
    return errors.flatten(1).sum(1) / known.flatten(1).sum(1)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: HeadwiseLSTM(3, 8, 3), SchemaError, "8 cannot be divided into 3 heads"),
        (lambda: stack.SLSTM(3, 8, 0), SchemaError, "heads is 0"),
        (lambda: LSTM(hidden=10, cell=Cell("slstm", heads=4)), SchemaError, "10 cannot be divided into 4 heads"),
        (lambda: Cell("lstm", heads=2), SchemaError, "kind lstm has 1 head"),
        (lambda: HeadwiseLSTM(3, 0), SchemaError, "hidden width is 0"),
        (lambda: HeadwiseLSTM(3, 8, 2.0), SchemaError, "heads is 2.0"),
        (lambda: stack.HeadwiseLSTM(3, 8, 2, layers=0), SchemaError, "layers is 0"),
        (lambda: SLSTM(3, 8)(torch.zeros(1, 2, 4)), SchemaError, r"must be \(1, batch, rows, 3\)"),
        (lambda: SLSTM(3, 8)(torch.zeros(2, 3)), SchemaError, "must be"),
        (lambda: Cell("headwise", forget="exponential"), SchemaError, "only the kind slstm has that choice"),
        (lambda: Cell(backend="flashrnn"), SchemaError, "kind lstm is computed by torch"),
        (lambda: Cell("slstm", heads=2.5), SchemaError, "heads is 2.5"),
        (lambda: LSTM(cell="slstm"), SchemaError, r"give Cell\(kind, ...\)"),
        (lambda: Cell("headwize"), UnknownNameError, "did you mean 'headwise'"),
        (lambda: SLSTM(3, 8, forget="tanh"), UnknownNameError, "forget gate 'tanh'"),
        (lambda: Cell("slstm", backend="cuda"), UnknownNameError, "backend 'cuda'"),
        (lambda: Cell("slstm", forget="exponential", backend="flashrnn"), SchemaError, "no exponential"),
        (lambda: HeadwiseLSTM(3, 8, backend="flashrnn")(torch.zeros(1, 2, 3)), SchemaError, "needs the package"),
    ],
)
def test_what_is_not_there_is_refused_in_words(make, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@dataclass(frozen=True)
class OnGpu:
    """As much of a tensor on a GPU as the choice of a backend looks at."""

    dtype: torch.dtype
    is_cuda: bool = True
    device: str = "cuda:0"


def test_the_package_is_chosen_on_a_gpu_and_never_for_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    single, double_ = OnGpu(torch.float32), OnGpu(torch.float64)
    assert chosen("auto", single)
    assert chosen("flashrnn", single)
    assert not chosen("torch", single)
    assert not chosen("auto", double_)
    assert not chosen("auto", torch.zeros(1))
    for given, words in ((double_, "float64 on 'cuda:0'"), (torch.zeros(1), "float32 on 'cpu'")):
        with pytest.raises(SchemaError, match=words):
            chosen("flashrnn", given)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not chosen("auto", single)
    with pytest.raises(SchemaError, match="not installed"):
        chosen("flashrnn", single)


def test_an_lstm_saved_before_it_had_a_choice_of_cells_loads(tmp_path: Path) -> None:
    panel = panel_of(noisy(seed=0, rows=80))
    model = LSTM(hidden=4, training=FAST).fit(panel, TASK)
    model.save(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    del manifest["model"]["cell"]  # what such a folder does not have
    manifest["digest"] = _digest(manifest)
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    again = Forecaster.load(tmp_path)
    assert again.cell == Cell()
    np.testing.assert_array_equal(again.predict(panel).quantiles, model.predict(panel).quantiles)


@pytest.mark.parametrize("name", CELLS)
def test_an_lstm_comes_back_with_its_cell(tmp_path: Path, name: str) -> None:
    panel = panel_of(noisy(seed=0, rows=80))
    model = LSTM(hidden=4, training=FAST, cell=CELLS[name]).fit(panel, TASK)
    model.save(tmp_path)
    again = Forecaster.load(tmp_path)
    assert again.cell == CELLS[name]
    np.testing.assert_array_equal(again.predict(panel).quantiles, model.predict(panel).quantiles)


def test_the_plain_lstm_of_the_nowcaster_keeps_its_parameters() -> None:
    body = Last(Shape(rows=6, columns=3, extras=2, outputs=4, levels=(0.5,)), 8, 1, 0.1)
    assert isinstance(body.lstm, stack.LSTM)
    names = [name for name, _ in nn.LSTM(8, 8).named_parameters()]
    assert [name for name, _ in body.lstm.named_parameters()] == names


def test_heads_save_parameters_of_the_recurrent_matrix() -> None:
    def count(cell: Cell) -> int:
        return sum(p.numel() for p in cell.layers(10, 32, 1, 0.0).parameters())

    assert count(Cell()) == 4 * 32 * (10 + 32 + 2)
    assert count(Cell("headwise", 4)) == count(Cell("slstm", 4)) == 4 * 32 * (10 + 32 // 4 + 1)


@pytest.mark.parametrize("name", CELLS)
def test_nowcasters_fitted_together_are_as_if_alone(name: str) -> None:
    def model(seed: int) -> LSTM:
        return LSTM(hidden=8, cell=CELLS[name], training=Training(epochs=2, batch=64), seed=seed)

    panels = [panel_of(noisy(seed=seed, rows=150)) for seed in range(3)]
    fits = [Fit(model(seed), panel, TASK) for seed, panel in enumerate(panels)]
    assert len({fit.model._alike(fit.panel, TASK) for fit in fits}) == 1  # one pass
    assert fit_together(fits) == [None] * 3
    for seed, (fit, panel) in enumerate(zip(fits, panels, strict=True)):
        alone = model(seed).fit(panel, TASK).predict(panel).quantiles
        np.testing.assert_allclose(fit.model.predict(panel).quantiles, alone, atol=1e-4)


@pytest.mark.parametrize("name", CELLS)
def test_learns_what_the_linear_path_cannot(name: str) -> None:
    """The next sign is the product of the newest two: linear regression finds nothing there."""
    sign = np.random.default_rng(0).choice([-1.0, 1.0], size=(1, 1200, 2))
    sign[0, 1:, 0] = sign[0, 0, 0] * np.cumprod(sign[0, :-1, 1])
    task = Task([Variable("a")], past=[Variable("b")], step=HOUR, horizon=1, context=2)
    model = LSTM(hidden=16, dropout=0.0, cell=CELLS[name], training=Training(epochs=10, batch=64, rate=2e-2))
    panel = panel_of(sign)
    model.fit(panel, task)
    forecasts = model.predict_at(panel, map(moment, panel.times[5:1000]))
    points = np.array([f.point[0, 0, 0] for f in forecasts])
    assert (np.sign(points) == sign[0, 6:1001, 0]).mean() > 0.9


@pytest.mark.parametrize("framing", [Framing(scope="local"), Framing(scope="global")], ids=lambda f: f.scope)
def test_keeps_the_contract_in_other_scopes(framing: Framing) -> None:
    check_forecaster(lambda: LSTM(hidden=4, cell=CELLS["slstm"], framing=framing, training=FAST), LEAVE_OUT)


def test_the_tower_takes_the_states_of_all_heads() -> None:
    task = Task([Variable("a")], horizon=2, context=3)
    model = LSTM(hidden=8, layers=2, head="tower", cell=CELLS["slstm"], training=FAST)
    panel = panel_of(numbers(1, 60, 1).double().numpy())
    assert model.fit(panel, task).predict(panel).quantiles.shape == (1, 2, 1, 3)
