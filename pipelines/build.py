"""The composition root: from plain configuration to a fleet. No configuration object travels below this file."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from forecast.errors import SchemaError, UnknownNameError
from forecast.schema import Task, duration
from forecast.spec import ALLOWED, from_spec, locate
from pipelines.fleet import Edges, Fleet, Nowcaster, Settings

Config = Mapping[str, Any]


def allowed_targets(config: Config) -> tuple[str, ...]:
    """The platform's packages, and those the user trusts."""
    return (*ALLOWED, *config.get("allowed_targets", ()))


def check_targets(config: Any, allowed: tuple[str, ...]) -> None:
    """Refuse every `_target_` outside the allowed packages before anything is built."""
    if isinstance(config, Mapping):
        if "_target_" in config:
            locate(config["_target_"], allowed)
        for value in config.values():
            check_targets(value, allowed)
    elif isinstance(config, list | tuple):
        for value in config:
            check_targets(value, allowed)


def build_fleet(config: Config, folder: Path) -> Fleet:
    """The fleet a configuration describes.

    Args:
        config: plain data (resolved), as composed by Hydra from conf/.
        folder: of this run: state and models go there.

    Raises:
        ForbiddenTargetError, UnknownNameError, SchemaError: in words, before anything is written.
    """
    allowed = allowed_targets(config)
    used = {k: config[k] for k in ("task", "source", "store", "tracker", "executor", "grid") if k in config}
    check_targets(used, allowed)
    task = from_spec(config["task"], allowed)
    if not isinstance(task, Task):
        raise SchemaError(f"`task` builds a {type(task).__name__}, not a Task: see conf/task/")
    parts = {k: from_spec(config[k], allowed) for k in ("source", "store", "tracker", "executor")}
    settings = Settings(
        history=config["history"],
        latency=duration(config["latency"]),
        refit=config["refit"],
        allowed=allowed,
        series=tuple(config.get("series") or ()),
        late=duration(config["late"]),
        register=config["register"],
    )
    return Fleet(config["fleet"], nowcasters(config, allowed), task, Edges(**parts), settings, folder)


def nowcasters(config: Config, allowed: tuple[str, ...]) -> list[Nowcaster]:
    """Every {model} x {reducer} x {policy} of the grid, after the baselines, which are trained once on everything.

    Each group is a mapping from label to spec; the labels make the names.
    """
    grid = config["grid"]
    for group in ("models", "reducers", "policies"):
        if not grid.get(group):
            raise UnknownNameError("empty group in grid", group, ["models", "reducers", "policies"])
    reducers = {label: from_spec(spec, allowed) for label, spec in grid["reducers"].items()}
    made = []
    full, never = {"_target_": "forecast.reduce.Full"}, {"_target_": "forecast.policy.Never"}
    for label, spec in grid.get("baselines", {}).items():
        labels = {"model": label, "reducer": "full", "policy": "never"}
        made.append(Nowcaster(label, spec, from_spec(full), from_spec(never), labels))
    for (m, model), r, (p, policy) in product(grid["models"].items(), reducers, grid["policies"].items()):
        if m in grid.get("baselines", {}):
            continue
        labels = {"model": m, "reducer": r, "policy": p}
        made.append(Nowcaster(f"{m}.{r}.{p}", model, reducers[r], from_spec(policy, allowed), labels))
    return made
