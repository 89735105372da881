"""Champions that take in new rows without a refit: every slot, and after a restart what they had taken in before."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from forecast.forecaster import Forecaster
from pipelines.fleet import OVERHEAD, Fleet
from pipelines.known import known, read, seen_by
from pipelines.slot import Slot
from pipelines.training import FAILURES, worded


def update(fleet: Fleet, this: Slot) -> None:
    """Every champion with `traits.updates` takes in the rows up to this slot; one that cannot goes on without."""
    with fleet.meter.charge(OVERHEAD, "overhead"):  # a champion promoted in this slot is loaded here
        behind = {name: model for name, model in _updating(fleet).items() if end_of(model) < this.slot}
    if not behind:
        return
    rows = max(rows_back(fleet, model, this.slot) for model in behind.values())
    with fleet.meter.charge_shared(list(behind), "features"):
        panel = known(fleet, this, rows)
    for name, model in behind.items():
        with fleet.meter.charge(name, "update"):
            try:
                before = end_of(model)
                model.update(seen_by(fleet, this, fleet.nowcasters[name], panel))
            except FAILURES as failure:
                this.fault(name, f"update: {worded(failure)}")
            else:
                this.updated[name] = (end_of(model) - before) // fleet.task.step
                fleet.state.of(name).data_end = end_of(model)


def catch_up(fleet: Fleet, names: Iterable[str]) -> None:
    """Let champions loaded from their folders take in again what they had taken in when the last slot was saved.

    Rows are taken as they were known after that slot: one that came late was perhaps not known in its own, and is
    learnt now. So a restart changes nothing where rows come in time, and little elsewhere. The rows are read once for
    all that stood at the same one. What fails is told where the champion is brought to the present slot.
    """
    behind: dict[datetime, dict[str, Forecaster]] = {}
    last = fleet.state.slot
    for name in names if last is not None else ():
        model, end = fleet.model(name), fleet.state.of(name).data_end
        if model is not None and model.traits.updates and end is not None and end_of(model) < end:
            behind.setdefault(end, {})[name] = model
    for end, models in behind.items():
        assert last is not None
        rows = max(rows_back(fleet, model, end) for model in models.values())
        with fleet.meter.charge_shared(list(models), "features"):
            panel = read(fleet, end, last + fleet.settings.latency, rows)
        for name, model in models.items():
            with fleet.meter.charge(name, "update"), suppress(*FAILURES):
                model.update(fleet.nowcasters[name].region.panel(panel, fleet.task))


def rows_back(fleet: Fleet, model: Forecaster, end: datetime) -> int:
    """Rows up to `end` that an update needs: the new ones, and context and horizon before them."""
    return int((end - end_of(model)) / fleet.task.step) + fleet.task.context + fleet.task.horizon


def end_of(model: Forecaster) -> datetime:
    """The newest row that a fitted model has learnt."""
    assert model.data_end_ is not None
    return model.data_end_


def _updating(fleet: Fleet) -> dict[str, Forecaster]:
    found = {}
    for name in fleet.nowcasters:
        try:
            model = fleet.model(name)
        except FAILURES:  # told where it forecasts
            continue
        if model is not None and model.traits.updates:
            found[name] = model
    return found
