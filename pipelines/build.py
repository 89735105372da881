"""The composition root: from plain configuration to a fleet. No configuration object travels below this file."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from forecast.errors import SchemaError
from forecast.schema import Task, duration
from forecast.spec import ALLOWED, from_spec
from pipelines.checking import check_targets
from pipelines.fleet import Edges, Fleet, Nowcaster, Settings

Config = Mapping[str, Any]
PARTS = ("source", "store", "tracker", "executor")
GRID = ("models", "reducers", "policies")
FULL, NEVER = {"_target_": "forecast.reduce.Full"}, {"_target_": "forecast.policy.Never"}  # of the baselines


def allowed_targets(config: Config) -> tuple[str, ...]:
    """The platform's packages, and those the user trusts."""
    return (*ALLOWED, *config.get("allowed_targets", ()))


def build_fleet(config: Config, folder: Path) -> Fleet:
    """The fleet a configuration describes.

    Args:
        config: plain data (resolved), as composed by Hydra from conf/.
        folder: of this run: state and models go there.

    Raises:
        ForbiddenTargetError, UnknownNameError, SchemaError: in words, before anything is written.
    """
    allowed = allowed_targets(config)
    for key in (*PARTS, "task", "baselines", "grid"):
        check_targets(config.get(key), allowed, key)
    task = from_spec(config["task"], allowed)
    if not isinstance(task, Task):
        raise SchemaError(f"`task` builds a {type(task).__name__}, not a Task: see conf/task/")
    specs = {k: config[k] for k in PARTS}
    if "allowed" in specs["tracker"]:  # registered models may be made of the user's classes too
        specs["tracker"] = {**specs["tracker"], "allowed": allowed}
    if "period" in specs["tracker"]:  # a metric's time is its slot's
        specs["tracker"] = {**specs["tracker"], "period": specs["tracker"]["period"] or task.step}
    parts = {k: from_spec(spec, allowed) for k, spec in specs.items()}
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

    Each group is a mapping from label to spec; the labels make the names. What is a baseline already is not made twice.
    """
    grid, baselines = config["grid"], config.get("baselines") or {}
    for group in GRID:
        if not grid.get(group):
            raise SchemaError(f"grid.{group} is empty: see conf/experiment/nyc.yaml, a grid has {', '.join(GRID)}")
    reducers = {label: from_spec(spec, allowed) for label, spec in grid["reducers"].items()}
    for spec in (*baselines.values(), *grid["models"].values(), *grid["policies"].values()):
        from_spec(spec, allowed)  # built for each nowcaster or training; here only so that what is wrong is told now
    made = []
    for label, spec in baselines.items():
        labels = {"model": label, "reducer": "full", "policy": "never"}
        made.append(Nowcaster(label, spec, from_spec(FULL), from_spec(NEVER), labels))
    for (m, model), r, (p, policy) in product(grid["models"].items(), reducers, grid["policies"].items()):
        if (model, grid["reducers"][r], policy) == (baselines.get(m), FULL, NEVER):
            continue  # it is that baseline
        labels = {"model": m, "reducer": r, "policy": p}
        made.append(Nowcaster(f"{m}.{r}.{p}", model, reducers[r], from_spec(policy, allowed), labels))
    return made
