"""The graph of variables: which occur together, and how alike the rows of such a matrix are."""

from __future__ import annotations

import torch
from torch import Tensor

from forecast.errors import SchemaError

SMALLEST = 1e-12  # length below which a row has no direction


def cooccurrence(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """How much of each variable there is while another is present: (V, V), without gradient.

    A[b, c] = sum over series and steps of x[s, t, b] where c is present; of the diagonal the rest of its row is taken
    away, and it stays at zero or above.

    Args:
        x: values (..., V). mask: which are present, true or false, (..., V); None for those above zero, which fits
            counts and not standardised data. A gap (NaN) that the mask calls absent counts as nothing.

    Raises:
        SchemaError: no values, a mask of another shape, or a value that is not finite and not masked.

    Source: Spadon et al., "Pay attention to evolution", arXiv 2008.12833, section 3.

    >>> cooccurrence(torch.tensor([[[1.0, 0.0], [2.0, 3.0]]]))
    tensor([[1., 2.],
            [3., 0.]])
    """
    if not x.dim() or not x.numel():
        raise SchemaError(f"the values of a graph have shape {tuple(x.shape)}: give at least one row (..., V)")
    if mask is not None and mask.shape != x.shape:
        raise SchemaError(f"the mask of a graph has shape {tuple(mask.shape)}, the values {tuple(x.shape)}: give equal")
    with torch.no_grad():
        values = x.detach().reshape(-1, x.shape[-1])  # (R, V)
        present = values > 0 if mask is None else mask.reshape(values.shape).bool()  # (R, V)
        gaps = ~values.isfinite()
        if (gaps if mask is None else gaps & present).any():
            raise SchemaError(f"{int(gaps.sum())} values of a graph are not finite: give a mask that is false there")
        values = torch.where(gaps, 0, values)
        graph = values.T @ present.to(values.dtype)  # (V, V)
        own = 2 * graph.diagonal() - graph.sum(1)  # (V,): the diagonal less the rest of its row
        return graph.diagonal_scatter(own.clamp(min=0))


def cosine(rows: Tensor) -> Tensor:
    """Cosine of every two rows (V, K): (V, V); a row of zeros is at right angles to all.

    >>> cosine(torch.tensor([[2.0, 0.0], [3.0, 3.0]])).round(decimals=4)
    tensor([[1.0000, 0.7071],
            [0.7071, 1.0000]])
    """
    directions = rows / torch.linalg.vector_norm(rows, dim=-1, keepdim=True).clamp(min=SMALLEST)  # (V, K)
    return directions @ directions.T
