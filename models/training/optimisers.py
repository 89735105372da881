"""Optimisers by name, each with a rate and a weight decay that suit it.

All but the 8-bit one work element by element, and their step is proportional to the rate: so they train a stack of
networks as they train each alone, and members may have rates of their own.

Rates measured with a one-cycle schedule, 6 epochs, batch 64, MLP and LSTM of 32, temperature at Newark, rows 1 to 3,400
of 2013, mean absolute error (scaled) on the next 600: AdamW 0.287 and 0.303 at 6e-3, Adam the same, Lion 0.291 and
0.301 at 3e-3 (0.300 and 0.318 at 1e-3), EXAdam 0.283 and 0.289 at 3e-3 (0.290 and 0.309 at 1e-3). At equal rate the
length of EXAdam's step is 12 times Adam's at first and 3.7 times from step 100 on, Lion's 1 and 1.8 times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from forecast.errors import SchemaError


@dataclass(frozen=True)
class Kind:
    """An optimiser: how it is made, its highest rate and weight decay where none is given, whether it stacks."""

    make: Callable[..., Optimizer]
    rate: float
    weight_decay: float
    stacks: bool = True
    fused: bool = False  # scales gradients within its own kernel


def _torch(name: str, **options: Any) -> Callable[..., Optimizer]:
    def make(parameters: Iterable[nn.Parameter], rate: float, weight_decay: float) -> Optimizer:
        return getattr(torch.optim, name)(parameters, lr=rate, weight_decay=weight_decay, fused=True, **options)

    return make


def _extra(name: str, **options: Any) -> Callable[..., Optimizer]:
    def make(parameters: Iterable[nn.Parameter], rate: float, weight_decay: float) -> Optimizer:
        try:
            import pytorch_optimizer
        except ImportError as error:
            raise SchemaError(
                f"optimiser {name.lower()} needs the package pytorch_optimizer: pip install 'nowcastle[optimisers]'"
            ) from error
        return getattr(pytorch_optimizer, name)(parameters, lr=rate, weight_decay=weight_decay, **options)

    return make


def _eight_bit(parameters: Iterable[nn.Parameter], rate: float, weight_decay: float) -> Optimizer:
    parameters = list(parameters)
    if not all(parameter.is_cuda for parameter in parameters):
        raise SchemaError("optimiser adam8bit works on a GPU only, and this training has none: choose adamw or adam")
    try:
        import bitsandbytes
    except ImportError as error:
        raise SchemaError("optimiser adam8bit needs the package bitsandbytes: pip install 'nowcastle[gpu]'") from error
    return bitsandbytes.optim.Adam8bit(parameters, lr=rate, weight_decay=weight_decay)


OPTIMISERS = {
    "adamw": Kind(_torch("AdamW"), 6e-3, 0.1, fused=True),
    "adam": Kind(_torch("Adam"), 6e-3, 0.0, fused=True),
    "keras_adam": Kind(_torch("Adam", eps=1e-7), 1e-3, 0.0, fused=True),  # with Keras' defaults
    "lion": Kind(_extra("Lion"), 2e-3, 0.3),
    "exadam": Kind(_extra("EXAdam"), 2e-3, 0.3),
    "adam8bit": Kind(_eight_bit, 6e-3, 0.0, stacks=False),
}
