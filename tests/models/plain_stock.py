"""The ten stock networks as one would write them in plain torch: loops over steps, autograd, one network at a time.

The second witness of `models/stock/networks.py`, and what benchmarks/stock_suite.py measures it against.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Loop(nn.Module):
    """An LSTM of one bias, step by step: (B, L, D) -> (B, L, H)."""

    def __init__(self, inputs: int, hidden: int, curve: str) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.bias = nn.Parameter(torch.empty(4 * hidden))
        self.hidden, self.curve = hidden, getattr(torch, curve)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), self.hidden)
        states = []
        for row in x.unbind(1):
            i, f, g, o = (F.linear(row, self.weight_ih, self.bias) + F.linear(h, self.weight_hh)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * self.curve(g)
            h = torch.sigmoid(o) * self.curve(c)
            states.append(h)
        return torch.stack(states, 1)


class ConvLoop(nn.Module):
    """A convolutional LSTM over images of one line, kernel (1, 3): (B, L, C, 1, W) -> the last (B, F, 1, W - 2)."""

    def __init__(self, inputs: int, filters: int, curve: str) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.empty(4 * filters, inputs, 1, 3))
        self.weight_hh = nn.Parameter(torch.empty(4 * filters, filters, 1, 3))
        self.bias = nn.Parameter(torch.empty(4 * filters))
        self.filters, self.curve = filters, getattr(torch, curve)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), self.filters, 1, x.shape[-1] - 2)
        for image in x.unbind(1):
            gates = F.conv2d(image, self.weight_ih, self.bias) + F.conv2d(h, self.weight_hh, padding=(0, 1))
            i, f, g, o = gates.chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * self.curve(g)
            h = torch.sigmoid(o) * self.curve(c)
        return h


class Convolutions(nn.Module):
    """Rectified convolutions ("pool" where there is one), flattened row by row: (B, L, C) -> (B, rows * filters)."""

    def __init__(self, *layers: tuple[int, int] | str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.MaxPool1d(2) if layer == "pool" else nn.Conv1d(*layer, 3) for layer in layers)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        for layer in self.layers:
            x = layer(x) if isinstance(layer, nn.MaxPool1d) else torch.relu(layer(x))
        return x.transpose(1, 2).flatten(1)


class Columns(nn.Module):
    """Convolutions of each column's own, one after another: (B, L, C) -> (B, C * rows * filters)."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Convolutions((1, 32), (32, 32), "pool") for _ in range(5))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([head(x[:, :, [column]]) for column, head in enumerate(self.heads)], 1)


class Last(nn.Module):
    """The newest state: (B, L, D) -> (B, H)."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self.loop = loop

    def forward(self, x: Tensor) -> Tensor:
        return self.loop(x)[:, -1]


class Weeks(nn.Module):
    """Two weeks as two images: (B, 10, 1) -> (B, 192)."""

    def __init__(self, curve: str) -> None:
        super().__init__()
        self.loop = ConvLoop(1, 64, curve)

    def forward(self, x: Tensor) -> Tensor:
        images = x.view(len(x), 2, 1, 1, 5)  # (B, L, C, 1, W)
        return self.loop(images).permute(0, 2, 3, 1).flatten(1)


class Decoded(nn.Module):
    """An encoder's answer five times, through an LSTM and two layers for each day."""

    def __init__(self, encoder: nn.Module, width: int, units: int, curve: str) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, Loop(width, units, curve)
        self.head = layers(units, 100, 1)

    def forward(self, x: Tensor) -> Tensor:
        repeated = self.encoder(x).unsqueeze(1).repeat(1, 5, 1)  # (B, 5, width)
        return torch.stack([self.head(state) for state in self.decoder(repeated).unbind(1)], 1).squeeze(2)


def layers(*widths: int) -> nn.Sequential:
    """Linear layers, all but the last rectified."""
    made: list[nn.Module] = []
    for before, after in pairwise(widths):
        made += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*made[:-1])


def plain(name: str, units: int = 200, curve: str = "relu") -> nn.Module:
    """A network by name: (B, L, D) -> (B, 5); its weights are given by `fill`."""
    cnn = {
        "cnn_univ_5": lambda: nn.Sequential(Convolutions((1, 16), "pool"), layers(16, 10, 5)),
        "cnn_univ_10": lambda: nn.Sequential(Convolutions((1, 16), "pool"), layers(64, 10, 5)),
        "cnn_multv_10": lambda: nn.Sequential(Convolutions((5, 32), (32, 32), "pool", (32, 16)), layers(16, 100, 5)),
        "cnn_multh_10": lambda: nn.Sequential(Columns(), layers(480, 200, 100, 5)),
        "lstm_univ_cnn_10": lambda: Decoded(Convolutions((1, 64), (64, 64), "pool"), 192, units, curve),
        "lstm_univ_conv_10": lambda: Decoded(Weeks(curve), 192, units, curve),
    }
    if name in cnn:
        return cnn[name]()
    encoder = Last(Loop(5 if "multv" in name else 1, units, curve))
    return Decoded(encoder, units, units, curve) if "_ed_" in name else nn.Sequential(encoder, layers(units, 100, 5, 5))


@torch.no_grad()
def fill(net: nn.Module, other: nn.Module, member: int = 0) -> nn.Module:
    """Gives a plain net the weights of a member of a net of `models.stock.networks`; returns it."""
    given = [parameter[member] for parameter in other.parameters()]
    if any(isinstance(part, Columns) for part in net.modules()):  # heads lie side by side there
        convolutions = [part.chunk(5) for part in given[:4]]
        given = [part[head] for head in range(5) for part in convolutions] + given[4:]
    for parameter, value in zip(net.parameters(), given, strict=True):
        parameter.copy_(value.view_as(parameter))
    return net
