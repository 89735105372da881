"""The notebooks run as scripts, and the two files of each, the script and the executed notebook, say the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from pipelines.sources.shared import shared_folder

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SCRIPTS = sorted(NOTEBOOKS.glob("*.py"))
SAYS = {  # lines that show that a script came to its point
    "first_look": ("retrain (drift)",),
    "stocks": ("last Open repeated, values:   R2 0.93", "3. Long/flat net of 10 bp a side: "),
}
NEEDS = {"stocks": "markets/nifty50_daily.csv"}  # tables that the project may not bring along


def _cells(path: Path) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


def _run(script: Path, folder: Path, **settings: str) -> str:
    quiet = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", **settings}
    done = subprocess.run([sys.executable, str(script)], cwd=folder, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_notebook_is_the_script_executed(script: Path) -> None:
    notebook = script.with_suffix(".ipynb")
    assert _cells(notebook) == _cells(script), (
        f"{notebook.name} is not {script.name}: `make notebook` executes it again"
    )
    code = [c for c in nbformat.read(notebook, as_version=4).cells if c.cell_type == "code"]
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    kinds = [o.output_type for c in code for o in c.outputs]
    assert "error" not in kinds
    assert "display_data" in kinds
    assert notebook.stat().st_size < 500_000
    printed = "".join(o.text for c in code for o in c.outputs if o.output_type == "stream")
    for words in SAYS[script.stem]:
        assert words in printed


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_runs(script: Path, tmp_path: Path) -> None:
    table = shared_folder() / NEEDS.get(script.stem, "")
    if not table.exists():
        pytest.skip(f"there is no '{table}': FORECAST_DATA names the folder that holds it")
    printed = _run(script, tmp_path, FORECAST_DATA=str(shared_folder()))
    for words in SAYS[script.stem]:
        assert words in printed


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDS)
def test_script_without_its_table_says_what_is_missing_and_ends_well(name: str, tmp_path: Path) -> None:
    printed = _run(NOTEBOOKS / f"{name}.py", tmp_path, FORECAST_DATA=str(tmp_path))
    assert f"set FORECAST_DATA to the folder that holds '{NEEDS[name]}'" in printed
    assert not any(words in printed for words in SAYS[name])
