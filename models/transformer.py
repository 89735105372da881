"""Transformer: self-attention over the rows of the window, beside a linear path."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forecast.errors import SchemaError
from models import stack
from models.lightning import Training
from models.nets.framing import Framing
from models.nets.heads import Shape, Tower, rowwise
from models.nets.network import Network


@dataclass(frozen=True)
class Encoder:
    """Sizes of an encoder.

    Args:
        width: of a token; 0 for the number of columns, rounded up to a multiple of `heads`.
        heads: of the attention. layers: one above the other. feedforward: width inside a layer. dropout: in all of it.
        patch: rows of the window that make a token; more than 1 for long contexts.

    Raises:
        SchemaError: a width that the heads do not divide, or a number below 1.
    """

    width: int = 32
    heads: int = 4
    layers: int = 1
    feedforward: int = 64
    dropout: float = 0.1
    patch: int = 1

    def __post_init__(self) -> None:
        for name in ("heads", "layers", "feedforward", "patch"):
            if getattr(self, name) < 1:
                raise SchemaError(f"encoder.{name} is {getattr(self, name)}: it must be at least 1")
        if self.width % self.heads:
            raise SchemaError(f"encoder.width {self.width} cannot be divided into {self.heads} heads: take a multiple")

    def width_for(self, columns: int) -> int:
        return self.width or -(-columns // self.heads) * self.heads


FRAMING, TRAINING, ENCODER = Framing(), Training(), Encoder()


class Transformer(Network):
    """Attention network; by default small, regional, beside a linear path that starts at ridge.

    Tokens are the window's rows, each with the calendar and what else is known beside it, mapped to the encoder's
    width, with sinusoidal positions added. Encoder layers as torch's: attention, then ReLU feed-forward, each added
    and normalised after (post-norm). All tokens side by side go through widths h, h/2, h/4 to the outputs.

    Args:
        encoder: its sizes. hidden: h of the head.
        framing: how the question is seen. training: how the net is trained; the default fits 3,360 rows x 3 series in
            about 1.5 CPU seconds, nine for one series and target each in about 12.
        seed: of the initial weights, the order of batches and dropout.

    Raises:
        SchemaError: from `fit`, when the loss becomes NaN or infinite.

    Source: Vaswani et al., "Attention is all you need" (2017), sections 3.1 to 3.5; sizes of the nowcasting
    experiment, Törnquist et al., arXiv 2309.15207: conf/model/transformer_paper.yaml. Patches: Nie et al., "A time
    series is worth 64 words", arXiv 2211.14730, section 3.1.

    >>> from forecast.checks import synthetic_panel, synthetic_task
    >>> Transformer(Encoder(width=8)).fit(synthetic_panel(), synthetic_task()).predict(synthetic_panel()).horizon
    3
    """

    def __init__(
        self,
        encoder: Encoder = ENCODER,
        hidden: int = 64,
        framing: Framing = FRAMING,
        training: Training = TRAINING,
        seed: int = 0,
    ) -> None:
        self.encoder, self.hidden = encoder, hidden
        self._see(framing, training, seed)

    def _body(self, shape: Shape) -> nn.Module:
        return Body(shape, self.encoder, self.hidden)


class Body(nn.Module):
    """Tokens, positions, encoder layers, tower."""

    def __init__(self, shape: Shape, encoder: Encoder, hidden: int) -> None:
        super().__init__()
        columns, self.patch = (shape.columns + shape.extras) * encoder.patch, encoder.patch
        width, tokens = encoder.width_for(columns), -(-shape.rows // encoder.patch)
        self.tokens = stack.Linear(columns, width)
        self.register_buffer("positions", sinusoids(tokens, width)[None, None], persistent=False)  # (M, 1, tokens, W)
        self.layers = nn.Sequential(*(Layer(width, encoder) for _ in range(encoder.layers)))
        self.tower = Tower(tokens * width, hidden, shape.raw)

    @property
    def out(self) -> stack.Linear:
        return self.tower.out

    def forward(self, windows: Tensor, extras: Tensor) -> Tensor:
        x = self.tokens(patches(rowwise(windows, extras), self.patch)) + self.positions  # (M, B, tokens, W)
        return self.tower(self.layers(x).flatten(2))


class Layer(nn.Module):
    """(M, B, L, W) -> the same, as torch's TransformerEncoderLayer (post-norm, ReLU)."""

    def __init__(self, width: int, encoder: Encoder) -> None:
        super().__init__()
        self.attention, self.norm1 = stack.Attention(width, encoder.heads), stack.LayerNorm(width)
        self.feedforward = nn.Sequential(
            stack.Linear(width, encoder.feedforward),
            nn.ReLU(),
            stack.Dropout(encoder.dropout),
            stack.Linear(encoder.feedforward, width),
        )
        self.norm2, self.dropout = stack.LayerNorm(width), stack.Dropout(encoder.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.dropout(self.attention(x)))
        return self.norm2(x + self.dropout(self.feedforward(x)))


def sinusoids(rows: int, width: int) -> Tensor:
    """(rows, width): sine in even columns, cosine in odd ones, of wavelengths from 2 pi to 20,000 pi rows.

    >>> sinusoids(2, 4).round(decimals=3).tolist()
    [[0.0, 1.0, 0.0, 1.0], [0.8410000205039978, 0.5400000214576721, 0.009999999776482582, 1.0]]
    """
    angles = torch.arange(rows)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :width]


def patches(x: Tensor, size: int) -> Tensor:
    """(M, B, L, D) as (M, B, ceil(L / size), size * D); the oldest row is repeated to fill the first."""
    if size == 1:
        return x
    missing = -x.shape[2] % size
    x = torch.cat([x[:, :, :1].expand(-1, -1, missing, -1), x], 2)
    return x.unflatten(2, (-1, size)).flatten(3)
