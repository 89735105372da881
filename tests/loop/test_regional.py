"""Fleets for one station and one target each: built, run, compared with their own reference, shown in short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from forecast.errors import SchemaError, UnknownNameError
from forecast.policy import Always, Never
from forecast.reduce import Last, Reduction
from forecast.region import Region
from pipelines.build import nowcasters, regions
from pipelines.claims import CLAIMS, claims
from pipelines.configurations import by_configuration, of_one_place, per_configuration
from pipelines.fleet import Fleet, Nowcaster
from pipelines.jobs.identity import identity
from pipelines.jobs.setting_up import describe
from pipelines.records import Issued, forecast_rows
from pipelines.report import write_report
from pipelines.summary import summarise
from pipelines.tick import tick
from tests.loop.test_tick import LEVEL, on_drift, records
from tests.loop.world import FIRST, PERSISTENCE, TASK, crew, member, slots, weather

PLACES = [(series, target) for series in ("EWR", "JFK") for target in TASK.target_names]


class Counting(Last):
    """Counts how often it is asked."""

    asked = 0

    def _reduce(self, panel, task) -> Reduction:
        type(self).asked += 1
        return super()._reduce(panel, task)


def regional(model: str, reducer: str, policy: str, kind, made, spec=LEVEL) -> list[Nowcaster]:
    out = []
    for series, target in PLACES:
        labels = {"model": model, "reducer": reducer, "policy": policy, "series": series, "target": target}
        name = ".".join(labels.values())
        out.append(Nowcaster(name, spec, made, kind(), labels, Region(series, (target,))))
    return out


def everyone() -> list[Nowcaster]:
    short, full = Counting(100), Last(250)
    return [
        replace(member("persistence", Never()), labels={"model": "persistence", "reducer": "full", "policy": "never"}),
        *regional("level", "full", "always", Always, full),
        *regional("level", "full", "on_drift", on_drift, full),
        *regional("level", "variance_horizon", "always", Always, short),
        *regional("level", "variance_horizon", "on_drift", on_drift, short),
    ]


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Fleet:
    Counting.asked = 0
    loop = crew(tmp_path_factory.mktemp("regional"), everyone(), weather())
    for slot in slots(8):
        assert not tick(loop, slot).failed  # type: ignore[union-attr]
    return loop


def test_each_forecasts_its_own_and_nothing_else(ran) -> None:
    forecasts = ran.edges.store.records("forecasts")
    for nowcaster in ran.nowcasters.values():
        own = forecasts.filter(pl.col("nowcaster") == nowcaster.name)
        pairs = set(own.select("series", "variable").rows())
        wanted = {(nowcaster.region.series, nowcaster.region.targets[0])} if nowcaster.region.series else set(PLACES)
        assert pairs == wanted
        assert own.height == 8 * 3 * len(wanted)


def test_the_reducer_answers_once_for_all(ran) -> None:
    assert Counting.asked == 8


def test_a_regional_persistence_is_persistence(tmp_path) -> None:
    loop = crew(tmp_path, [member("all", Never()), *regional("p", "full", "never", Never, Last(250), PERSISTENCE)])
    for slot in slots(3):
        tick(loop, slot)
    rows = records(loop, "forecasts")[0]
    keys = ["slot", "series", "variable", "lead"]
    apart = rows.filter(pl.col("nowcaster") != "all").join(rows.filter(pl.col("nowcaster") == "all"), on=keys)
    assert apart.height == 3 * 12
    np.testing.assert_allclose(apart["point"], apart["point_right"])


def test_the_reference_is_of_the_same_place(ran) -> None:
    table = summarise(ran)
    settled, costs = ran.edges.store.records("settled"), ran.edges.store.records("costs")
    for series, target in PLACES:
        names = [f"level.{c}.{series}.{target}" for c in ("variance_horizon.on_drift", "full.always")]
        row = table.row(by_predicate=pl.col("nowcaster") == names[0], named=True)
        mine, theirs = (
            {k: abs(e) for *k4, e in settled.filter(pl.col("nowcaster") == n).select(
                "series", "variable", "origin", "lead", "error").rows() for k in [tuple(k4)]}
            for n in names
        )  # fmt: skip
        both = sorted(mine.keys() & theirs.keys())
        error = sum(mine[k] for k in both) / sum(theirs[k] for k in both)
        cost = [float(costs.filter(pl.col("nowcaster") == n)["cpu_s"].sum()) for n in names]
        assert row["dE"] == pytest.approx(100 * (error - 1))
        assert row["dC"] == pytest.approx(100 * (cost[0] / cost[1] - 1))


def test_configurations_are_geometric_means_over_places(ran) -> None:
    table = summarise(ran)
    short = per_configuration(table)
    assert short["nowcaster"].to_list() == ["persistence", *(
        f"level.{r}.{p}" for r in ("full", "variance_horizon") for p in ("always", "on_drift"))]  # fmt: skip
    assert short["nowcasters"].to_list() == [1, 4, 4, 4, 4]
    own = table.filter(pl.col("reducer") == "variance_horizon", pl.col("policy") == "on_drift")
    row = short.row(by_predicate=pl.col("nowcaster") == "level.variance_horizon.on_drift", named=True)
    assert row["dE"] == pytest.approx(100 * (np.prod(1 + own["dE"].to_numpy() / 100) ** 0.25 - 1))
    assert row["dC"] == pytest.approx(100 * (np.prod(1 + own["dC"].to_numpy() / 100) ** 0.25 - 1))
    assert row["ENC"] == pytest.approx((1 + row["dC"] / 100) * (1 + row["dE"] / 100))
    assert row["cpu_s"] == pytest.approx(own["cpu_s"].sum())
    assert row["mae/wind"] == pytest.approx(own["mae/wind"].mean())
    assert row["slots"] == 8


def test_a_fleet_for_everything_has_no_places(tmp_path) -> None:
    loop = crew(tmp_path, [member("a", Never())])
    for slot in slots(5):
        tick(loop, slot)
    table = summarise(loop)
    assert not {"series", "target"} & set(table.columns)
    assert per_configuration(table) is table
    assert by_configuration(table, table) is table


def test_records_of_one_place(ran) -> None:
    decisions, where = of_one_place(ran.edges.store.records("decisions"), summarise(ran))
    assert where == "EWR temperature"
    assert {n.split(".", 3)[-1] for n in decisions["nowcaster"].unique()} == {"persistence", "EWR.temperature"}


def test_claims_stand_beside_figures(ran) -> None:
    short = per_configuration(summarise(ran))
    console = Console(width=200, record=True)
    table = claims(short)
    assert table is not None
    console.print(table)
    text = console.export_text()
    assert all(claim in text for claim in CLAIMS.values())
    row = short.row(by_predicate=pl.col("nowcaster") == "level.full.on_drift", named=True)
    assert f"{row['dC']:+.1f} / {row['dE']:+.1f} / {100 * (1 - row['ENC']):+.1f}" in text
    assert claims(short.filter(pl.col("policy") == "always")) is None


def test_the_report_has_a_row_per_configuration(ran) -> None:
    page = write_report(ran, summarise(ran)).read_text()
    assert page.count("<tr>") == 1 + 5
    assert "EWR temperature" in page


def test_labels_go_to_the_tracker_and_the_region_to_the_identity(ran) -> None:
    facts = describe(ran)["level.full.always.JFK.wind"]
    assert (facts["series"], facts["target"], facts["targets"]) == ("JFK", "wind", "wind")
    specs = identity(ran)["specs"]
    assert specs["level.full.always.JFK.wind"]["region"] == {"series": "JFK", "targets": ["wind"], "neighbours": True}
    assert "region" not in specs["persistence"]


def grid(**places) -> dict:
    policies = {"never": {"_target_": "forecast.policy.Never"}, "always": {"_target_": "forecast.policy.Always"}}
    return {
        "baselines": {"p": PERSISTENCE},
        "grid": {
            "models": {"p": PERSISTENCE},
            "reducers": {"full": {"_target_": "forecast.reduce.Full"}},
            "policies": policies,
            **places,
        },
    }


def test_a_grid_is_multiplied_by_stations_and_targets() -> None:
    made = nowcasters(grid(stations=["EWR", "JFK"], targets=["wind"]), ("forecast", "models"))
    names = [n.name for n in made]
    assert names == ["p", *(f"p.full.{p}.{s}.wind" for p in ("never", "always") for s in ("EWR", "JFK"))]
    assert made[0].region.whole
    assert len({id(n.reducer) for n in made[1:]}) == 1
    assert len({id(n.policy) for n in made}) == 5
    assert [n.name for n in nowcasters(grid(), ("forecast", "models"))] == ["p", "p.full.always"]


def test_wrong_places_are_told() -> None:
    with pytest.raises(SchemaError, match="must be a list"):
        regions({"stations": "JFK"})
    with pytest.raises(SchemaError, match="twice"):
        regions({"targets": ["wind", "wind"]})
    with pytest.raises(UnknownNameError, match="did you mean 'stations'"):
        regions({"station": ["JFK"]})


def test_a_station_that_has_not_come_yet_fails_alone(tmp_path) -> None:
    late = replace(regional("l", "full", "always", Always, Last(250))[0], name="late", region=Region("ZZZ", ("wind",)))
    loop = crew(tmp_path, [late, member("good", Always())])
    done = tick(loop, FIRST)
    assert done is not None
    assert done.failed == ["late"]
    assert "unknown series 'ZZZ'" in done.outcomes["late"].why
    assert set(done.forecasts["nowcaster"]) == {"good"}


def test_rows_of_a_slot_are_those_of_each_forecast() -> None:
    """The frame made in one go, against one frame for each."""
    loop_task = replace(TASK, targets=TASK.targets[:1], past=TASK.targets[1:])
    from forecast.panel import Panel
    from forecast.spec import from_spec
    from tests.loop.world import HOUR, World

    panel = Panel.from_frame(World(weather()).poll({}, FIRST).frame, HOUR, TASK.names)
    issued = []
    for name, task in (("a", TASK), ("b", loop_task)):
        issued.append(Issued(name, f"v{name}", from_spec(PERSISTENCE).fit(panel, task).predict(panel)))
    silent = replace(panel, values=np.where(np.arange(2)[:, None, None] == 1, np.nan, panel.values))
    issued.append(Issued("c", "v", from_spec(PERSISTENCE).fit(panel, TASK).predict(silent)))
    rows = forecast_rows(issued, FIRST)
    for one in issued:
        own = rows.filter(pl.col("nowcaster") == one.nowcaster)
        assert own.drop("slot", "nowcaster", "version").equals(one.forecast.frame())
        assert own["version"].unique().to_list() == [one.version]
    assert rows["slot"].unique().to_list() == [FIRST]
    assert forecast_rows([], FIRST).is_empty()
