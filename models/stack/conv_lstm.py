"""Convolutional LSTM with a member axis: an LSTM over steps whose products are convolutions over places."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forecast.errors import SchemaError, UnknownNameError
from models.stack.conv import convolved
from models.stack.rectified import ACTIVATIONS, unit_forget


class ConvLSTM(nn.Module):
    """One layer from zero states: (M, B, L, places, inputs) -> (M, B, L, places - kernel + 1, filters).

    The input's convolution takes the places that are there (`valid`), the state's pads with zeros (`same`).

    Args:
        inputs: channels. filters: channels of the state. kernel: places, odd.
        activation: of candidate and output, `relu` or `tanh`; gates are sigmoids.

    Weights `weight_ih` (M, 4F, inputs, kernel), `weight_hh` (M, 4F, F, kernel), `bias` (M, 4F), gates i, f, g, o; no
    peepholes. Initialised as Keras' ConvLSTM: Glorot's uniform, orthogonal, zero with 1 for the forget gate.

    Raises:
        UnknownNameError: another activation. SchemaError: an even kernel.

    Source: Shi et al., "Convolutional LSTM network", arXiv 1506.04214, equation 3, without peepholes.

    >>> ConvLSTM(1, 64)(torch.zeros(1, 4, 2, 5, 1)).shape
    torch.Size([1, 4, 2, 3, 64])
    """

    def __init__(self, inputs: int, filters: int, kernel: int = 3, activation: str = "relu") -> None:
        if activation not in ACTIVATIONS:
            raise UnknownNameError("activation", activation, ACTIVATIONS)
        if kernel % 2 == 0:
            raise SchemaError(f"a kernel of {kernel} places has no middle: choose an odd one")
        super().__init__()
        self.kernel, self.activation = kernel, activation
        by_input, by_state = torch.empty(4 * filters, inputs, kernel), torch.empty(4 * filters, filters, kernel)
        self.weight_ih = nn.Parameter(nn.init.xavier_uniform_(by_input)[None])
        self.weight_hh = nn.Parameter(nn.init.orthogonal_(by_state)[None])
        self.bias = nn.Parameter(unit_forget(filters)[None])

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(self._states(x), 2)

    def last(self, x: Tensor) -> Tensor:
        """The state after the last step only, (M, B, places - kernel + 1, filters)."""
        return self._states(x)[-1]

    def _states(self, x: Tensor) -> list[Tensor]:
        curve = torch.relu if self.activation == "relu" else torch.tanh
        given = convolved(x.flatten(1, 2), self.weight_ih, self.bias).unflatten(1, x.shape[1:3])  # (M, B, L, P, 4F)
        around, states = (0, 0, self.kernel // 2, self.kernel // 2), list[Tensor]()
        cell = given.new_zeros(())
        for t, gates in enumerate(given.unbind(2)):
            if t:
                gates = gates + convolved(F.pad(states[-1], around), self.weight_hh, torch.zeros_like(self.bias))
            i, f, g, o = gates.chunk(4, -1)  # (M, B, P, F)
            cell = f.sigmoid() * cell + i.sigmoid() * curve(g)
            states.append(o.sigmoid() * curve(cell))
        return states
