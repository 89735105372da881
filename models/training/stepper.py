"""One optimiser step of a stack: each member's gradient clipped by its own norm, each member at its own rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.training.optimisers import OPTIMISERS
from models.training.settings import Training


class Stepper:
    """An optimiser over the parameters (M, ...) of `net`, as `training` chooses it."""

    def __init__(self, net: nn.Module, training: Training) -> None:
        kind = OPTIMISERS[training.optimiser]
        self.parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
        self.optimiser = kind.make(self.parameters, training.highest_rate, training.decay)
        self.fused, self.clip = kind.fused, training.clip

    @torch.no_grad()
    def step(self, rates: Sequence[float]) -> Tensor:
        """Updates the parameters, drops the gradients; returns the gradients' norms (M,), zeros without a clip."""
        norms = self._clipped()
        highest = max(rates)
        for group in self.optimiser.param_groups:
            group["lr"] = highest
        if min(rates) == highest:
            self.optimiser.step()
        else:  # a step is proportional to the rate: go the members' share of the way
            before = [parameter.clone() for parameter in self.parameters]
            self.optimiser.step()
            part = self.parameters[0].new_tensor([rate / highest for rate in rates])
            for old, parameter in zip(before, self.parameters, strict=True):
                torch.lerp(old, parameter, along(part, parameter), out=parameter)
        for parameter in self.parameters:
            parameter.grad = None
        return norms

    def _clipped(self) -> Tensor:
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        members = len(self.parameters[0])
        if math.isinf(self.clip):
            return self.parameters[0].new_zeros(members)
        norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])  # (parameters, M)
        norms = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(norms, dim=0)  # (M,)
        over = (norms / self.clip).clamp_(min=1)  # (M,)
        if members == 1 and self.fused:  # the kernel divides by it on the way
            self.optimiser.grad_scale = over.squeeze(0).float()  # type: ignore[attr-defined]
        elif norms.is_cuda or bool((over > 1).any()):
            for gradient in gradients:
                gradient.div_(along(over, gradient))
        return norms

    def keep_only(self, chosen: Sequence[int]) -> None:
        """Drops the other members' moments; to be called after the net has dropped their parameters."""
        index = torch.tensor(list(chosen), device=self.parameters[0].device)
        for moments in self.optimiser.state.values():
            for name, value in moments.items():
                if isinstance(value, Tensor) and value.ndim:
                    moments[name] = value.index_select(0, index)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors by name, and what else there is, for JSON."""
        tensors: dict[str, Tensor] = {}
        plain: dict[str, Any] = {}
        for index, moments in self.optimiser.state_dict()["state"].items():
            for name, value in moments.items():
                (tensors if isinstance(value, Tensor) else plain)[f"{index}.{name}"] = value
        groups = self.optimiser.state_dict()["param_groups"]
        return tensors, {"state": plain, "groups": groups}

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
        moments: dict[int, dict[str, Any]] = {}
        for key, value in {**tensors, **plain["state"]}.items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict({"state": moments, "param_groups": plain["groups"]})


def along(values: Tensor, parameter: Tensor) -> Tensor:
    """Values (M,) as (M, 1, ..., 1), to go with a parameter (M, ...)."""
    return values.view(-1, *[1] * (parameter.ndim - 1))
