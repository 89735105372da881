"""The ledger against a slow witness of plain dicts, through late truths, revisions and restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.frame import STAMP
from forecast.ledger import KEY, Ledger

HOUR = timedelta(hours=1)
T0 = datetime(2020, 1, 1, tzinfo=UTC)
VARIABLES = ("temperature", "wind")
PATIENCE = 5 * HOUR
HORIZON = 3
Truth = dict[tuple[str, datetime, str], float]


def issued(slot: int, names: tuple[str, ...] = ("a", "b"), dead: str = "") -> pl.DataFrame:
    """Forecast rows of one slot; the point tells where it is from. The series `dead` has a status and no number."""
    rows = [
        {
            "slot": T0 + slot * HOUR,
            "nowcaster": name,
            "version": "v",
            "series": series,
            "origin": T0 + slot * HOUR,
            "time": T0 + (slot + lead) * HOUR,
            "lead": lead,
            "variable": variable,
            "status": "stale" if series == dead else "ok",
            "point": None if series == dead else 100.0 * slot + lead + (variable == "wind") / 2,
        }
        for name in names
        for series in ("EWR", "JFK")
        for lead in range(1, HORIZON + 1)
        for variable in VARIABLES
    ]
    times = dict.fromkeys(("slot", "origin", "time"), STAMP)
    return pl.DataFrame(rows, schema_overrides={**times, "point": pl.Float64})


def observed(truth: Truth) -> pl.DataFrame:
    places = sorted({(series, time) for series, time, _ in truth})
    rows = [{"series": s, "time": t, **{v: truth.get((s, t, v)) for v in VARIABLES}} for s, t in places]
    schema = {"series": pl.String, "time": STAMP, **dict.fromkeys(VARIABLES, pl.Float64)}
    return pl.DataFrame(rows, schema=schema)


class Witness:
    """The same book-keeping, one row at a time."""

    def __init__(self) -> None:
        self.open: list[dict] = []

    def issue(self, rows: pl.DataFrame) -> None:
        self.open += [row for row in rows.to_dicts() if row["point"] is not None]

    def settle(self, truth: Truth, now: datetime) -> list[dict]:
        done, left = [], []
        for row in self.open:
            value = truth.get((row["series"], row["time"], row["variable"]))
            if value is not None:
                done.append({**row, "truth": value, "error": row["point"] - value})
            elif row["time"] > now - PATIENCE:
                left.append(row)
        self.open = left
        return done


def known(value: float, *hours: int) -> Truth:
    return {(s, T0 + h * HOUR, v): value for h in hours for s in ("EWR", "JFK") for v in VARIABLES}


def test_nothing_promised_nothing_settled() -> None:
    assert Ledger(VARIABLES, PATIENCE).settle(observed(known(1.0, 1)), T0).is_empty()


def test_each_row_settles_once() -> None:
    ledger = Ledger(VARIABLES, PATIENCE)
    ledger.issue(issued(0))
    first = ledger.settle(observed(known(1.0, 1)), T0 + HOUR)
    assert first.height == 2 * 2 * 2
    assert set(first["lead"]) == {1}
    assert first["error"].to_list() == [p - 1.0 for p in first["point"]]
    assert ledger.settle(observed(known(1.0, 1)), T0 + HOUR).is_empty()


def test_a_revised_truth_does_not_settle_again() -> None:
    ledger = Ledger(VARIABLES, PATIENCE)
    ledger.issue(issued(0))
    ledger.settle(observed(known(1.0, 1)), T0 + HOUR)
    again = ledger.settle(observed(known(7.0, 1, 2)), T0 + 2 * HOUR)
    assert set(again["lead"]) == {2}


def test_a_late_truth_settles_within_patience() -> None:
    ledger = Ledger(VARIABLES, PATIENCE)
    ledger.issue(issued(0))
    for hour in range(1, 6):
        assert ledger.settle(observed({}), T0 + hour * HOUR).is_empty()
    late = ledger.settle(observed(known(1.0, 1, 2, 3)), T0 + 6 * HOUR)  # at 6 h the row of 1 h is 5 h old
    assert set(late["lead"]) == {1, 2, 3}


def test_a_truth_too_late_is_given_up() -> None:
    ledger = Ledger(VARIABLES, PATIENCE)
    ledger.issue(issued(0))
    assert ledger.settle(observed({}), T0 + 6 * HOUR).is_empty()
    assert set(ledger.settle(observed(known(1.0, 1, 2, 3)), T0 + 6 * HOUR)["lead"]) == {2, 3}


def test_one_variable_may_be_known_before_the_other() -> None:
    ledger = Ledger(VARIABLES, PATIENCE)
    ledger.issue(issued(0))
    wind = {key: value for key, value in known(1.0, 1).items() if key[2] == "wind"}
    assert set(ledger.settle(observed(wind), T0 + HOUR)["variable"]) == {"wind"}
    assert set(ledger.settle(observed(known(1.0, 1)), T0 + 2 * HOUR)["variable"]) == {"temperature"}


def test_a_series_without_a_forecast_promises_nothing() -> None:
    ledger = Ledger(VARIABLES, PATIENCE)
    ledger.issue(issued(0, dead="EWR"))
    assert set(ledger.settle(observed(known(1.0, 1, 2, 3)), T0 + 3 * HOUR)["series"]) == {"JFK"}
    ledger.issue(issued(4, dead="EWR").filter(pl.col("series") == "EWR"))
    assert ledger.settle(observed(known(1.0, 5)), T0 + 5 * HOUR).is_empty()


def test_rows_keep_the_order_they_were_issued_in() -> None:
    ledger = Ledger(VARIABLES, PATIENCE)
    rows = pl.concat([issued(0), issued(1)])
    ledger.issue(rows)
    done = ledger.settle(observed(known(1.0, 1, 2, 3, 4)).sort("time", descending=True), T0 + 4 * HOUR)
    assert done.select(KEY).equals(rows.select(KEY))


# ---- restarts


class Run:
    """What the loop does with the ledger: records first, promises after, and a state that knows the last slot."""

    def __init__(self, arrivals: dict[tuple[int, str, str], int]) -> None:
        self.arrivals = arrivals  # (hour, series, variable) -> hours until it is known
        self.forecasts: list[pl.DataFrame] = []
        self.settled: list[pl.DataFrame] = []
        self.done = -1
        self.ledger = Ledger(VARIABLES, PATIENCE)

    def truth(self, now: int) -> Truth:
        """Known by `now`; a value is revised an hour after it came."""
        seen = {key: now - key[0] - delay for key, delay in self.arrivals.items() if key[0] + delay <= now}
        return {(s, T0 + h * HOUR, v): h + 10.0 * (age > 0) for (h, s, v), age in seen.items()}

    def slot(self, k: int, crash: str = "") -> bool:
        now = T0 + k * HOUR
        matured = self.ledger.settle(observed(self.truth(k)), now)
        if matured.height and not any(f["slot_settled"][0] == k for f in self.settled):
            self.settled.append(matured.with_columns(slot_settled=pl.lit(k)))
        if crash == "settled":
            return False
        if len(self.forecasts) == k:
            self.forecasts.append(issued(k, dead="JFK" if k % 4 == 3 else ""))
        if crash == "issued":
            return False
        self.ledger.issue(self.forecasts[k])
        if crash == "unsaved":
            return False
        self.done = k
        return True

    def restart(self) -> None:
        self.ledger = Ledger(VARIABLES, PATIENCE)
        if self.done >= 0:
            everything = [pl.concat(x) if x else pl.DataFrame() for x in (self.forecasts, self.settled)]
            self.ledger.reload(*everything, T0 + self.done * HOUR)


COUNT = 14
ARRIVALS = st.fixed_dictionaries(
    {(h, s, v): st.integers(0, 8) for h in range(1, COUNT + HORIZON) for s in ("EWR", "JFK") for v in VARIABLES}
)
CRASHES = st.dictionaries(
    st.integers(0, COUNT - 1), st.lists(st.sampled_from(["settled", "issued", "unsaved", "after"]), max_size=3)
)


@settings(max_examples=25, deadline=None)
@given(arrivals=ARRIVALS, crashes=CRASHES)
def test_crashes_anywhere_change_nothing_and_the_witness_agrees(arrivals, crashes) -> None:
    whole, broken, witness, told = Run(arrivals), Run(arrivals), Witness(), []
    for k in range(COUNT):
        whole.slot(k)
        told += witness.settle(whole.truth(k), T0 + k * HOUR)
        witness.issue(issued(k, dead="JFK" if k % 4 == 3 else ""))
        for crash in crashes.get(k, []):
            if crash != "after":
                assert not broken.slot(k, crash)
                broken.restart()
        broken.slot(k)
        if "after" in crashes.get(k, []):
            broken.restart()
    for run in (whole, broken):
        rows = pl.concat(run.settled).drop("slot_settled").to_dicts() if run.settled else []
        assert rows == told
        assert run.ledger.pending is not None
        assert run.ledger.pending.to_dicts() == witness.open
    assert len({tuple(row[c] for c in KEY) for row in told}) == len(told)


def test_reloading_from_nothing() -> None:
    ledger = Ledger(VARIABLES, PATIENCE)
    ledger.reload(pl.DataFrame(), pl.DataFrame(), T0)
    assert ledger.pending is None
    ledger.reload(issued(0), pl.DataFrame(), T0)
    assert ledger.pending is not None
    assert ledger.pending.height == 24


def test_a_slot_that_did_not_end_is_not_promised_twice() -> None:
    ledger = Ledger(VARIABLES, PATIENCE)
    ledger.reload(pl.concat([issued(0), issued(1)]), pl.DataFrame(), T0)
    ledger.issue(issued(1))
    done = ledger.settle(observed(known(1.0, 1, 2, 3, 4)), T0 + 4 * HOUR)
    assert done.height == done.unique(KEY).height == 48


@pytest.mark.parametrize("count", [1, 500])
def test_many_rows_and_few(count) -> None:
    """Values against NumPy, for a fleet of any size."""
    ledger = Ledger(VARIABLES, PATIENCE)
    names = tuple(f"n{k}" for k in range(count))
    ledger.issue(issued(0, names))
    done = ledger.settle(observed(known(4.0, 1, 2, 3)), T0 + 3 * HOUR)
    np.testing.assert_array_equal(done["error"], done["lead"].to_numpy() + (done["variable"] == "wind") / 2 - 4.0)
    assert done.height == 12 * count
