"""What a composed configuration must be, checked before anything is built or written; every message names the key."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from forecast.errors import SchemaError, UnknownNameError
from forecast.schema import duration
from forecast.spec import locate
from pipelines.slots import CATCHUP

GROUPS = ("variables", "task", "source", "store", "tracker", "executor", "model", "reducer", "policy", "baselines")
TEXTS = ("folder", "run", "fleet")
DURATIONS = ("latency", "late")
SWITCHES = ("refit", "register")
LEAST = {
    "history": 1,
    "keep_models": 0,
    "seed": 0,
    "port": 1,
    "threads.workers": 0,
    "threads.per_worker": 0,
}  # whole numbers
LISTS = ("series", "allowed_targets")
BACKTEST = (
    "models",
    "reducers",
    "policies",
    "only",
    "seeds",
    "reference",
    "part",
    "choose",
    "test",
    "end",
    "train",
    "history",
    "cutoffs",
    "every",
    "update",
    "horizons",
    "leads",
    "standardise",
    "pool",
    "season",
    "mase",
    "block",
    "report",
)
SECTIONS = {"clock": ("start", "days", "now"), "threads": ("workers", "per_worker"), "backtest": BACKTEST}
KEYS = {
    *GROUPS,
    *TEXTS,
    *DURATIONS,
    *SWITCHES,
    *LISTS,
    *SECTIONS,
    "history",
    "keep_models",
    "seed",
    "port",
    "catchup",
    "grid",
}
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


def checked(config: Mapping[str, Any], needed: Sequence[str] = ()) -> dict[str, Any]:
    """`config` with its settings of the right types. Keys that begin with `_` are the user's own.

    Args:
        needed: groups that must have a choice.

    Raises:
        UnknownNameError, SchemaError: what was given, what is allowed.
    """
    for name in config:
        if name not in KEYS and not name.startswith("_"):
            raise UnknownNameError("key", name, KEYS)
    for group in needed:
        if not isinstance(config.get(group), Mapping):
            raise SchemaError(f"{group} is {config.get(group)!r}: it must be a choice of conf/{group}/, {group}=NAME")
    for section, known in SECTIONS.items():
        if not isinstance(config.get(section), Mapping):
            keys = f"{section}.{', '.join(known)}"
            raise SchemaError(f"{section} is {config.get(section)!r}: it has keys of its own, set these: {keys}")
        for name in config[section]:
            if name not in known:
                raise UnknownNameError(f"key of {section}", name, known)
    for name, least in LEAST.items():
        _whole(name, _at(config, name), least)
    for name in SWITCHES:
        if not isinstance(config[name], bool):
            raise SchemaError(f"{name} is {config[name]!r}: it must be true or false")
    for name in DURATIONS:
        _duration(name, config[name])
    if config["catchup"] not in CATCHUP:
        raise UnknownNameError("catchup", str(config["catchup"]), CATCHUP)
    days = config["clock"]["days"]
    if isinstance(days, bool) or not isinstance(days, int | float) or not days > 0:
        raise SchemaError(f"clock.days is {days!r}: it must be a number above 0")
    lists = {name: _names(name, config.get(name)) for name in LISTS}
    return {**config, **{name: _text(name, config[name]) for name in TEXTS}, **lists}


def check_targets(spec: Any, allowed: tuple[str, ...], place: str = "") -> None:
    """Refuse `_target_`s outside the allowed packages and arguments of the wrong type, before anything is built."""
    if isinstance(spec, Mapping):
        if "_target_" in spec:
            _check_arguments(locate(spec["_target_"], allowed), spec, place)
        for name, value in spec.items():
            check_targets(value, allowed, f"{place}.{name}".lstrip("."))
    elif isinstance(spec, list | tuple):
        for k, value in enumerate(spec):
            check_targets(value, allowed, f"{place}[{k}]")


def _check_arguments(kind: Any, spec: Mapping[str, Any], place: str) -> None:
    try:
        hints = typing.get_type_hints(vars(kind).get("__init__", kind) if isinstance(kind, type) else kind)
    except NameError:  # a name that only type checkers see
        return
    for name, value in spec.items():
        plain = _plain(hints.get(name))
        if plain and not _fits(value, plain):
            wanted = " or ".join(WORDS.get(p, repr(p)) for p in plain)
            raise SchemaError(f"{place}.{name} is {value!r}: it must be {wanted}")


def _plain(hint: Any) -> tuple[Any, ...]:
    """The types, or literal values, that a hint allows; empty if it allows anything but plain ones."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    options: list[Any] = []
    for part in typing.get_args(hint) if union else (hint,):
        options += typing.get_args(part) if typing.get_origin(part) is typing.Literal else [part]
    return tuple(options) if all(o in WORDS or isinstance(o, str) for o in options) else ()


def _fits(value: Any, plain: tuple[Any, ...]) -> bool:
    if isinstance(value, str) and value in plain:
        return True
    kinds = {type(value)} | ({float} if type(value) is int else set())
    return any(k in kinds for k in plain)


def _at(config: Mapping[str, Any], name: str) -> Any:
    section, _, key = name.rpartition(".")
    return config[section][key] if section else config[key]


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SchemaError(f"{name} is {value!r}: it must be a whole number of at least {least}")


def _duration(name: str, value: Any) -> None:
    try:
        duration(value)
    except SchemaError as error:
        raise SchemaError(f"{name}: {error}") from error


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str | int | float) or not str(value).strip():
        raise SchemaError(f"{name} is {value!r}: it must be a name")
    return str(value)


def _names(name: str, value: Any) -> Sequence[str]:
    if not isinstance(value, list | tuple | None):
        raise SchemaError(f"{name} is {value!r}: it must be a list, {name}=[{value}]")
    return [str(v) for v in value or ()]
