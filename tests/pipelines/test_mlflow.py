"""The MLflow tracker: one migration, resumed runs, exact metrics, models that answer alike in a fresh process."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from rich.console import Console

from forecast.errors import CorruptModelError, SchemaError, UnknownNameError
from forecast.panel import Panel
from forecast.schema import Task, Variable
from forecast.spec import from_spec
from pipelines.compare import compare, render
from pipelines.protocols import Tracker
from pipelines.trackers.location import DATABASE, Location
from pipelines.trackers.mlflow import MlflowTracker
from pipelines.trackers.view import publish_view
from pipelines.ui import arguments, command, start, stop

FLEET = {
    "naive": {"model": "persistence", "reducer": "full", "policy": "never", "targets": ["temperature", "pressure"]},
    "tree": {
        "model": "xgboost",
        "reducer": "last",
        "policy": {"_target_": "pipelines.policies.Every", "period": "1d"},
        "seed": 3,
    },
}
CONFIG = {"task": {"horizon": 6}, "fleet": "airports"}
MODELS = {
    "models.persistence.Persistence": {},
    "models.xgboost.XGBoost": {},
    "models.lstm.LSTM": {},
}


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A migrated database, made once: a migration takes seconds, a copy nothing."""
    folder = tmp_path_factory.mktemp("template")
    Location(folder).ensure()
    return folder / DATABASE


@pytest.fixture
def folder(tmp_path, template):
    shutil.copy(template, tmp_path / DATABASE)
    return tmp_path


@pytest.fixture
def tracker(folder):
    tracker = MlflowTracker(folder, "weather")
    tracker.open("airports", CONFIG, FLEET)
    return tracker


def history(tracker, nowcaster, metric):
    points = tracker.client.get_metric_history(tracker.runs_[nowcaster].info.run_id, metric)
    return [(p.step, p.value) for p in sorted(points, key=lambda p: p.step)]


