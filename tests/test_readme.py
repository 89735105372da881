"""The README runs: its Python, its own-data example, and the names in its commands."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module

from pipelines.cli import JOBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.partition("  #")[0].strip()
    for kind, text in BLOCKS
    if kind == "sh"
    for line in text.splitlines()
    if re.match(r"(PYTHONPATH=\. )?forecast ", line)
]
PANDAS, POLARS, MODEL, CHECK = (text for kind, text in BLOCKS if kind == "python")
EIGHT, OTHER = ([line for line in text.splitlines() if line] for text in (PANDAS, POLARS))
POLARS = "\n".join([OTHER[0], *EIGHT[1:4], OTHER[1], *EIGHT[5:]])


def run(command: list[str], folder: Path) -> str:
    """What the command prints, run in `folder` as a user would."""
    quiet = {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "COLUMNS": "200"}
    environment = {**os.environ, **quiet, "PYTHONPATH": "."}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_files(folder: Path) -> None:
    """The files that the README shows, under the names in their first lines, and a month of its table."""
    for kind, text in BLOCKS:
        name = re.match(r"# (\S+\.(?:yaml|py))\n", text)
        if name and kind in ("yaml", "python"):
            path = folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    head = next(text for kind, text in BLOCKS if kind == "csv").splitlines()[0]
    rows = [
        f"{meter},2024-05-{day:02} {hour:02}:00,{40_000 + 900 * abs(12 - hour) + 37 * day},{50 + hour % 12}"
        for meter in ("north", "south")
        for day in range(1, 32)
        for hour in range(24)
    ]
    (folder / "load.csv").write_text("\n".join([head, *rows]) + "\n")


def overrides(command: str) -> list[list[str]]:
    """Every combination of overrides that a command runs with."""
    words = shlex.split(command)
    words = words[words.index("forecast") + 2 :]
    for flag in ("--config-dir", "--cfg"):
        if flag in words:
            at = words.index(flag)
            del words[at : at + 2]
    sweep = "-m" in words
    named = [w.partition("=") for w in words if "=" in w or w.startswith("~")]
    options = [[key + sign + one for one in (value.split(",") if sweep else [value])] for key, sign, value in named]
    return [list(choice) for choice in itertools.product(*options)]


def test_eight_lines_are_eight() -> None:
    assert len(EIGHT) <= 8


@pytest.mark.parametrize("code", [PANDAS, POLARS], ids=["pandas", "polars"])
def test_eight_lines_run(code: str, tmp_path: Path) -> None:
    printed = run([sys.executable, "-c", code], tmp_path)
    assert "XGBoost-lo-80" in printed
    assert (tmp_path / "forecast.png").stat().st_size > 10_000


def test_own_model_keeps_the_contract(tmp_path: Path) -> None:
    write_files(tmp_path)
    assert "checks passed" in run([sys.executable, "-c", CHECK], tmp_path)
    assert len(MODEL.splitlines()) <= 35


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_name_what_there_is(command: str, tmp_path: Path) -> None:
    words = shlex.split(command)
    assert words[words.index("forecast") + 1] in JOBS
    write_files(tmp_path)
    with initialize_config_module("forecast.conf", version_base="1.3"):
        for choice in overrides(command):
            compose("config", [*choice, f"hydra.searchpath=[file://{tmp_path / 'mine'}]"])


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in COMMANDS if "--config-dir" in c])
def test_own_data_and_own_model_are_replayed(command: str, tmp_path: Path) -> None:
    write_files(tmp_path)
    words = shlex.split(command)
    words = words[words.index("forecast") + 1 :]
    printed = run([str(Path(sys.executable).with_name("forecast")), *words], tmp_path)
    assert "skill" in printed
    assert list((tmp_path / "runs").glob("*/report.html"))


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = README + (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE)) <= targets


def test_links_lead_somewhere() -> None:
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / name).exists(), name
