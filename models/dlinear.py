"""DLinear: two linear maps, of the window's moving average and of what is left. The bar over long windows."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from forecast.errors import SchemaError
from models import stack
from models.lightning import Training
from models.nets.framing import Framing
from models.nets.heads import Shape
from models.nets.network import Network

FRAMING = Framing(scope="global", channels="independent", linear=False, harmonics=0, scaling="standard", target="level")
TRAINING = Training()


class DLinear(Network):
    """Decomposition into trend and remainder, each mapped linearly to the horizon; by default one pair of maps for all.

    Args:
        kernel: rows of the moving average; odd.
        framing: `independent` channels and `global` scope share the maps between variables, `local` scope gives each
            its own (the paper's "individual"); with `mixed` channels every output sees every variable.
        training: how it is trained. seed: of the initial weights and the order of batches.

    What the framing gives beside the window (calendar, outlook) enters by a third linear map.

    Raises:
        SchemaError: an even kernel; from `fit`, when the loss becomes NaN or infinite.

    Source: Zeng, Chen, Zhang and Xu, "Are transformers effective for time series forecasting?", arXiv 2205.13504,
    section 4; kernel 25 and replicate padding as in its appendix.

    >>> from forecast.checks import synthetic_panel, synthetic_task
    >>> DLinear().fit(synthetic_panel(), synthetic_task()).predict(synthetic_panel()).horizon
    3
    """

    def __init__(
        self, kernel: int = 25, framing: Framing = FRAMING, training: Training = TRAINING, seed: int = 0
    ) -> None:
        if kernel < 1 or kernel % 2 == 0:
            raise SchemaError(f"kernel is {kernel}: the moving average is centred, so it must be odd and positive")
        self.kernel = kernel
        self._see(framing, training, seed)

    def _body(self, shape: Shape) -> nn.Module:
        return Body(shape, self.kernel)


class Body(nn.Module):
    """(M, B, L, D) and (M, B, E) to (M, B, raw)."""

    def __init__(self, shape: Shape, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.trend = stack.Linear(shape.rows * shape.columns, shape.raw)
        self.out = stack.Linear(shape.rows * shape.columns, shape.raw)  # of the remainder
        self.beside = stack.Linear(shape.extras, shape.raw) if shape.extras else None
        for part in filter(None, (self.trend, self.beside)):  # a linear path, where there is one, speaks first
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)

    def forward(self, windows: Tensor, extras: Tensor) -> Tensor:
        trend = moving_average(windows, self.kernel)  # (M, B, L, D)
        y = self.trend(trend.flatten(2)) + self.out((windows - trend).flatten(2))
        return y if self.beside is None else y + self.beside(extras)


def moving_average(x: Tensor, kernel: int) -> Tensor:
    """Centred mean of `kernel` rows of (M, B, L, D), the first and last row repeated beyond the ends.

    >>> import torch
    >>> moving_average(torch.tensor([3.0, 0.0, 3.0])[None, None, :, None], 3).flatten().tolist()
    [2.0, 2.0, 2.0]
    """
    members, batch, rows, columns = x.shape
    flat = x.permute(0, 1, 3, 2).reshape(-1, columns, rows)  # (M*B, D, L)
    flat = F.avg_pool1d(F.pad(flat, (kernel // 2, kernel // 2), mode="replicate"), kernel, stride=1)
    return flat.view(members, batch, columns, rows).permute(0, 1, 3, 2)
