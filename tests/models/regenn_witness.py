"""Second witnesses of ReGENN: its graph layer number by number, its other layers out of torch's own."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from models.regenn import GraphSoftEvolution
from models.regenn.directions import Directions
from models.regenn.encoder import Encoder


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def slow_evolution(layer: GraphSoftEvolution, x: Tensor, graph: Tensor) -> tuple[Tensor, Tensor]:
    """The equations number by number."""
    series, steps, variables = x.shape
    given = {name: value.tolist() for name, value in layer.named_parameters()}
    w_a, b_a, w_c, b_c = (given[name] for name in ("w_a", "b_a", "w_c", "b_c"))
    index, h = range(variables), torch.zeros(variables, variables).double()
    for i in index:
        for j in index:
            h[i, j] = b_a[i][0] + sum(float(graph[i, k]) * w_a[k][j] for k in index)
    mixed = torch.zeros_like(x)
    for a in index:
        for b in index:
            lengths = [max(math.sqrt(sum(float(h[i, k]) ** 2 for k in index)), 1e-12) for i in (a, b)]
            alike = sum(float(h[a, k] * h[b, k]) for k in index) / (lengths[0] * lengths[1])
            for s in range(series):
                for t in range(steps):
                    mixed[s, t, a] += (alike * w_c[a][b] + b_c[a][b]) * x[s, t, b]
    if "w_t" not in given:
        return mixed, h
    out = torch.zeros_like(x)
    for s in range(series):
        for d in range(steps):
            for a in index:
                seen = sum(given["w_t"][t][d] * float(mixed[s, t, a]) for t in range(steps))
                out[s, d, a] = given["b_t"][d][0] + seen
    return out, h


def torchs_encoder(ours: Encoder, dropout: float = 0.0) -> nn.TransformerEncoderLayer:
    """Torch's layer with our weights; sequences in the first axis."""
    width, wide = ours.projections.in_features, ours.widen.out_features
    theirs = nn.TransformerEncoderLayer(width, 1, wide, dropout).to(ours.widen.weight.dtype)
    own = {
        "self_attn.in_proj": ours.projections, "self_attn.out_proj": ours.output, "linear1": ours.widen,
        "linear2": ours.narrow, "norm1": ours.first, "norm2": ours.second,
    }  # fmt: skip
    state = {}
    for name, layer in own.items():
        join = "_" if name.endswith("in_proj") else "."
        state |= {f"{name}{join}weight": layer.weight, f"{name}{join}bias": layer.bias}
    theirs.load_state_dict(state)
    return theirs


def bidirectional(ours: Directions, theirs: nn.RNNBase) -> Any:
    theirs = theirs.double()
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    for part, end in zip(ours.parts, ("", "_reverse"), strict=False):
        for name in names:
            getattr(theirs, name + end).data = getattr(part, name.removesuffix("_l0")).detach().double()

    def run(x: Tensor) -> Tensor:
        states = theirs(x)[0]
        return sum(states.chunk(len(ours.parts), -1))

    return run
