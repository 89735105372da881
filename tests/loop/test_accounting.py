"""What is charged adds up to what the process and its workers used; in CPU seconds, which a busy machine spares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["serial", "pool"])
def test_charges_add_up(tmp_path, kind) -> None:
    words, alone = (
        [sys.executable, "-m", "tests.loop.spending", str(tmp_path), kind],
        {**os.environ, "OMP_NUM_THREADS": "1"},
    )
    ended = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True, timeout=300, env=alone)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["charged"] == pytest.approx(found["used"], rel=0.05)  # `used` is os.times() of that process
    assert min(found["always"], found["drift"], found["overhead"]) > 0
    assert found["always.fit"] > found["drift.fit"] > 0  # five trainings against a few
    assert found["always.fit"] > 0.5 * found["always"]
    assert found["recorded"] <= found["charged"] * 1.0001
    assert found["least"] >= 0
