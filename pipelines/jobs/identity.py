"""What a run is: task, settings and nowcasters, kept in `run.json` beside its state. A run never changes them.

Threads, folder, port, clock, tracker and executor may change: they change no forecast.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from forecast.errors import SchemaError
from forecast.spec import to_spec
from pipelines.fleet import Fleet

FILE = "run.json"
SETTINGS = ("history", "latency", "late", "refit", "series")
ABSENT = "absent"


def identity(fleet: Fleet) -> dict[str, Any]:
    """Plain data that two processes of one run have in common."""
    own: dict[str, Any] = {
        n.name: {"model": threadless(to_spec(n.model)), "reducer": _spec(n.reducer), "policy": _spec(n.policy)}
        for n in fleet.nowcasters.values()
    }
    for n in fleet.nowcasters.values():
        if not n.region.whole:
            own[n.name]["region"] = {**asdict(n.region), "targets": list(n.region.targets)}
    settings = {name: to_spec(getattr(fleet.settings, name)) for name in SETTINGS}
    return {"nowcasters": sorted(own), "task": to_spec(fleet.task), **settings, "specs": own}


def check_identity(fleet: Fleet) -> None:
    """Refuse to go on with a run under another configuration than it began with.

    Raises:
        SchemaError: the first key that differs, with both values and the remedy.
    """
    path = fleet.folder / FILE
    if not path.exists():
        return
    try:
        kept = json.loads(path.read_text())
        same, before = kept["fingerprint"] == _fingerprint(identity(fleet)), dict(_leaves(kept["identity"]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SchemaError(
            f"{path} is damaged ({error}): restore it, or delete the whole folder {fleet.folder}"
        ) from error
    if same:
        return
    now = dict(_leaves(identity(fleet)))
    for key in [*before, *(k for k in now if k not in before)]:
        old, new = before.get(key, ABSENT), now.get(key, ABSENT)
        if old != new:
            raise SchemaError(
                f"the run in {fleet.folder} was made with {key.removeprefix('specs.')} = {old}, now it is {new}: "
                "a run keeps one configuration. Put it back, or take another run=NAME"
            )
    raise SchemaError(f"{path} was altered: restore it, or take another run=NAME")


def keep_identity(fleet: Fleet) -> None:
    """Write `run.json` when a run begins to work."""
    path, found = fleet.folder / FILE, identity(fleet)
    if not path.exists():
        fresh = path.with_name(FILE + ".new")
        fresh.write_text(json.dumps({"fingerprint": _fingerprint(found), "identity": found}, indent=1))
        fresh.replace(path)


def _fingerprint(found: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]


def _spec(part: Any) -> Any:
    """The spec of a reducer or policy; of a class that does not keep its arguments, its name alone."""
    try:
        return to_spec(part)
    except (AttributeError, TypeError, ValueError):
        return {"_target_": f"{type(part).__module__}.{type(part).__qualname__}"}


def threadless(spec: Any) -> Any:
    """A spec without its numbers of threads: they change no forecast."""
    if isinstance(spec, Mapping):
        return {k: threadless(v) for k, v in spec.items() if k != "threads"}
    return [threadless(v) for v in spec] if isinstance(spec, list) else spec


def _leaves(tree: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted key; a list of plain values is one."""
    if isinstance(tree, Mapping) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{place}.{name}".lstrip("."))
    elif isinstance(tree, list) and any(isinstance(v, Mapping | list) for v in tree):
        for k, value in enumerate(tree):
            yield from _leaves(value, f"{place}[{k}]")
    else:
        yield place, tree
