"""Stacking equal networks and taking them apart again: state of axis 0 = members."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from forecast.errors import SchemaError


def size(net: nn.Module) -> int:
    """M, the number of members."""
    return len(next(net.parameters()))


def state(net: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer (M, ...), saved or not, by name."""
    return dict(net.named_parameters()) | dict(net.named_buffers())


def stacked(nets: Sequence[nn.Module]) -> nn.Module:
    """One net of all members of `nets`, in order; the nets themselves are left alone.

    Raises:
        SchemaError: nets of different shapes.
    """
    states = [state(net) for net in nets]
    shapes = [{name: value.shape[1:] for name, value in one.items()} for one in states]
    if any(one != shapes[0] for one in shapes):
        raise SchemaError(f"only nets of equal shape can be stacked, these differ: {shapes[0]} and others")
    net = deepcopy(nets[0])
    _replace(net, {name: torch.cat([one[name].detach() for one in states]) for name in states[0]})
    return net


def take(net: nn.Module, chosen: Sequence[int]) -> nn.Module:
    """A copy of the chosen members, as one net."""
    copy = deepcopy(net)
    if list(chosen) != list(range(size(net))):
        keep_only(copy, chosen)
    return copy


def members(net: nn.Module) -> list[nn.Module]:
    """Copies of the members, each a net with M = 1."""
    return [take(net, [member]) for member in range(size(net))]


def keep_only(net: nn.Module, chosen: Sequence[int]) -> None:
    """Drops all other members, in place."""
    index = torch.tensor(list(chosen), device=next(net.parameters()).device)
    _replace(net, {name: value.detach().index_select(0, index) for name, value in state(net).items()})


def put(state: dict[str, Tensor], chosen: Sequence[int], other: dict[str, Tensor]) -> None:
    """The members `chosen` of a state become those of the other state, in place."""
    for name, value in state.items():
        value.data[list(chosen)] = other[name].detach().to(value.device)


def _replace(net: nn.Module, values: dict[str, Tensor]) -> None:
    """New parameters and buffers of any number of members."""
    for prefix, part in net.named_modules():
        dot = f"{prefix}." if prefix else ""
        for name, parameter in part.named_parameters(recurse=False):
            parameter.data, parameter.grad = values[dot + name], None
        for name, _ in part.named_buffers(recurse=False):
            part._buffers[name] = values[dot + name]