def frame_of(rows=60):
    rng = np.random.default_rng(0)
    start = datetime(2013, 1, 1, tzinfo=UTC)
    times = [start + timedelta(hours=i) for i in range(rows)]
    parts = [
        pl.DataFrame({"series": [s] * rows, "time": times, "temperature": rng.normal(10, 5, rows).tolist()})
        for s in ("EWR", "JFK")
    ]
    frame = pl.concat(parts).with_columns(pl.col("time").dt.cast_time_unit("us"), pressure=pl.col("temperature") + 1000)
    return frame.with_columns(temperature=pl.when(pl.int_range(pl.len()) != 20).then("temperature"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A fitted model of a class, its folder, its data."""

    def make(target="models.persistence.Persistence"):
        task = Task((Variable("temperature", "degC", -90, 60), Variable("pressure", "hPa")), horizon=3, context=6)
        frame = frame_of()
        panel = Panel.from_frame(frame.with_columns(seen=pl.col("time")), task.step, task.names)
        model = from_spec({"_target_": target, **MODELS[target]}).fit(panel, task)
        folder = tmp_path_factory.mktemp("model") / "v1"
        model.save(folder)
        return model, folder, frame, panel

    return make


def test_it_is_a_tracker(folder):
    assert isinstance(MlflowTracker(folder), Tracker)


def _start(folder, name):
    tracker = MlflowTracker(folder, "shared")
    tracker.open(name, {}, {"a": {"model": "m"}})
    tracker.log("a", {"live/mae": 1.0}, 1)
    tracker.close()


def test_four_processes_start_on_a_new_folder_at_once(tmp_path):
    context = multiprocessing.get_context("forkserver")  # processes of their own; MLflow's long import is paid once
    context.set_forkserver_preload(["pipelines.trackers.mlflow"])
    workers = [context.Process(target=_start, args=(tmp_path, f"fleet{i % 3}")) for i in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(120)
    assert [w.exitcode for w in workers] == [0, 0, 0, 0]
    runs = MlflowTracker(tmp_path, "shared").runs()
    assert set(runs["fleet"]) == {"fleet0", "fleet1", "fleet2"}
    assert set(runs["metrics.live/mae"]) == {1.0}
    assert not list(tmp_path.glob("*.new"))


def test_a_half_made_database_is_made_again(tmp_path, monkeypatch):
    made = []

    def migrate(self, folder):
        made.append((folder / (DATABASE + ".new")).exists())
        (folder / DATABASE).touch()

    monkeypatch.setattr(Location, "_migrate", migrate)
    (tmp_path / (DATABASE + ".new")).write_bytes(b"cut off")
    Location(tmp_path).ensure()
    Location(tmp_path).ensure()
    assert made == [True]


def test_relative_folders_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = Location("runs")
    assert here.uri == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert here.artifacts == f"{tmp_path}/runs/artifacts"
    assert Location("http://host:1").artifacts is None


def test_parent_and_children(tracker, folder):
    parent = tracker.client.get_run(tracker.parent_.info.run_id)
    tree = tracker.client.get_run(tracker.runs_["tree"].info.run_id)
    assert (parent.info.run_name, tree.info.run_name) == ("airports", "tree")
    assert tree.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert tree.data.params == {
        "model": "xgboost",
        "reducer": "last",
        "policy": "Every",
        "policy.period": "1d",
        "seed": "3",
    }
    assert "2 nowcasters" in parent.data.tags["mlflow.note.content"]
    naive = tracker.client.get_run(tracker.runs_["naive"].info.run_id)
    assert naive.data.params["targets"] == "temperature, pressure"
    assert naive.info.artifact_uri.startswith(f"{folder}/artifacts/weather/")
    config = tracker.client.download_artifacts(parent.info.run_id, "config.yaml")
    assert "horizon: 6" in Path(config).read_text()


def test_metrics_are_buffered_and_unfit_values_left_out(tracker):
    for slot in range(3):
        tracker.log("naive", {"live/mae/temperature": slot / 2, "x": math.nan, "y": math.inf, "z": None}, slot)
    assert history(tracker, "naive", "live/mae/temperature") == []
    tracker.flush()
    assert history(tracker, "naive", "live/mae/temperature") == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert set(tracker.client.get_run(tracker.runs_["naive"].info.run_id).data.metrics) == {"live/mae/temperature"}


def test_more_metrics_than_one_call_takes(tracker):
    for slot in range(900):
        tracker.log("naive", {"a": slot, "b": -slot}, slot)
    tracker.log("tree", {f"m{i}": i for i in range(2500)}, 5)
    tracker.flush()
    assert len(history(tracker, "naive", "a")) == len(history(tracker, "naive", "b")) == 900
    assert history(tracker, "tree", "m2499") == [(5, 2499.0)]


def test_a_killed_run_goes_on_and_nothing_is_doubled(tracker, folder):
    tracker.log("naive", {"a": 1.0}, 1)
    tracker.flush()
    again = MlflowTracker(folder, "weather")  # a new process after kill -9: the runs were never closed
    again.open("airports", CONFIG, FLEET)
    assert again.parent_.info.run_id == tracker.parent_.info.run_id
    assert {n: r.info.run_id for n, r in again.runs_.items()} == {n: r.info.run_id for n, r in tracker.runs_.items()}
    again.log("naive", {"a": 1.0}, 1)  # the tick that was cut off, repeated
    again.log("naive", {"a": 2.0}, 2)
    again.close()
    assert history(tracker, "naive", "a") == [(1, 1.0), (2, 2.0)]
    assert set(again.runs()["status"]) == {"FINISHED"}
    assert again.runs().height == 2


def test_killed_while_closing(tracker, folder):
    tracker.client.set_terminated(tracker.runs_["naive"].info.run_id)
    again = MlflowTracker(folder, "weather")
    again.open("airports", CONFIG, FLEET)
    assert again.runs().height == 2
    assert set(again.runs()["status"]) == {"RUNNING"}


@pytest.mark.parametrize("change", ["closed", "config", "nowcasters"])
def test_another_run_where_it_is_another(tracker, folder, change):
    first = tracker.parent_.info.run_id
    if change == "closed":
        tracker.close("FAILED")
    again = MlflowTracker(folder, "weather")
    config = CONFIG | ({"seed": 2} if change == "config" else {})
    again.open("airports", config, {"naive": FLEET["naive"]} if change == "nowcasters" else FLEET)
    assert again.parent_.info.run_id != first
    assert again.runs()["parent"].n_unique() == 2


def test_several_fleets_are_open_at_once(tracker, folder):
    other = MlflowTracker(folder, "weather")
    other.open("harbours", CONFIG, FLEET)
    tracker.log("naive", {"a": 1.0}, 1)
    other.log("naive", {"a": 2.0}, 1)
    other.close()
    tracker.close()
    runs = tracker.runs().filter(nowcaster="naive")
    assert dict(runs.select("fleet", "metrics.a").iter_rows()) == {"airports": 1.0, "harbours": 2.0}


def test_artifacts(tracker, tmp_path):
    (tmp_path / "lead.png").write_bytes(b"png")
    (tmp_path / "notes.txt").write_text("text")
    tracker.artifact(tmp_path / "lead.png", "naive")
    tracker.artifact(tmp_path / "notes.txt")
    names = [a.path for a in tracker.client.list_artifacts(tracker.runs_["naive"].info.run_id, "figures")]
    assert names == ["figures/lead.png"]
    assert "notes.txt" in [a.path for a in tracker.client.list_artifacts(tracker.parent_.info.run_id)]


def test_mistakes_are_told_in_words(tracker):
    with pytest.raises(UnknownNameError, match="did you mean 'naive'"):
        tracker.log("naiv", {"a": 1.0}, 1)
    with pytest.raises(UnknownNameError, match="did you mean 'weather'"):
        tracker.runs("wether")
    with pytest.raises(UnknownNameError, match="FINISHED"):
        tracker.close("finished")
    with pytest.raises(CorruptModelError, match="save the forecaster first"):
        tracker.register("naive", tracker.location.folder, {})


def test_an_empty_experiment_reads_as_an_empty_frame(folder):
    runs = MlflowTracker(folder).runs("Default")
    assert runs.height == 0
    with pytest.raises(SchemaError, match="no runs to compare"):
        compare(runs)


def test_aliases(tracker, saved, tmp_path):
    name = tracker.model_name("naive")
    _, first, _, _ = saved()
    copies = []
    for i in range(3):
        shutil.copytree(first, tmp_path / f"v{i}")
        manifest = json.loads((tmp_path / f"v{i}" / "manifest.json").read_text()) | {"data_end": f"2013-02-0{i + 1}"}
        (tmp_path / f"v{i}" / "manifest.json").write_text(json.dumps(manifest))
        copies.append(tmp_path / f"v{i}")
    tracker.register("naive", copies[0], {"slot": 1})
    tracker.register("naive", copies[0], {"slot": 1})  # a tick repeated after a crash
    tracker.register("naive", copies[1], {"slot": "2"})
    tracker.register("naive", copies[2], {"slot": "3"}, alias="challenger")
    aliases = {a: str(v) for a, v in tracker.client.get_registered_model(name).aliases.items()}
    assert aliases == {"champion": "2", "previous": "1", "challenger": "3"}
    assert tracker.client.get_model_version(name, "3").tags["slot"] == "3"


FRESH = """
import sys, mlflow, pandas as pd
for name in sys.argv[1:]:
    model = mlflow.pyfunc.load_model(f"models:/airports.{name}@champion")
    model.predict(pd.read_parquet("in.parquet")).to_parquet(f"{name}.parquet")
"""


@pytest.fixture(scope="module")
def answers(template, saved, tmp_path_factory):
    """Every model registered, then loaded by one fresh process: class -> (its answer there, its answer here)."""
    folder, elsewhere = tmp_path_factory.mktemp("registry"), tmp_path_factory.mktemp("elsewhere")
    shutil.copy(template, folder / DATABASE)
    tracker, expected = MlflowTracker(folder), {}
    names = {target: target.rpartition(".")[2] for target in MODELS if find_spec(target.rpartition(".")[0])}
    tracker.open("airports", {}, {name: {"model": name} for name in names.values()})
    for target, name in names.items():
        model, made, frame, panel = saved(target)
        tracker.register(name, made, {})
        shutil.rmtree(made)  # the registry keeps its own copy
        expected[target] = model.predict(panel).frame()
    frame.to_pandas().to_parquet(elsewhere / "in.parquet")
    assert not [p for p in folder.rglob("*") if "pkl" in p.name or "pickle" in p.name]
    strict = {"MLFLOW_TRACKING_URI": tracker.location.uri, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    call = [sys.executable, "-W", "error::UserWarning:mlflow", "-c", FRESH, *names.values()]
    done = subprocess.run(call, env=os.environ | strict, cwd=elsewhere, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {
        target: (pl.read_parquet(elsewhere / f"{name}.parquet"), expected[target]) for target, name in names.items()
    }


@pytest.mark.parametrize("target", MODELS)
def test_a_registered_model_answers_alike_in_a_fresh_process(answers, target):
    if target not in answers:
        pytest.skip("not in the zoo")
    there, here = answers[target]
    assert there.equals(here)


@pytest.fixture(scope="module")
def loaded(saved):
    import mlflow.pyfunc

    from pipelines.trackers.packaging import packaged

    model, folder, frame, panel = saved()
    with packaged(folder, ("forecast", "models")) as made:
        yield mlflow.pyfunc.load_model(str(made)), frame.to_pandas(), model.predict(panel).frame()


@pytest.mark.parametrize("form", ["utc", "zone", "text", "seen", "shuffled"])
def test_forms_of_time(loaded, form):
    model, given, expected = loaded
    zone = given["time"].dt.tz_convert("America/New_York")
    forms = {
        "utc": given,
        "zone": given.assign(time=zone),
        "text": given.assign(time=given["time"].dt.strftime("%Y-%m-%dT%H:%MZ")),
        "seen": given.assign(seen=given["time"]),
        "shuffled": given.sample(frac=1, random_state=0),
    }
    assert pl.from_pandas(model.predict(forms[form])).equals(expected)


@pytest.mark.parametrize("form", ["naive", "text"])
def test_naive_times_are_refused(loaded, form):
    model, given, _ = loaded
    naive = given["time"].dt.tz_localize(None)
    with pytest.raises(SchemaError, match="'time' holds naive datetimes"):
        model.predict(given.assign(time=naive if form == "naive" else naive.astype(str)))


def test_missing_columns_are_refused(loaded):
    with pytest.raises(Exception, match="pressure"):
        loaded[0].predict(loaded[1].drop(columns="pressure"))
    assert isinstance(loaded[1], pd.DataFrame)


@pytest.fixture
def many(tracker):
    """Three more nowcasters' worth of final figures, one of them without."""
    final = {"mae/temperature": 1.2345, "mae/pressure": 0.5, "skill/temperature": 0.2, "skill/pressure": 0.4}
    rest = {
        "coverage80/temperature": 0.81,
        "cpu_s": 12.5,
        "dC": 0.9,
        "dE": 0.01,
        "ENC": 0.3,
        "retrains": 4,
        "rows": 8760,
    }
    tracker.log("tree", {**final, **rest, "live/mae/temperature": 9.0}, 10)
    tracker.log("naive", {"mae/temperature": 2.0, "skill/temperature": 0.0, "cpu_s": 0.1}, 10)
    tracker.close()
    return tracker


def test_comparison(many):
    many.open("airports", CONFIG, FLEET)  # a second run of the same configuration is the one that counts
    many.log("tree", {"mae/temperature": 1.0, "skill/temperature": 0.3}, 10)
    many.log("naive", {"mae/temperature": 2.0, "cpu_s": 0.1}, 10)
    many.close()
    table = compare(many.runs())
    assert table.columns[:3] == ["model", "reducer", "policy"]
    assert [c for c in table.columns if "/" in c][:2] == ["mae/pressure", "mae/temperature"]
    assert "live/mae/temperature" not in table.columns
    assert table["model"].to_list() == ["xgboost", "persistence"]
    assert table["mae/temperature"].to_list() == [1.0, 2.0]
    assert table["skill/temperature"].to_list() == [0.3, None]


def test_comparison_of_experiments(many, folder):
    other = MlflowTracker(folder, "other")
    other.open("airports", CONFIG, FLEET)
    other.log("tree", {"mae/temperature": 3.0}, 10)
    other.close()
    table = compare(many.runs("weather", "other"))
    assert set(table["experiment"]) == {"weather", "other"}
    assert table.height == 4


def test_rendering_fits_a_console(many):
    console = Console(width=120, record=True, file=StringIO(), color_system=None)
    table = compare(many.runs())
    console.print(render(table, "weather"))
    text = console.export_text()
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 120
    for word in ("xgboost", "1.23", "0.300", "8,760", "0.1", "skill"):
        assert word in text


def test_the_view_of_an_experiment(many):
    page = publish_view(many)
    home = many.client.get_experiment_by_name("weather")
    state = json.loads(home.tags["mlflow.sharedViewState.nowcastle"])
    assert page.startswith(f"/#/experiments/{home.experiment_id}/runs?")
    assert state["orderByKey"] == "metrics.`mae/pressure`"
    assert {"params.`model`", "metrics.`cpu_s`"} <= set(state["selectedColumns"])
    found = many.client.search_runs([home.experiment_id], state["searchFilter"])
    assert {run.info.run_name for run in found} == set(FLEET)


@pytest.mark.slow
def test_the_pages_open(many, folder):
    import socket
    from urllib.request import urlopen

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = start(folder, port)
    try:
        assert b"MLflow" in urlopen(f"http://127.0.0.1:{port}/").read()
    finally:
        stop(server)
    with pytest.raises(OSError, match="refused"):
        urlopen(f"http://127.0.0.1:{port}/health")
    assert "--host 127.0.0.1" in command(folder, port)
    with pytest.raises(SchemaError, match="server already"):
        arguments("http://127.0.0.1:5000")
