"""Several trainings of one model: its specs with other seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forecast.forecaster import Forecaster
from forecast.spec import from_spec, to_spec

SEED = "seed"


def seeded(model: Forecaster) -> bool:
    """Whether another seed may make another model: it, or one inside it, has a seed."""
    return _has_seed(_whole_spec(model))


def reseeded(spec: Mapping[str, Any], by: int, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The spec of a model with every seed of it, and of what is inside it, raised; as it was given where `by` is 0.

    >>> reseeded({"_target_": "forecast.reduce.Thin", "rows": 5}, 2, ("forecast",))
    {'_target_': 'forecast.reduce.simple.Thin', 'rows': 5, 'seed': 2}
    """
    if not by:
        return dict(spec)
    found: dict[str, Any] = _raised(_whole_spec(from_spec(spec, allowed)), by)
    return found


def _whole_spec(model: Any) -> Any:
    """The spec with what was left to the defaults; nothing, of a class that does not keep its arguments."""
    try:
        return to_spec(model)
    except (AttributeError, TypeError, ValueError):
        return {}


def _is_seed(name: str, value: Any) -> bool:
    return name == SEED and isinstance(value, int) and not isinstance(value, bool)


def _has_seed(spec: Any) -> bool:
    if isinstance(spec, Mapping):
        return any(_is_seed(name, value) or _has_seed(value) for name, value in spec.items())
    return isinstance(spec, list) and any(map(_has_seed, spec))


def _raised(spec: Any, by: int) -> Any:
    if isinstance(spec, Mapping):
        return {name: value + by if _is_seed(name, value) else _raised(value, by) for name, value in spec.items()}
    return [_raised(one, by) for one in spec] if isinstance(spec, list) else spec
