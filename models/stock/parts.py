"""What the stock networks are made of, beside the layers of models/stack."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from forecast.errors import SchemaError
from models import stack


@dataclass(frozen=True)
class Sizes:
    """What a network may be cut to.

    Args:
        units: width of its LSTMs. activation: of their candidates and outputs. days: H, outputs. columns: inputs.
    """

    units: int = 200
    activation: str = "relu"
    days: int = 5
    columns: int = 1


def dense(inputs: int, outputs: int) -> stack.Linear:
    """A linear layer initialised as Keras' Dense: Glorot's uniform, biases zero."""
    layer = stack.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight.data[0])
    nn.init.zeros_(layer.bias)
    return layer


class Newest(nn.Module):
    """The newest rows of a window: (M, B, L, D) -> (M, B, rows, D).

    Raises:
        SchemaError: fewer rows, or another number of columns.
    """

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] < self.rows or x.shape[3] != self.columns:
            raise SchemaError(
                f"a window of {x.shape[2]} rows x {x.shape[3]} columns was given: this network takes the newest "
                f"{self.rows} rows of {self.columns} columns"
            )
        return x[:, :, -self.rows :]


class Heads(nn.Module):
    """Flattens each head by itself, one after another: (M, B, R, heads * F) -> (M, B, heads * R * F)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(3, (self.heads, -1)).transpose(2, 3).flatten(2)
