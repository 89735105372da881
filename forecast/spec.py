"""Objects as plain data and back: `{"_target_": "models.lstm.LSTM", "hidden": 32}`.

One form serves configuration and saved models. Works for every object whose constructor only stores its
arguments. Nothing outside the allowed packages is ever imported.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np

from forecast.errors import ForbiddenTargetError, SchemaError, UnknownNameError

ALLOWED = ("forecast", "models", "pipelines")
NOT_FINITE = {".inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}  # as in YAML: JSON has no word for them


def to_spec(value: Any) -> Any:
    """`value` as strict JSON data; infinity is ".inf", objects become `{"_target_": ..., argument: ...}`."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, timedelta):
        return f"{value / timedelta(seconds=1):.6f}".rstrip("0").rstrip(".") + "s"
    if isinstance(value, np.generic):
        return to_spec(value.item())
    if isinstance(value, Mapping):
        return {str(k): to_spec(v) for k, v in value.items()}
    if isinstance(value, Sequence):
        return [to_spec(v) for v in value]
    kind = type(value)
    arguments = {name: to_spec(getattr(value, name)) for name in parameters(kind)}
    return {"_target_": f"{kind.__module__}.{kind.__qualname__}", **arguments}


def from_spec(spec: Any, allowed: Sequence[str] = ALLOWED) -> Any:
    """The object a spec describes.

    Raises:
        ForbiddenTargetError: a `_target_` outside `allowed`; nothing has been imported then.
        UnknownNameError: no such class, or an argument it does not take (with the nearest name).
    """
    if isinstance(spec, Mapping):
        filled = {k: from_spec(v, allowed) for k, v in spec.items() if k != "_target_"}
        return _build(spec["_target_"], filled, allowed) if "_target_" in spec else filled
    if isinstance(spec, list | tuple):
        return [from_spec(v, allowed) for v in spec]
    return NOT_FINITE.get(spec, spec) if isinstance(spec, str) else spec


def locate(target: str, allowed: Sequence[str] = ALLOWED) -> Any:
    """The class or function named by a dotted path inside one of the allowed packages."""
    _check_allowed(target, target, allowed)
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as missing:
        if missing.name is None or not (module + ".").startswith(missing.name + "."):
            raise SchemaError(f"'{target}' needs the package '{missing.name}', which is not installed") from missing
        raise SchemaError(f"there is no module '{missing.name}' for target '{target}'") from missing
    if found is None:
        known = [n for n in vars(importlib.import_module(module)) if not n.startswith("_")]
        raise UnknownNameError(f"name in {module}", name, known)
    _check_allowed(target, f"{getattr(found, '__module__', None) or type(found).__name__}", allowed)
    return found


def _check_allowed(target: str, home: str, allowed: Sequence[str]) -> None:
    """`home` is where the target is defined: a name that an allowed module merely imports stays forbidden."""
    if not any(home == p or home.startswith(p + ".") for p in allowed):
        raise ForbiddenTargetError(
            f"'{target}' lies outside the allowed packages {', '.join(allowed)}: "
            "add its package to `allowed_targets` if you trust it"
        )


def parameters(kind: type) -> list[str]:
    """Names of the constructor's arguments."""
    return list(_parameters(kind))


@cache
def _parameters(kind: type) -> tuple[str, ...]:
    rest = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return tuple(p.name for p in inspect.signature(kind).parameters.values() if p.kind not in rest)


def _build(target: str, arguments: dict[str, Any], allowed: Sequence[str]) -> Any:
    kind = locate(target, allowed)
    known = parameters(kind) if isinstance(kind, type) else list(inspect.signature(kind).parameters)
    for name in arguments:
        if name not in known:
            raise UnknownNameError(f"key of {target}", name, known)
    try:
        return kind(**arguments)
    except TypeError as error:
        raise SchemaError(f"cannot build {target} from {sorted(arguments)}: {error}") from error
