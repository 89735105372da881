"""Who may import whom, and what `import forecast` costs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "lightning", "mlflow", "hydra", "xgboost", "deltalake", "pandas", "sklearn", "scipy", "matplotlib")


def _lint_imports() -> str | None:
    return shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")


@pytest.mark.skipif(_lint_imports() is None, reason="import-linter is not installed: pip install -e .[dev]")
def test_the_import_contract_is_kept() -> None:
    told = subprocess.run([str(_lint_imports()), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout


def test_import_forecast_is_light() -> None:
    timed = (
        "import sys, time; start = time.process_time(); import forecast; print(time.process_time() - start, end=' ')"
    )
    code = f"{timed}; print([m for m in {HEAVY} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = run.stdout.split(maxsplit=1)
    assert told[1].strip() == "[]"
    assert float(told[0]) < 1.0  # 0.3 s where the machine is free
