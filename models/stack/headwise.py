"""Head-wise recurrent layers with a member axis: given their inputs, heads know nothing of each other.

So a layer of M members and H heads is a stack of M x H small cells over the same rows: one batched product a step,
by the kernels in models/stack/sequence.py (LSTM) and models/stack/slstm.py (sLSTM).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from forecast.errors import SchemaError, UnknownNameError
from models.stack.dropout import Dropout
from models.stack.flash import checked, chosen, flash_sequence
from models.stack.sequence import lstm_sequence
from models.stack.slstm import slstm_sequence

FORGETS = ("sigmoid", "exponential")
NAMES = ("weight_ih", "weight_hh", "bias")


class Headwise(nn.Module):
    """Layers of heads, one above the other, from empty states: (M, B, L, inputs) -> (M, B, L, hidden).

    Args:
        inputs: columns. hidden: width of all heads together. heads: how many; each sees all inputs and its own state.
        layers: one above the other. dropout: between the layers.
        backend: torch; flashrnn, the package's kernels; auto, those where there is a GPU and the package.

    Parameters of layer k: `weight_ih_lk` (M, heads, 4P, inputs), `weight_hh_lk` (M, heads, 4P, P), `bias_lk`
    (M, heads, 4P), with P = hidden / heads; gates of a head as torch's LSTM's: input, forget, cell, output.

    Raises:
        SchemaError: sizes below 1, a width that the heads do not divide; from `forward`, a backend that is not there,
            values of another shape. UnknownNameError: another backend.

    Source: Poeppel, Beck and Hochreiter, "FlashRNN", arXiv 2412.07752.
    """

    def __init__(
        self, inputs: int, hidden: int, heads: int, layers: int = 1, dropout: float = 0.0, backend: str = "auto"
    ) -> None:
        super().__init__()
        if layers < 1:
            raise SchemaError(f"layers is {layers}: it must be at least 1")
        self.layers, self.dropout, self.backend = layers, Dropout(dropout), checked(backend)
        for layer in range(layers):
            for name, values in zip(NAMES, begun(hidden if layer else inputs, hidden, heads), strict=True):
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(values[None]))

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x, last=False)

    def last(self, x: Tensor) -> Tensor:
        """The hidden state after the last row only, (M, B, hidden)."""
        return self._run(x, last=True).squeeze(2)

    @abstractmethod
    def _heads(self, x: Tensor, weights: Sequence[Tensor], last: bool) -> Tensor:
        """(M, B, L, D) -> (M, heads, B, L or 1, P)."""

    def _run(self, x: Tensor, last: bool) -> Tensor:
        for layer in range(self.layers):
            if layer:
                x = self.dropout(x)
            weights = [self.get_parameter(f"{name}_l{layer}") for name in NAMES]
            x = self._heads(x, weights, last and layer == self.layers - 1)
            x = x.permute(0, 2, 3, 1, 4).flatten(3)  # (M, B, L, hidden)
        return x  # (M, B, L or 1, hidden)


class HeadwiseLSTM(Headwise):
    """The LSTM with a block-diagonal recurrent matrix, one block a head.

    >>> HeadwiseLSTM(3, 8, heads=2)(torch.zeros(1, 5, 6, 3)).shape
    torch.Size([1, 5, 6, 8])
    """

    def _heads(self, x: Tensor, weights: Sequence[Tensor], last: bool) -> Tensor:
        return headwise_lstm(x, weights, last, self.backend)


class SLSTM(Headwise):
    """The sLSTM: exponential input gate, normalised cell, heads as in `HeadwiseLSTM`.

    Args:
        forget: the forget gate, sigmoid or exponential. The rest as of `Headwise`.

    Source: Beck et al., "xLSTM: Extended long short-term memory", arXiv 2405.04517, section 2.2.

    >>> SLSTM(3, 8, heads=2).last(torch.zeros(1, 5, 6, 3)).shape
    torch.Size([1, 5, 8])
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        heads: int,
        layers: int = 1,
        dropout: float = 0.0,
        forget: str = "sigmoid",
        backend: str = "auto",
    ) -> None:
        super().__init__(inputs, hidden, heads, layers, dropout, backend)
        self.forget = forget_gate(forget, backend)

    def _heads(self, x: Tensor, weights: Sequence[Tensor], last: bool) -> Tensor:
        return headwise_slstm(x, weights, last, self.forget, self.backend)


