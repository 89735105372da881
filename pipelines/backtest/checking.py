"""What the settings of a backtest must be; every message names the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from forecast.errors import SchemaError, UnknownNameError
from forecast.evaluation.findings import check_prices
from forecast.panel import Panel
from forecast.schema import Task

LEAST = {"cutoffs": 1, "every": 1, "update": 0, "season": 1, "block": 1, "seeds": 1}
MASE = ("lead", "season")
LISTS, GROUPS = ("horizons", "leads"), ("models", "reducers", "policies")
REPORT = ("references", "regimes", "weekdays", "filled", "trade", "costs_bp")


def check_settings(asked: Mapping[str, Any], horizon: int) -> None:
    """Refuse values of the wrong type; `horizon` is the task's.

    Raises:
        SchemaError, UnknownNameError: what was given, what it must be.
    """
    for name, least in LEAST.items():
        _whole(f"backtest.{name}", asked[name], least)
    if asked["history"] is not None:
        _whole("backtest.history", asked["history"], 1)
    _switch("backtest.standardise", asked["standardise"])
    if asked["pool"] is not None and not isinstance(asked["pool"], bool):
        raise SchemaError(f"backtest.pool is {asked['pool']!r}: it must be true, false, or null")
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
    _check_policies(asked)
    _check_report(asked["report"])


def _check_policies(asked: Mapping[str, Any]) -> None:
    """`only` gives lists of labels, and a walk has no fixed end of its training rows."""
    only = asked["only"]
    if only is not None and not isinstance(only, Mapping):
        raise SchemaError(
            f"backtest.only is {only!r}: it gives a model's label the labels of its policies, {{lstm: [never]}}"
        )
    if only and not asked["policies"]:
        raise SchemaError(
            "backtest.only chooses among backtest.policies, and there are none: drop one, or give the other"
        )
    for model, labels in (only or {}).items():
        if not isinstance(labels, list | tuple) or not labels:
            raise SchemaError(
                f"backtest.only.{model} is {labels!r}: give at least one of {', '.join(asked['policies'])} as a list"
            )
    if asked["policies"] and asked["train"] is not None:
        raise SchemaError("backtest.train ends the rows to fit on, and backtest.policies ask for later fits: drop one")


def _check_report(report: Any) -> None:
    if not isinstance(report, Mapping):
        raise SchemaError(f"backtest.report is {report!r}: it has keys of its own, {', '.join(REPORT)}")
    for name in report:
        if name not in REPORT:
            raise UnknownNameError("key of backtest.report", str(name), REPORT)
    for name in ("weekdays", "filled"):
        _switch(f"backtest.report.{name}", report[name])
    if not isinstance(report["references"], list | tuple):
        raise SchemaError(f"backtest.report.references is {report['references']!r}: it must be a list of contestants")
    if report["trade"] is not None and not isinstance(report["trade"], str):
        raise SchemaError(f"backtest.report.trade is {report['trade']!r}: it must be the name of a target, or null")
    _check_regimes(report["regimes"])
    _check_costs(report["costs_bp"])
    if report["costs_bp"] and report["trade"] is None:
        raise SchemaError(
            "backtest.report.costs_bp are those of the rule of backtest.report.trade, and there is none: drop them, or "
            "name a target to trade at"
        )


def check_names(report: Mapping[str, Any], labels: Sequence[str], targets: Sequence[str]) -> None:
    """Refuse a report on contestants or targets that there are not.

    Raises:
        UnknownNameError: with the nearest name.
    """
    for label in report["references"]:
        if label not in labels:
            raise UnknownNameError("contestant of backtest.report.references", str(label), labels)
    if report["trade"] is not None and report["trade"] not in targets:
        raise UnknownNameError("target of backtest.report.trade", report["trade"], targets)


def check_trade(asked: Mapping[str, Any], panel: Panel, task: Task, scored: Sequence[str], first: int) -> None:
    """Refuse a rule that trades at what is no price from row `first` on.

    Raises:
        SchemaError: standardised values, or some at or below zero.
    """
    name = asked["report"]["trade"]
    if name is None:
        return
    if asked["standardise"]:
        raise SchemaError(
            "backtest.report.trade needs prices, and backtest.standardise makes them deviations: drop one"
        )
    place = [panel.series.index(s) for s in scored]
    check_prices(panel.values[place, first:, task.target_names.index(name)], name)


def _check_regimes(regimes: Any) -> None:
    if not isinstance(regimes, Mapping | None):
        raise SchemaError(
            f"backtest.report.regimes is {regimes!r}: it gives each label its first moment, {{crash: 2020-02-28}}"
        )
    for label, begin in (regimes or {}).items():
        try:
            datetime.fromisoformat(begin.isoformat() if isinstance(begin, date) else begin)
        except (TypeError, ValueError) as error:
            raise SchemaError(
                f"backtest.report.regimes.{label} is {begin!r}, which is no time: write it as "
                "2020-02-28 or 2020-02-28T12:00Z"
            ) from error


def _check_costs(costs: Any) -> None:
    numbers = costs if isinstance(costs, list | tuple) else [None]
    if not all(isinstance(c, int | float) and not isinstance(c, bool) and 0 <= c < 1e4 for c in numbers):
        raise SchemaError(
            f"backtest.report.costs_bp is {costs!r}: it must be a list of basis points a side, each from 0 to "
            "below 10000, [5, 10]"
        )


def _switch(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise SchemaError(f"{name} is {value!r}: it must be true or false")


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
