"""What the settings of a backtest must be; every message names the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forecast.errors import SchemaError, UnknownNameError

LEAST = {"cutoffs": 1, "every": 1, "update": 0, "season": 1, "block": 1}
MASE = ("lead", "season")
LISTS, GROUPS = ("horizons", "leads"), ("models", "reducers")


def check_settings(asked: Mapping[str, Any], horizon: int) -> None:
    """Refuse values of the wrong type; `horizon` is the task's.

    Raises:
        SchemaError, UnknownNameError: what was given, what it must be.
    """
    for name, least in LEAST.items():
        _whole(f"backtest.{name}", asked[name], least)
    if asked["history"] is not None:
        _whole("backtest.history", asked["history"], 1)
    if not isinstance(asked["standardise"], bool):
        raise SchemaError(f"backtest.standardise is {asked['standardise']!r}: it must be true or false")
    if asked["mase"] not in MASE:
        raise UnknownNameError("backtest.mase", str(asked["mase"]), MASE)
    for name in GROUPS:
        if asked[name] is not None and not isinstance(asked[name], Mapping):
            raise SchemaError(f"backtest.{name} is {asked[name]!r}: it gives each label a spec, see experiment/site12")
    for name in LISTS:
        _steps(f"backtest.{name}", asked[name])
    longest = max(asked["horizons"] or [horizon])
    if asked["leads"] and max(asked["leads"]) > longest:
        raise SchemaError(
            f"backtest.leads goes to {max(asked['leads'])}, the longest horizon is {longest}: leave it out"
        )


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SchemaError(f"{name} is {value!r}: it must be a whole number of at least {least}")


def _steps(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, list | tuple):
        raise SchemaError(f"{name} is {value!r}: it must be a list of whole numbers, [{value}]")
    for one in value:
        _whole(name, one, 1)
