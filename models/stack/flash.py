"""Head-wise cells by the CUDA and Triton kernels of the package `flashrnn`, where there is a GPU and the package.

Source: Poeppel, Beck and Hochreiter, "FlashRNN: Optimizing traditional RNNs on modern hardware", arXiv 2412.07752.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import torch
from torch import Tensor

from forecast.errors import SchemaError, UnknownNameError

BACKENDS = ("auto", "torch", "flashrnn")
PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)  # its kernels'
FUSED = (16, 32, 64)  # widths of a head that the one fused kernel takes which is not compiled anew for each batch size


def checked(backend: str) -> str:
    """`backend` if it is known.

    Raises:
        UnknownNameError: another name.
    """
    if backend not in BACKENDS:
        raise UnknownNameError("backend", backend, BACKENDS)
    return backend


def chosen(backend: str, weight: Tensor) -> bool:
    """Whether the package computes with weights such as this one: by itself never in double precision.

    Raises:
        SchemaError: `flashrnn` without the package, with weights not on a CUDA device, or in double precision.
    """
    fits = weight.is_cuda and weight.dtype in PRECISIONS
    if backend == "torch" or (backend == "auto" and not fits):
        return False
    there = importlib.util.find_spec("flashrnn") is not None
    if backend == "flashrnn" and not (there and fits):
        lacks = f"the weights are {str(weight.dtype).removeprefix('torch.')} on '{weight.device}'"
        raise SchemaError(
            "backend flashrnn needs the package `flashrnn`, a CUDA device and weights in float32, bfloat16 or float16, "
            f"here {lacks if there else 'the package is not installed'}: "
            "install nowcastle[flashrnn] on a machine with a GPU, or take backend auto or torch"
        )
    return there


def flash_sequence(function: str, x: Tensor, weights: Sequence[Tensor], kernel: str | None = None) -> Tensor:
    """Hidden states (M, B, L, P) of x (M, B, L, D), each member a head of the package's one cell.

    Args:
        function: lstm or slstm. weights: input's (M, 4P, D), hidden's (M, 4P, P), bias (M, 4P); gates i, f, z, o.
        kernel: the package's name of it; None for a fused one where it takes P, and the general one elsewhere.
    """
    from flashrnn import flashrnn

    weight_ih, weight_hh, bias = weights
    members, width = weight_hh.shape[0], weight_hh.shape[-1]
    with torch.autocast(x.device.type, enabled=False):
        given = torch.einsum("mbld,mgd->blgm", x.to(bias.dtype), weight_ih)  # (B, L, 4P, M)
        states, _ = flashrnn(
            given.unflatten(2, (4, width)).transpose(3, 4).contiguous(),  # (B, L, 4, M, P)
            weight_hh.view(members, 4, width, width).transpose(0, 1).contiguous(),  # (4, M, P, P)
            bias.view(members, 4, width).transpose(0, 1).contiguous(),  # (4, M, P)
            function=function,
            backend=kernel or ("triton_fused" if width in FUSED else "cuda"),
            dtype=str(bias.dtype).removeprefix("torch."),
        )
    return states[0].permute(2, 0, 1, 3)  # of (S, B, L, M, P), the first of S is the hidden state
