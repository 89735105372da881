"""Who takes part in a backtest: baselines, and every model with every reducer and every policy that it may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.policy import Policy
from forecast.spec import from_spec
from pipelines.backtest.cell import Walk
from pipelines.backtest.early import by_clock
from pipelines.backtest.seeds import seeded

FULL = {"_target_": "forecast.reduce.Full"}


@dataclass(frozen=True)
class Contestant:
    """One row of the tables: a model with a reducer, and with a policy or one fit per stretch.

    Args:
        label: in tables. model, reducer: specs. labels: `model`, `reducer` and, with a walk, `policy`.
        walk: how it is retrained; None: one fit per stretch. seeds: how often it is trained.
        pretrained: what its model had learnt from before, in words.
        clocked: its walk retrains by the clock, so that all its trainings are done at once (pipelines.backtest.early).
    """

    label: str
    model: dict[str, Any]
    reducer: dict[str, Any]
    labels: Mapping[str, str]
    walk: Walk | None = None
    seeds: int = 1
    pretrained: str = ""
    clocked: bool = False


def contestants(config: Mapping[str, Any], choices: Mapping[str, str], allowed: tuple[str, ...]) -> list[Contestant]:
    """The baselines on all rows, then every model with every reducer and, if it learns, with every policy of its own.

    Raises:
        UnknownNameError: no such reference, model or policy. ForbiddenTargetError, SchemaError: a spec that cannot be
        built.
    """
    asked, baselines = config["backtest"], config.get("baselines") or {}
    models = asked["models"] or {choices["model"]: config["model"]}
    reducers = asked["reducers"] or ({"full": FULL} if asked["models"] else {choices["reducer"]: config["reducer"]})
    allowed_to = _policies_of(asked, models)
    found = [
        _contestant(m, spec, FULL, {"model": m, "reducer": "full"}, asked, allowed) for m, spec in baselines.items()
    ]
    for m, model in models.items():
        for r, reducer in reducers.items():
            if baselines.get(m) == model and reducer == FULL and not _learns(model, allowed_to[m], allowed):
                continue  # it is that baseline
            for p in allowed_to[m] if _learns(model, allowed_to[m], allowed) else [""]:
                parts = [m, *([r] if len(reducers) > 1 else []), *([p] if p and len(asked["policies"]) > 1 else [])]
                labels = {"model": m, "reducer": r, **({"policy": p} if p else {})}
                walk = _walk(asked["policies"][p], config, allowed) if p else None
                found.append(_contestant(".".join(parts), model, reducer, labels, asked, allowed, walk))
    _check_names([one.label for one in found], str(asked["reference"]))
    return found


def _contestant(
    label: str,
    model: dict[str, Any],
    reducer: dict[str, Any],
    labels: Mapping[str, str],
    asked: Mapping[str, Any],
    allowed: tuple[str, ...],
    walk: Walk | None = None,
) -> Contestant:
    """Build all of it once, so that what is wrong is told now."""
    one: Forecaster = from_spec(model, allowed)
    from_spec(reducer, allowed)
    seeds = asked["seeds"] if seeded(one) else 1
    clocked = walk is not None and by_clock(from_spec(walk.policy, allowed))
    return Contestant(label, model, reducer, labels, walk, seeds, one.traits.pretrained, clocked)


def _walk(policy: dict[str, Any], config: Mapping[str, Any], allowed: tuple[str, ...]) -> Walk:
    """Where nothing is compared there is no refit to leave out: the setting makes no other cell."""
    built: Policy = from_spec(policy, allowed)
    return Walk(policy, config["backtest"]["history"], config["refit"] or not built.challenges)


def _learns(model: dict[str, Any], policies: Sequence[str], allowed: tuple[str, ...]) -> bool:
    """Whether there is something to retrain, and a rule that says when."""
    return bool(policies) and bool(from_spec(model, allowed).traits.learns)


def _policies_of(asked: Mapping[str, Any], models: Mapping[str, Any]) -> dict[str, list[str]]:
    """The labels of the policies of each model: all, or those that `only` names."""
    policies, only = asked["policies"] or {}, asked["only"] or {}
    for m, chosen in only.items():
        if m not in models:
            raise UnknownNameError("model of backtest.only", str(m), models)
        for p in chosen:
            if p not in policies:
                raise UnknownNameError(f"policy of backtest.only.{m}", str(p), policies)
    return {m: list(only.get(m, policies)) for m in models}


def check_policies(policies: Mapping[str, Any] | None, allowed: tuple[str, ...]) -> None:
    """Build every policy once.

    Raises:
        SchemaError: what is named is no policy. And what building raises.
    """
    for label, spec in (policies or {}).items():
        if not isinstance(spec, Mapping) or not isinstance(from_spec(spec, allowed), Policy):
            raise SchemaError(
                f"backtest.policies.{label} is no policy: choose one of conf/policy/, "
                f"+policy@backtest.policies.{label}=NAME"
            )


def _check_names(names: Sequence[str], reference: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SchemaError(f"two contestants are called '{name}': rename one in backtest.models or baselines")
    if reference not in names:
        raise UnknownNameError("backtest.reference", reference, names)
