"""What a job refuses before it does anything: to go back in time, to skip slots, to wait for series that nobody has."""

from __future__ import annotations

from datetime import datetime

from forecast.errors import SchemaError, UnknownNameError
from pipelines.fleet import Fleet


def refuse_the_past(fleet: Fleet, first: datetime) -> None:
    """Refuse a first slot to do that lies before what the run knows already.

    Raises:
        SchemaError: a slot after `first` is done or recorded, or a champion was trained after it.
    """
    done, trained = fleet.state.slot, fleet.state.trained_at
    if done is not None and first < done:
        raise SchemaError(
            f"slot {first:%Y-%m-%d %H:%M} is asked for, and slot {done:%Y-%m-%d %H:%M} of this run is done: "
            "a model of the past would replace a newer one. Take a later moment, or another run=NAME"
        )
    if trained is not None and trained > first:
        raise SchemaError(
            f"slot {first:%Y-%m-%d %H:%M} is to be done, and a model of this run was trained at "
            f"{trained:%Y-%m-%d %H:%M}: it knows what came later. Take a later moment, or another run=NAME"
        )
    later = fleet.edges.store.records("decisions", since=first + fleet.task.step)
    if later.height:
        raise SchemaError(
            f"slot {first:%Y-%m-%d %H:%M} is to be done, and the store has records up to "
            f"{max(later['slot'].to_list()):%Y-%m-%d %H:%M}: state.json is older than the store, or gone. Restore it, "
            f"or delete the whole folder {fleet.folder} and start anew, or take another run=NAME"
        )


def refuse_to_skip(fleet: Fleet, slot: datetime) -> None:
    """Refuse to train later than the next slot of a run: its model would forecast the slots between.

    Raises:
        SchemaError: slots before `slot` are open; a run without any slot done may begin anywhere.
    """
    done, step = fleet.state.slot, fleet.task.step
    if done is not None and slot > done + step:
        raise SchemaError(
            f"clock.now stands at slot {slot:%Y-%m-%d %H:%M}, and this run has open slots from "
            f"{done + step:%Y-%m-%d %H:%M} on: run `forecast nowcast` first, or take another run=NAME"
        )


def refuse_unknown_series(fleet: Fleet, slot: datetime) -> None:
    """Refuse a name of `series` that neither the store nor the source has; asking moves no position.

    Raises:
        UnknownNameError: with the nearest name.
    """
    store = fleet.edges.store
    wanted = (*fleet.settings.series, *(n.region.series for n in fleet.nowcasters.values() if n.region.series))
    found = store.records("series") if wanted else None
    known = set(found["series"]) if found is not None and found.height else set()
    if not set(wanted) <= known:
        rows = fleet.edges.source.poll(store.positions(), slot + fleet.settings.latency).frame
        known |= set(rows["series"]) if rows.height else set()
    for name in wanted if known else ():
        if name not in known:
            raise UnknownNameError("series", name, known)