def headwise_lstm(x: Tensor, weights: Sequence[Tensor], last: bool = False, backend: str = "auto") -> Tensor:
    """(M, B, L, D) -> (M, heads, B, L or 1, P); weights (M, heads, ...) as of one layer of `Headwise`."""
    each, flat = _each_head(x, weights)
    if chosen(backend, weights[0]):
        states = flash_sequence("lstm", each, flat)[:, :, -1 if last else 0 :]
    else:
        states = lstm_sequence(each, [*flat, torch.zeros_like(flat[2])], last)  # torch's LSTM has two biases
    return states.unflatten(0, weights[0].shape[:2])


def headwise_slstm(
    x: Tensor, weights: Sequence[Tensor], last: bool = False, forget: str = "sigmoid", backend: str = "auto"
) -> Tensor:
    """As `headwise_lstm`; torch where the forget gate is exponential, which the package has not."""
    each, flat = _each_head(x, weights)
    if forget == "sigmoid" and chosen(backend, weights[0]):
        states = flash_sequence("slstm", each, flat)[:, :, -1 if last else 0 :]
    else:
        states = slstm_sequence(each, flat, last, forget == "exponential")
    return states.unflatten(0, weights[0].shape[:2])


def begun(inputs: int, hidden: int, heads: int) -> list[Tensor]:
    """Random (heads, 4P, inputs), (heads, 4P, P), (heads, 4P): as torch's LSTM's, a head's recurrent ones by its width.

    Raises:
        SchemaError: sizes that are not whole numbers from 1 on, a width that the heads do not divide.
    """
    for name, size in (("inputs", inputs), ("hidden width", hidden), ("heads", heads)):
        if not isinstance(size, int) or size < 1:
            raise SchemaError(f"{name} is {size!r}: it must be a whole number, at least 1")
    if hidden % heads:
        raise SchemaError(f"hidden width {hidden} cannot be divided into {heads} heads: take a multiple")
    width, bound = hidden // heads, 1 / math.sqrt(hidden)
    return [
        torch.empty(heads, 4 * width, inputs).uniform_(-bound, bound),
        torch.empty(heads, 4 * width, width).uniform_(-1 / math.sqrt(width), 1 / math.sqrt(width)),
        torch.empty(heads, 4 * width).uniform_(-bound, bound),
    ]


def forget_gate(name: str, backend: str = "auto") -> str:
    """`name` if it is known, and there where the backend is prescribed.

    Raises:
        UnknownNameError: another name. SchemaError: an exponential one of the package's.
    """
    if name not in FORGETS:
        raise UnknownNameError("forget gate", name, FORGETS)
    if name == "exponential" and backend == "flashrnn":
        raise SchemaError("backend flashrnn has no exponential forget gate: take sigmoid, or backend auto or torch")
    return name


def _each_head(x: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """x (M * heads, B, L, D), the same to each head, and weights (M * heads, ...)."""
    members, heads, _, inputs = weights[0].shape
    if x.dim() != 4 or x.shape[0] != members or x.shape[-1] != inputs:
        given, wanted = tuple(x.shape), f"({members}, batch, rows, {inputs})"
        raise SchemaError(f"the values have shape {given} with the member axis in front, they must be {wanted}")
    each = x.unsqueeze(1).expand(-1, heads, *x.shape[1:]).flatten(0, 1)
    return each, [weight.flatten(0, 1) for weight in weights]
