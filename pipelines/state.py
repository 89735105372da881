"""What a fleet remembers between slots: one JSON file, replaced whole: a crash repeats a slot, never half of one."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from forecast.errors import SchemaError

FILE = "state.json"


@dataclass
class NowcasterState:
    """The memory of one nowcaster. Times are slots: the time of the newest row that could be used then.

    `trained_at` is when the champion was trained, `data_end` the newest row it was trained on: two things.
    """

    version: str = ""  # folder of the champion under models/<nowcaster>/; empty before the first
    trained_at: datetime | None = None
    data_end: datetime | None = None
    attempted_at: datetime | None = None
    failures: int = 0
    retrains: int = 0
    rows: int = 0
    of: int = 0
    last: dict[str, Any] = field(default_factory=dict)  # the newest decision, for `status`
    policy: dict[str, Any] = field(default_factory=dict)


@dataclass
class FleetState:
    """The memory of a fleet after `slot`."""

    slot: datetime | None = None
    series: list[str] = field(default_factory=list)
    nowcasters: dict[str, NowcasterState] = field(default_factory=dict)
    owed: list[dict[str, Any]] = field(default_factory=list)  # charges of a `train`: the next slot records them

    @property
    def trained_at(self) -> datetime | None:
        """When the newest champion was trained."""
        return max((n.trained_at for n in self.nowcasters.values() if n.trained_at), default=None)

    def of(self, name: str) -> NowcasterState:
        return self.nowcasters.setdefault(name, NowcasterState())


def save_state(state: FleetState, folder: Path) -> None:
    """Write atomically: beside, flushed to disk, then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / (FILE + ".new")
    with fresh.open("w") as out:
        json.dump(asdict(state), out, indent=1, default=lambda moment: moment.isoformat(), allow_nan=False)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(folder / FILE)


def load_state(folder: Path) -> FleetState:
    """The state in `folder`; a fresh one if there is none.

    Raises:
        SchemaError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return FleetState()
    try:
        raw = json.loads(path.read_text())
        nowcasters = {name: NowcasterState(**_times(s)) for name, s in raw["nowcasters"].items()}
        return FleetState(_time(raw["slot"]), list(raw["series"]), nowcasters, list(raw.get("owed", ())))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SchemaError(
            f"{path} is damaged ({error}): restore it, or delete the whole folder {folder} to start the run anew"
        ) from error


def _times(raw: dict[str, Any]) -> dict[str, Any]:
    return {k: _time(v) if k in ("trained_at", "data_end", "attempted_at") else v for k, v in raw.items()}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
