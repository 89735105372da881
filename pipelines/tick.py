"""The one loop body. A backtest is a live run with another clock and another source.

    poll -> append -> settle -> decide -> (reduce -> train -> promote) -> update -> predict -> issue -> log -> save

Every step can be repeated: appends and records are written once per position or slot, everything else follows
from the store and the state of the slot before. So a crash between any two steps costs one repetition.
"""

from __future__ import annotations

from datetime import datetime
from typing import cast

import numpy as np
import polars as pl

from forecast.errors import CorruptModelError
from forecast.policy import Action, Situation
from pipelines.fleet import OVERHEAD, Fleet, Nowcaster
from pipelines.known import known, seen_by
from pipelines.losses import backtest_errors, scaled_loss, scaled_mean
from pipelines.records import Issued, cost_rows, decision_rows, forecast_rows
from pipelines.retrain import apply, forget, prune, trained
from pipelines.show import show
from pipelines.slot import Slot
from pipelines.sources.grid import on_grid
from pipelines.training import FAILURES, worded
from pipelines.updating import catch_up, update


def tick(fleet: Fleet, slot: datetime) -> Slot | None:
    """Do one slot; None if it was done before.

    Args:
        fleet: its state is moved on by one slot.
        slot: time of the newest row that may be used; acted on at slot + latency.
    """
    if fleet.state.slot is not None and slot <= fleet.state.slot:
        return None
    this = Slot.at(fleet, slot)
    for step in (ingest, settle, decide, retrain, update, predict, issue, log):
        step(fleet, this)
        fleet.probe(step.__name__)
    with fleet.meter.charge(OVERHEAD, "save"):
        fleet.save(slot)
        prune(fleet, [name for name, outcome in this.outcomes.items() if outcome.promoted])
    fleet.probe("save")
    return this


def ingest(fleet: Fleet, this: Slot) -> None:
    """Poll the source and append, rows and positions in one commit.

    What was rejected and which series are new is recorded first: once the positions have moved, no poll brings
    it again. Rows off the task's grid are rejected here, since one of them would stop every nowcaster.
    """
    store, key = fleet.edges.store, fleet.key(this.slot)
    with fleet.meter.charge(OVERHEAD, "ingest"):
        batch = on_grid(fleet.edges.source.poll(store.positions(), this.now), fleet.task.step, this.slot)
        if batch.rejected.height:
            store.record("rejected", batch.rejected.with_columns(slot=pl.lit(this.slot)), key)
            fleet.probe("rejected")
        if batch.frame.height or (batch.rejected.height and batch.positions):
            new = sorted(set(batch.frame["series"]) - set(fleet.state.series)) if batch.frame.height else []
            if new:
                store.record("series", pl.DataFrame({"series": new}).with_columns(slot=pl.lit(this.slot)), key)
                fleet.probe("series")
            store.append(_completed(fleet, batch.frame), batch.positions)
            fleet.probe("append")
        found = store.records("series", since=fleet.state.slot)
        known = {*fleet.state.series, *(found["series"] if found.height else ())}
        fleet.state.series = list(fleet.settings.series or sorted(known))


