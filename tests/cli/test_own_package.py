"""A user's own table, task and model: a folder of YAML, a package on the path, nothing else."""

from __future__ import annotations

import math
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import process

FILES = {
    "code/lab/__init__.py": "",
    "code/lab/drift.py": '''
import numpy as np
from forecast.forecaster import Forecaster, Traits

class Drift(Forecaster):
    """The last value, moved by `slope` a step."""
    traits = Traits(learns=False)
    def __init__(self, slope: float = 0.0) -> None:
        self.slope = slope
    def _fit(self, panel, task, warm): pass
    def _predict(self, windows, task):
        last = np.nan_to_num(windows.values[:, :, -1:, : len(task.targets)])
        point = last + self.slope * np.array(task.leads)[:, None]
        return point[..., None] + np.array([-1.0, 0, 1.0])
    def _save(self, folder): pass
    def _load(self, folder): pass
''',
    "conf/variables/river.yaml": "level: {_target_: forecast.schema.Variable, name: level, unit: m, upper: 20}",
    "conf/task/river.yaml": """
_target_: forecast.schema.Task
targets: ["${variables.level}"]
horizon: 3
""",
    "conf/source/river.yaml": """
_target_: pipelines.sources.replay.Replay
table: river.csv
name: river
columns:
  _target_: pipelines.sources.mapping.Columns
  series: gauge
  time: at
  zone: UTC
  latency: 10m
  readings:
    - {_target_: pipelines.sources.mapping.Reading, variable: "${variables.level}", column: stage}
""",
    "conf/model/drift.yaml": "{_target_: lab.drift.Drift, slope: 0.01}",
    "conf/experiment/river.yaml": """
# @package _global_
defaults:
  - override /variables: river
  - override /task: river
  - override /source: river
  - override /model: drift
fleet: river
history: 200
clock: {days: 0.25}
""",
}


@pytest.fixture
def laboratory(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    hours = [(h, datetime(2024, 1, 1) + timedelta(hours=h)) for h in range(300)]  # noqa: DTZ001
    rows = [f"{g},{at.isoformat()},{3 + math.sin(h / 24):.3f}" for h, at in hours for g in "ab"]
    (tmp_path / "river.csv").write_text("\n".join(["gauge,at,stage", *rows]))
    return tmp_path


WORDS = ("+experiment=river", "--config-dir", "conf", "tracker=none", "executor=serial")


@pytest.mark.slow
def test_own_source_and_model(laboratory: Path) -> None:
    path = os.pathsep.join([str(laboratory / "code"), os.environ.get("PYTHONPATH", "")])
    refused = process("replay", *WORDS, cwd=laboratory, PYTHONPATH=path)
    assert refused.returncode == 2
    assert "'lab.drift.Drift' lies outside the allowed packages" in refused.stderr
    made = process("replay", *WORDS, "allowed_targets=[lab]", cwd=laboratory, PYTHONPATH=path)
    assert made.returncode == 0, made.stderr
    assert "river: 6 slots" in made.stdout
    assert "drift" in made.stdout
    shown = process("status", cwd=laboratory)
    assert "drift.variance_horizon.on_drift" in shown.stdout


def test_what_is_not_allowed_is_not_even_imported(forecast, tmp_path, monkeypatch) -> None:
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/trap.yaml").write_text("_target_: trap.Model")
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    said = forecast("replay", "--config-dir", "conf", "model=trap", "tracker=none", "store=memory", "executor=serial")
    assert said.code == 2
    assert "'trap.Model' lies outside the allowed packages" in said.err
