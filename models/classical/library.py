"""statsforecast, loaded when first needed: it takes seconds, and only a fit needs it."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np

from forecast.errors import SchemaError

FIT_ERRORS = (ValueError, ArithmeticError, NotImplementedError, IndexError, np.linalg.LinAlgError)


def library() -> Any:
    """The module `statsforecast.models`.

    Raises:
        SchemaError: the extra is not installed.
    """
    try:
        return importlib.import_module("statsforecast.models")
    except ModuleNotFoundError as missing:
        raise SchemaError(
            f"this model is fitted by statsforecast ('{missing.name}' is not installed): "
            "pip install 'nowcastle[classical]'"
        ) from missing


def fitted(kind: str, line: np.ndarray, **settings: Any) -> dict[str, Any]:
    """What the library found for a line (T,) of mean 0 and deviation 1; its warnings about convergence are not ours."""
    model = getattr(library(), kind)(**settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(model.fit(line).model_)
