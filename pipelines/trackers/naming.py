"""What runs, tags, parameters and notes are called in MLflow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

KEY, FLEET, NOWCASTER, DIGEST = "nowcastle.key", "nowcastle.fleet", "nowcastle.nowcaster", "nowcastle.digest"
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"
ABOUT_EXPERIMENT = (
    "One parent run per fleet, one child run per nowcaster. Columns to show: `mae/*`, `skill/*` (higher is better), "
    "`cpu_s`, `ENC`, `retrains`; parameters `model`, `reducer`, `policy`."
)
ABOUT_FLEET = (
    "Fleet **{fleet}** with {count} nowcasters: {names}.\n\nTo compare: tick the child runs, press *Compare*; "
    "final figures are `mae/*`, `skill/*`, `cpu_s`, `ENC`, `retrains`, `rows`; `live/*` are curves over slots. "
    "The whole configuration is the artifact `config.yaml`."
)


def about(fleet: str, nowcasters: Mapping[str, Any]) -> str:
    return ABOUT_FLEET.format(fleet=fleet, count=len(nowcasters), names=", ".join(nowcasters))


def shared(params: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The parameters that every nowcaster has alike: those of the fleet."""
    sets = [set(facts.items()) for facts in params.values()]
    return dict(sorted(set.intersection(*sets))) if sets else {}


def flat(facts: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters with dotted names, as text; a `_target_` gives its owner the name of the class.

    >>> flat({"model": {"_target_": "models.lstm.LSTM", "hidden": 32}, "targets": ["a", "b"]})
    {'model': 'LSTM', 'model.hidden': '32', 'targets': 'a, b'}
    """
    out: dict[str, str] = {}
    for key, value in facts.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{key}.")
        elif key == "_target_":
            out[safe(prefix)] = str(value).rpartition(".")[2]
        elif isinstance(value, list | tuple):
            out[safe(prefix + key)] = ", ".join(str(v) for v in value)[:6000]
        else:
            out[safe(prefix + key)] = str(value)[:6000]
    return out


def safe(name: str) -> str:
    """`name` with letters, digits, dot, dash and underscore only."""
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("_.") or "unnamed"
