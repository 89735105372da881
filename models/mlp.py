"""MLP: fully connected layers over the flattened window, beside a linear path. The cheapest network per forecast."""

from __future__ import annotations

from torch import Tensor, nn

from models import stack
from models.lightning import Training
from models.nets.framing import Framing
from models.nets.heads import Shape, flattened
from models.nets.network import Network

FRAMING, TRAINING = Framing(), Training()


class MLP(Network):
    """Fully connected network; by default small, regional, beside a linear path that starts at ridge.

    Args:
        hidden: width of each hidden layer. layers: how many. dropout: after each.
        framing: how the question is seen. training: how the net is trained; the default fits 3,360 rows x 3 series in
            about 0.4 CPU seconds, nine for one series and target each in about 2.
        seed: of the initial weights, the order of batches and dropout.

    Raises:
        SchemaError: from `fit`, when the loss becomes NaN or infinite.

    Source: sizes of the nowcasting experiment, Törnquist et al., arXiv 2309.15207: conf/model/mlp_paper.yaml.

    >>> from forecast.checks import synthetic_panel, synthetic_task
    >>> MLP(hidden=8).fit(synthetic_panel(), synthetic_task()).predict(synthetic_panel()).quantiles.shape
    (3, 3, 2, 3)
    """

    def __init__(
        self,
        hidden: int = 64,
        layers: int = 2,
        dropout: float = 0.2,
        framing: Framing = FRAMING,
        training: Training = TRAINING,
        seed: int = 0,
    ) -> None:
        self.hidden, self.layers, self.dropout = hidden, layers, dropout
        self._see(framing, training, seed)

    def _body(self, shape: Shape) -> nn.Module:
        return Body(shape, self.hidden, self.layers, self.dropout)


class Body(nn.Module):
    """Linear, ReLU, dropout; `layers` times; Linear."""

    def __init__(self, shape: Shape, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for k in range(layers):
            parts += [stack.Linear(hidden if k else shape.flat, hidden), nn.ReLU()]
            parts += [stack.Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*parts)
        self.out = stack.Linear(hidden if layers else shape.flat, shape.raw)

    def forward(self, windows: Tensor, extras: Tensor) -> Tensor:
        return self.out(self.layers(flattened(windows, extras)))
