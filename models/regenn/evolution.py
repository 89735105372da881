"""Graph Soft Evolution: variables mixed by a graph that is learnt on the way."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecast.errors import SchemaError
from models.regenn.graph import cosine


class GraphSoftEvolution(nn.Module):
    """Mixes the variables of each step by an evolved graph, then with a window the steps of each variable.

        H = A W_a + b_a                      (V, V)  the evolved graph
        G = cosine(H's rows) * W_c + B_c     (V, V)
        x'[s, t, a] = sum_b G[a, b] x[s, t, b], then dropout
        x''[s, d, a] = sum_t W_t[t, d] x'[s, t, a] + b_t[d]      the time-dot, with a window

    Args:
        variables: V. window: W, steps of the time-dot; None for none. dropout: of x'. bias: with b_a, B_c and b_t.

    Weights begin Xavier-uniform, biases at zero.

    Raises:
        SchemaError: sizes that are not whole numbers from 1 on, a share outside [0, 1); from `forward`, values or a
            graph of other sizes.

    Source: Spadon et al., "Pay attention to evolution", arXiv 2008.12833, section 3.

    >>> mixed, evolved = GraphSoftEvolution(3, window=7)(torch.zeros(5, 7, 3), torch.eye(3))
    >>> mixed.shape, evolved.shape, evolved.requires_grad
    (torch.Size([5, 7, 3]), torch.Size([3, 3]), False)
    """

    def __init__(self, variables: int, window: int | None = None, *, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        whole(variables=variables, **({} if window is None else {"window": window}))
        if not 0 <= dropout < 1:
            raise SchemaError(f"dropout is {dropout}: it is a share in [0, 1)")
        self.variables, self.window, self.dropout = variables, window, nn.Dropout(dropout)
        self.w_a, self.w_c = xavier(variables, variables), xavier(variables, variables)  # (V, V), (V, V)
        self.b_a = zeros(variables, 1) if bias else None  # (V, 1)
        self.b_c = zeros(variables, variables) if bias else None  # (V, V)
        self.w_t = xavier(window, window) if window else None  # (W, W)
        self.b_t = zeros(window, 1) if window and bias else None  # (W, 1)

    def forward(self, x: Tensor, graph: Tensor) -> tuple[Tensor, Tensor]:
        """Values (..., W, V) and a graph (V, V): the values mixed, and the evolved graph without gradient."""
        fitting(x, graph, self.window, self.variables)
        evolved = self.evolved(graph)  # (V, V)
        mix = cosine(evolved) * self.w_c  # (V, V)
        if self.b_c is not None:
            mix = mix + self.b_c
        x = self.dropout(x @ mix.T)  # (..., W, V)
        if self.w_t is not None:
            x = self.w_t.T @ x  # (..., W, V)
        if self.b_t is not None:
            x = x + self.b_t
        return x, evolved.detach()

    def evolved(self, graph: Tensor) -> Tensor:
        """H of a graph, both (V, V)."""
        moved = graph @ self.w_a
        return moved if self.b_a is None else moved + self.b_a


def fitting(x: Tensor, graph: Tensor, window: int | None, variables: int) -> None:
    """`SchemaError` unless x is (..., window or any, variables) and the graph (variables, variables)."""
    wanted = (window or "steps", variables)
    if x.dim() < 2 or x.shape[-1] != variables or (window and x.shape[-2] != window):
        raise SchemaError(f"the values have shape {tuple(x.shape)}, their last two axes must be {wanted}")
    if graph.shape != (variables, variables):
        raise SchemaError(f"the graph has shape {tuple(graph.shape)}, it must be {(variables, variables)}")


def whole(**sizes: int) -> None:
    """`SchemaError` unless all are whole numbers from 1 on."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise SchemaError(f"{name} is {size!r}: it must be a whole number, at least 1")


def xavier(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))


def zeros(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(rows, columns))