def _completed(fleet: Fleet, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows with null where the store has a column that this source does not report; the task's own must be there."""
    if frame.is_empty():
        return frame
    wanted = [v.name for v in getattr(fleet.edges.store, "variables", ()) if v.name not in fleet.task.names]
    return frame.with_columns(pl.lit(None, pl.Float64).alias(name) for name in wanted if name not in frame.columns)


def settle(fleet: Fleet, this: Slot) -> None:
    """Settle what has matured; after a restart, take what was settled then."""
    store, key = fleet.edges.store, fleet.key(this.slot)
    with fleet.meter.charge(OVERHEAD, "settle"):
        pending = fleet.ledger.pending
        if pending is not None and pending.height:
            truth = store.read(as_of=this.now, start=cast("datetime", pending["time"].min()), end=this.slot)
            matured = fleet.ledger.settle(truth, this.slot).with_columns(slot=pl.lit(this.slot))
            if matured.height:
                store.record("settled", matured, key)
        settled = store.records("settled", since=this.slot)
        this.matured = settled.filter(pl.col("slot") == this.slot) if settled.height else settled


def decide(fleet: Fleet, this: Slot) -> None:
    """Ask every policy; an error that cannot be told counts as no news, a champion that cannot be read as none."""
    load(fleet, this)
    errors = this.matured.partition_by("nowcaster", as_dict=True) if this.matured.height else {}
    for name, nowcaster in fleet.nowcasters.items():
        with fleet.meter.charge(name, "check"):
            state = fleet.state.of(name)
            try:
                error = _error(fleet, this, nowcaster, errors.get((name,)))
            except FAILURES as failure:
                error = float("nan")
                this.fault(name, f"check: {worded(failure)}")
            now = Situation(this.slot, state.trained_at, state.attempted_at, state.failures, error)
            this.decisions[name] = nowcaster.policy.decide(now)


def load(fleet: Fleet, this: Slot) -> None:
    """Load the champions that this process does not have yet; nobody pays for the libraries of the first one.

    Those that take in rows are brought to where they stood, at their own cost. One whose folder is damaged is told
    and forgotten. Whatever else fails is told where the champion is used.
    """
    fresh = []
    with fleet.meter.charge(OVERHEAD, "overhead"):
        for name in fleet.nowcasters:
            try:
                if not fleet.has_model(name) and fleet.model(name) is not None:
                    fresh.append(name)
            except CorruptModelError as damage:
                this.fault(name, f"champion: {worded(damage)}")
                forget(fleet, name)
            except FAILURES:
                continue
    catch_up(fleet, fresh)


def _error(fleet: Fleet, this: Slot, nowcaster: Nowcaster, rows: pl.DataFrame | None) -> float:
    """The champion's scaled error in this slot: of its forecasts as issued, or (`source: holdout`) made again.

    Either way on truths it was not trained on. Forecasts of its predecessors that mature now say nothing about it.
    """
    model = fleet.model(nowcaster.name)
    if model is None:
        return float("nan")
    if getattr(nowcaster.policy, "source", "live") == "live":
        if rows is None:
            return float("nan")
        own = rows.filter(pl.col("version") == fleet.state.of(nowcaster.name).version)
        assert model.task_ is not None
        return scaled_mean(own, dict(zip(model.task_.target_names, model.scale_, strict=True)))
    panel = seen_by(fleet, this, nowcaster, known(fleet, this, fleet.task.context + fleet.task.horizon))
    recent = backtest_errors(model, panel, this.slot - fleet.task.step)
    return scaled_loss(recent.filter(pl.col("origin") >= model.data_end_), model)


def retrain(fleet: Fleet, this: Slot) -> None:
    """Reduce, train and promote those whose policy says so; every champion goes on until another has beaten it."""
    chosen = [n for n in fleet.nowcasters.values() if this.decisions[n.name].action == Action.RETRAIN]
    if not chosen:
        return
    with fleet.meter.charge_shared([n.name for n in chosen], "features"):
        history = known(fleet, this, fleet.settings.history)
    for outcome in trained(fleet, chosen, history, this.slot):
        this.outcomes[outcome.nowcaster] = outcome
        apply(fleet, outcome, this.slot)


def predict(fleet: Fleet, this: Slot) -> None:
    """Every nowcaster that has a champion forecasts from this slot; one that cannot is noted, the others go on."""
    with fleet.meter.charge_shared(list(fleet.nowcasters), "features"):
        panel = known(fleet, this, fleet.task.context)
    load(fleet, this)
    made = []
    for name, nowcaster in fleet.nowcasters.items() if panel.series else ():
        with fleet.meter.charge(name, "predict"):
            try:
                model = fleet.model(name)
                if model is not None:
                    forecast = model.predict(seen_by(fleet, this, nowcaster, panel))
                    made.append(Issued(name, fleet.state.of(name).version, forecast))
            except FAILURES as failure:
                this.fault(name, f"forecast: {worded(failure)}")
    with fleet.meter.charge_shared(list(fleet.nowcasters), "predict"):
        this.forecasts = forecast_rows(made, this.slot)


def issue(fleet: Fleet, this: Slot) -> None:
    """Record the forecasts, then they are promised."""
    if this.forecasts.height:
        with fleet.meter.charge(OVERHEAD, "log"):
            fleet.edges.store.record("forecasts", this.forecasts, fleet.key(this.slot))
            fleet.ledger.issue(this.forecasts)


def log(fleet: Fleet, this: Slot) -> None:
    """Record decisions and costs; show them in the tracker."""
    key, store = fleet.key(this.slot), fleet.edges.store
    for name, decision in this.decisions.items():
        losses = {"loss": decision.loss, "reference": decision.reference}
        known = {key: None if np.isnan(value) else value for key, value in losses.items()}
        told = {"outcome": this.outcome(name)} if name in this.failed else {}
        fleet.state.of(name).last = {"action": str(decision.action), "why": decision.why, **known, **told}
    with fleet.meter.charge(OVERHEAD, "log"):
        decisions = decision_rows(this, fleet.state)
        store.record("decisions", decisions, key)
        fleet.probe("decisions")
        costs = cost_rows(fleet.meter.table(), fleet.charged, this.slot)
        fleet.charged = fleet.meter.table()
        store.record("costs", costs, key)
        fleet.probe("costs")
        show(fleet, this, costs)
