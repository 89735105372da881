"""The composition root: from plain configuration to a fleet. No configuration object travels below this file."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from forecast.errors import SchemaError, UnknownNameError
from forecast.region import Region
from forecast.schema import Task, duration
from forecast.spec import ALLOWED, from_spec
from pipelines.checking import check_targets
from pipelines.fleet import Edges, Fleet, Nowcaster, Settings

Config = Mapping[str, Any]
PARTS = ("source", "store", "tracker", "executor")
GRID = ("models", "reducers", "policies")
PLACES = ("stations", "targets", "neighbours")
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
        keep_models=config.get("keep_models", Settings.keep_models),
    )
    made = nowcasters(config, allowed)
    _check_regions([n.region for n in made], task, settings)
    return Fleet(config["fleet"], made, task, Edges(**parts), settings, folder)


def nowcasters(config: Config, allowed: tuple[str, ...]) -> list[Nowcaster]:
    """Every {model} x {reducer} x {policy} of the grid, after the baselines, which are trained once on everything.

    Each group is a mapping from label to spec; the labels make the names. What is a baseline already is not made twice.
    With `stations` or `targets` in the grid each of these is made for every one of them, and sees the others as past
    inputs; the baselines stay on everything, and a reducer answers once for all.
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
    parts, where = (grid["models"].items(), reducers, grid["policies"].items()), regions(grid)
    for (m, model), r, (p, policy), region in product(*parts, where):
        if region.whole and (model, grid["reducers"][r], policy) == (baselines.get(m), FULL, NEVER):
            continue  # it is that baseline
        place = {k: v for k, v in (("series", region.series), ("target", ".".join(region.targets))) if v}
        labels = {"model": m, "reducer": r, "policy": p, **place}
        name = ".".join(labels.values())
        made.append(Nowcaster(name, model, reducers[r], from_spec(policy, allowed), labels, region))
    return made


def regions(grid: Config) -> list[Region]:
    """Every station x target of a grid; the whole where it names none.

    >>> [(r.series, *r.targets) for r in regions({"stations": ["JFK", "LGA"], "targets": ["wind"]})]
    [('JFK', 'wind'), ('LGA', 'wind')]
    """
    for name in grid:
        if name not in (*GRID, *PLACES):
            raise UnknownNameError("key of grid", name, (*GRID, *PLACES))
    stations, targets = ([str(v) for v in _listed(grid, name)] for name in ("stations", "targets"))
    neighbours = grid.get("neighbours", True)
    if not isinstance(neighbours, bool):
        raise SchemaError(f"grid.neighbours is {neighbours!r}: it must be true or false")
    return [
        Region(series, (target,) if target else (), neighbours)
        for series, target in product(stations or [""], targets or [""])
    ]


def _listed(grid: Config, name: str) -> list[Any]:
    value = grid.get(name)
    if not isinstance(value, list | tuple | None):
        raise SchemaError(f"grid.{name} is {value!r}: it must be a list, grid.{name}=[{value}]")
    if len(set(value or ())) < len(value or ()):
        raise SchemaError(f"grid.{name} names something twice: {value}")
    return list(value or ())


def _check_regions(asked: list[Region], task: Task, settings: Settings) -> None:
    """Refuse targets that the task has not, and stations that `series` leaves out."""
    for region in asked:
        region.task(task, settings.series)
        if region.series and settings.series and region.series not in settings.series:
            raise UnknownNameError("series in grid.stations", region.series, settings.series)
