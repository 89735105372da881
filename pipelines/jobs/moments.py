"""The times a job is about: from text in the configuration to slots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from forecast.errors import SchemaError, UnknownNameError
from pipelines.clock import Clock, LiveClock, ReplayClock
from pipelines.fleet import Fleet
from pipelines.slots import slot_of


def parse_time(text: Any, key: str) -> datetime | None:
    """An ISO time in UTC; null stays null.

    Raises:
        SchemaError: not a time, or without a zone.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise SchemaError(f"{key} is '{text}', which is not a time: write it like 2013-05-21T00:00Z") from error
    if moment.tzinfo is None:
        full = moment.isoformat(timespec="minutes")
        raise SchemaError(f"{key} is '{text}', without a zone: write it like {full}Z for UTC")
    return moment.astimezone(UTC)


def clock_of(config: Mapping[str, Any]) -> Clock:
    """The real clock, or one that stands at `clock.now`."""
    moment = parse_time(config["clock"]["now"], "clock.now")
    return ReplayClock(moment) if moment else LiveClock()


def replay_slots(config: Mapping[str, Any], fleet: Fleet) -> list[datetime]:
    """Every slot of the replay, those done before too.

    Raises:
        SchemaError: a start off the grid, or a stretch outside of the source's rows.
    """
    step, days = fleet.task.step, timedelta(days=config["clock"]["days"])
    first, last = _span(fleet)
    start = parse_time(config["clock"]["start"], "clock.start") or first + fleet.settings.history * step
    if start != slot_of(start, step):
        raise SchemaError(f"clock.start {start:%Y-%m-%d %H:%M} is not a slot: with steps of {step}, the one before it "
                          f"is {slot_of(start, step):%Y-%m-%dT%H:%MZ}")  # fmt: skip
    if not first < start <= last:
        raise SchemaError(
            f"the replay would start at {start:%Y-%m-%d %H:%M}, and source '{fleet.edges.source.name}' has rows from "
            f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}: set clock.start=TIME inside, with some history before it"
        )
    return [start + k * step for k in range(max(1, int(days / step))) if start + k * step <= last]


def _span(fleet: Fleet) -> tuple[datetime, datetime]:
    """Times of the source's first and last row, its series checked on the way; asking moves no position."""
    rows = fleet.edges.source.poll({}, LiveClock().now()).frame
    if rows.is_empty():
        raise SchemaError(f"source '{fleet.edges.source.name}' has no rows: there is nothing to replay")
    first, last = (slot_of(cast("datetime", t), fleet.task.step) for t in (rows["time"].min(), rows["time"].max()))
    for name in (*fleet.settings.series, *(n.region.series for n in fleet.nowcasters.values() if n.region.series)):
        if name not in set(rows["series"]):
            raise UnknownNameError("series", name, set(rows["series"]))
    return first, last
