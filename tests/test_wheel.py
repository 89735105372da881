"""The wheel, installed beside nothing but its dependencies, runs a job from a folder full of traps."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("forecast", "models", "pipelines", "conf", "setup.py", "pyproject.toml", "README.md", "LICENSE")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("setuptools") is None, reason="setuptools is not installed"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no build folder is left in the checkout."""
    copy, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.exists():
            shutil.copy(path, copy)
    code = f"from setuptools.build_meta import build_wheel; print(build_wheel({str(out)!r}))"
    built = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return next(out.glob("*.whl"))


def test_conf_is_inside_and_nothing_else_that_is_not_ours(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {n.removeprefix("forecast/conf/") for n in names if n.startswith("forecast/conf/")}
    assert {str(p.relative_to(ROOT / "conf")) for p in (ROOT / "conf").rglob("*.yaml")} <= shipped
    tops = {name.split("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"forecast", "models", "pipelines"}


def test_it_runs_a_job_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    zipfile.ZipFile(wheel).extractall(installed)  # what pip does with a wheel of pure Python
    elsewhere.mkdir()
    for name in ("models.py", "pipelines.py", "forecast.py", "conf.py"):
        (elsewhere / name).write_text("raise SystemExit('a stray file was imported')")
    script = tmp_path / "forecast"  # what the console script does
    script.write_text("import sys\nfrom pipelines.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n")
    words = ("replay", "model=persistence", "policy=always", "clock.start=2013-05-21T00:00Z", "clock.days=0.25")
    told = subprocess.run(
        [sys.executable, str(script), *words, "tracker=none", "threads.workers=1"],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.returncode == 0, told.stderr
    assert "nowcast: 6 slots" in told.stdout
    where = [sys.executable, "-c", "import forecast, models, pipelines; print(forecast.__file__, models.__file__)"]
    found = subprocess.run(
        where, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(installed)}, capture_output=True, text=True
    )
    assert found.stdout.count(str(installed)) == 2, found.stdout + found.stderr
