"""The command line as a user meets it, in this process where that is enough."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pipelines.cli import main


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def forecast(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Said]]:
    """Runs `forecast ...` in an empty folder of its own; the environment is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)

    def run(*words: str) -> Said:
        code = main(words)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    yield run
    os.environ.clear()
    os.environ.update(before)


def process(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """`forecast ...` in a process of its own."""
    line = [sys.executable, "-c", "import sys; from pipelines.cli import main; sys.exit(main())", *words]
    return subprocess.run(line, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)
