"""The six recurrent stock networks: (M, B, L, D) -> (M, B, days).

LSTMs of one bias, rectified unless `activation` says otherwise; hidden layers and convolutions are rectified, the
output is linear. Flattening goes row by row, the filters of a row side by side: place = row * filters + filter.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.stack import Conv1d, ConvLSTM, MaxPool, RectifiedLSTM
from models.stock.parts import Sizes, dense

SESSIONS = 5  # of a week


class Newer(nn.Module):
    """What a recurrent layer holds after the last row: (M, B, L, D) -> (M, B, units)."""

    def __init__(self, layer: RectifiedLSTM) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer.last(x)


class Weeks(nn.Module):
    """A convolutional LSTM over weeks, its places their sessions: (M, B, weeks * 5, 1) -> (M, B, 3 * filters)."""

    def __init__(self, layer: ConvLSTM) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer.last(x.unflatten(2, (-1, SESSIONS))).flatten(2)


class Repeated(nn.Module):
    """An encoder's answer, given to an LSTM at every step; two layers on each of its states give one day.

    Args:
        encoder: (M, B, L, D) -> (M, B, width). sizes: of the decoder.
    """

    def __init__(self, encoder: nn.Module, width: int, sizes: Sizes) -> None:
        super().__init__()
        self.encoder, self.days = encoder, sizes.days
        self.decoder = RectifiedLSTM(width, sizes.units, sizes.activation)
        self.head = nn.Sequential(dense(sizes.units, 100), nn.ReLU(), dense(100, 1))

    def forward(self, x: Tensor) -> Tensor:
        states = self.decoder.repeated(self.encoder(x), self.days)  # (M, B, days, units)
        return self.head(states).squeeze(3)


def vector(sizes: Sizes) -> nn.Module:
    """All days at once from the newest state, through a rectified layer as narrow as there are days.

    That layer can die, and the answer is constant from then on: of seeds 0 to 11, seed 0 on the NIFTY 50's weekdays.
    """
    days = sizes.days
    return nn.Sequential(
        Newer(RectifiedLSTM(1, sizes.units, sizes.activation)),
        *(dense(sizes.units, 100), nn.ReLU(), dense(100, days), nn.ReLU(), dense(days, days)),
    )


def encoder_decoder(sizes: Sizes) -> nn.Module:
    return Repeated(Newer(RectifiedLSTM(sizes.columns, sizes.units, sizes.activation)), sizes.units, sizes)


def convolutional_encoder(sizes: Sizes) -> nn.Module:
    encoder = nn.Sequential(Conv1d(1, 64, 3), nn.ReLU(), Conv1d(64, 64, 3), nn.ReLU(), MaxPool(), nn.Flatten(2))
    return Repeated(encoder, 3 * 64, sizes)


def convolutional_lstm(sizes: Sizes) -> nn.Module:
    return Repeated(Weeks(ConvLSTM(1, 64, 3, sizes.activation)), 3 * 64, sizes)
