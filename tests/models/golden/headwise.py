"""Writes headwise.json beside it: what the package `flashrnn` (1.0.8, its backend `vanilla`, float64) computes.

    python tests/models/golden/headwise.py

Two rows of a batch, five times, two inputs, two heads of three: hidden states of its LSTM and its sLSTM, and the
gradients of the sum of their squares. The package imports without a GPU, Triton and a compiler.
"""

import json
from pathlib import Path

import torch
from flashrnn import flashrnn

BATCH, TIMES, INPUTS, HEADS, WIDTH = 2, 5, 2, 2, 3
SHAPES = {
    "x": (BATCH, TIMES, INPUTS),
    "weight_ih": (HEADS, 4 * WIDTH, INPUTS),
    "weight_hh": (HEADS, 4 * WIDTH, WIDTH),
    "bias": (HEADS, 4 * WIDTH),
}


def main() -> None:
    torch.manual_seed(0)
    given = {name: torch.randn(shape, dtype=torch.float64).round(decimals=3) for name, shape in SHAPES.items()}
    kept = {"given": {name: value.tolist() for name, value in given.items()}}
    for function in ("lstm", "slstm"):
        x, weight_ih, weight_hh, bias = leaves = [value.clone().requires_grad_() for value in given.values()]
        inputs = torch.einsum("bld,hgd->blgh", x, weight_ih).unflatten(2, (4, WIDTH)).transpose(3, 4)
        states, _ = flashrnn(
            inputs,  # (B, L, gates, heads, width)
            weight_hh.view(HEADS, 4, WIDTH, WIDTH).transpose(0, 1),
            bias.view(HEADS, 4, WIDTH).transpose(0, 1),
            function=function,
            backend="vanilla",
        )
        hidden = states[0].flatten(2)  # (B, L, heads * width)
        gradients = torch.autograd.grad(hidden.square().sum(), leaves)
        kept[function] = {"hidden": hidden.tolist(), "gradients": [gradient.tolist() for gradient in gradients]}
    Path(__file__).with_suffix(".json").write_text(json.dumps(kept) + "\n")


if __name__ == "__main__":
    main()
