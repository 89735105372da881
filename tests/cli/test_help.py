"""Help, version and typing errors before any job runs: quick, and with the nearest name."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from pipelines.cli import JOBS

HEAVY = ("torch", "lightning", "mlflow", "hydra", "xgboost", "polars", "pandas", "numpy", "omegaconf")
PROBE = "import sys; from pipelines.cli import main; main({words}); print([m for m in {heavy} if m in sys.modules])"


@pytest.mark.parametrize("words", [["--help"], ["replay", "--help"], ["--version"], ["completion", "bash"]])
def test_imports_nothing_heavy(words: list[str]) -> None:
    start = time.perf_counter()
    code = PROBE.format(words=words, heavy=HEAVY)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    if words != ["replay", "--help"] and words[0] != "completion":
        assert told.splitlines()[-1] == "[]"
    assert not {"torch", "lightning", "mlflow", "hydra"} & set(told.splitlines()[-1].split("'"))
    assert time.perf_counter() - start < 5  # half a second where the machine is free


def test_help_takes_under_half_a_cpu_second() -> None:
    code = "import time; from pipelines.cli import main; main(['--help']); print(time.process_time())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(told.splitlines()[-1]) < 0.5


def test_help_names_every_job_in_one_line(forecast) -> None:
    said = forecast()
    assert said.code == 0
    for job, what in JOBS.items():
        assert any(line.split()[:1] == [job] and what in line for line in said.out.splitlines())


@pytest.mark.parametrize("job", [job for job in JOBS if job != "completion"])
def test_help_of_a_job_tells_settings_and_their_meaning(forecast, job: str) -> None:
    said = forecast(job, "--help")
    assert said.code == 0
    assert JOBS[job] in said.out
    assert "folder=runs" in said.out
    assert "where everything a job writes goes" in said.out


def test_help_of_replay_tells_choices_and_nested_keys(forecast) -> None:
    out = forecast("replay", "--help").out
    models = next(line for line in out.splitlines() if line.strip().startswith("model="))
    assert {"climatology", "lstm", "persistence"} <= set(models.replace("model=", "").replace(",", "").split())
    assert "clock.days=3" in out
    assert "hydra" not in out


def test_cfg_shows_the_configuration_and_writes_nothing(forecast, tmp_path) -> None:
    said = forecast("replay", "--cfg", "job", "history=77")
    assert said.code == 0
    assert "history: 77" in said.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["stauts"], "did you mean 'status'?"),
        (["replay", "modle=lstm"], "did you mean 'model'?"),
        (["replay", "model=lsmt"], "did you mean 'lstm'?"),
        (["replay", "policy.detectr=x"], "did you mean 'detector'?"),
        (["replay", "policy.detector.thresold=3"], "did you mean 'threshold'?"),
        (["replay", "variables.temprature.lower=3"], "did you mean 'temperature'?"),
        (["replay", "clock.strt=2013-05-21T00:00Z"], "did you mean 'start'?"),
        (["replay", "+experiment=nycc"], "did you mean 'nyc'?"),
        (["replay", "experiment=nyc"], "+experiment=nyc"),
        (["replay", "+hisotry=1"], "did you mean 'history'?"),
        (["replay", "+model.hiden=1", "model=lstm"], "did you mean 'hidden'?"),
        (["replay", "~polcy"], "did you mean 'policy'?"),
        (["replay", "model=lstm,xgboost"], "add -m"),
        (["replay", "junk"], "write key=value"),
        (["replay", "catchup=al"], "did you mean 'all'?"),
        (["-m", "replay"], "the job comes first"),
        (["completion", "bsh"], "did you mean 'bash'?"),
    ],
)
def test_a_typing_error_gives_the_nearest_name(forecast, words: list[str], nearest: str) -> None:
    said = forecast(*words)
    assert said.code == 2
    assert nearest in said.err
    assert "Traceback" not in said.err
    assert "hydra" not in said.err


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("history=many", "history is 'many': it must be a whole number of at least 1"),
        ("history=0", "history is 0"),
        ("refit=maybe", "refit is 'maybe': it must be true or false"),
        ("latency=soon", "latency: 'soon' is not a duration"),
        ("clock.days=-1", "clock.days is -1: it must be a number above 0"),
        ("clock.start=yesterday", "clock.start is 'yesterday', which is not a time"),
        ("clock.start=2013-05-21", "without a zone"),
        ("clock.start=2013-05-21T00:30Z", "is not a slot"),
        ("clock.start=2020-01-01T00:00Z", "has rows from 2013-01-01 06:00 to 2013-12-30 23:00"),
        ("series=JFK", "series=[JFK]"),
        ("series=[JKF]", "did you mean 'JFK'?"),
        ("allowed_targets=mine", "allowed_targets=[mine]"),
        ("threads.workers=-1", "threads.workers is -1"),
        ("task.horizon=six", "task.horizon is 'six': it must be a whole number"),
        ("model.slope=steep", "unknown key of model 'slope'"),
        ("fleet=null", "fleet is None"),
        ("grid={models: {}}", "grid.models is empty"),
        ("task._target_=os.system", "outside the allowed packages"),
        ("source._target_=pipelines.sources.replay.Repaly", "did you mean 'Replay'?"),
        ("policy.detector._target_=subprocess.Popen", "outside the allowed packages"),
    ],
)
def test_a_wrong_value_is_told_before_anything_is_written(forecast, tmp_path, override: str, told: str) -> None:
    model = "model=persistence"
    said = forecast("replay", model, "tracker=none", "store=memory", "executor=serial", override)
    assert said.code == 2
    assert told in said.err
    assert "Traceback" not in said.err
    assert not list(tmp_path.rglob("state.json"))
