"""MLflow's pages for a folder of runs, on this machine only and without telemetry."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from forecast.errors import SchemaError
from pipelines.trackers.location import QUIET, Location

HOST = "127.0.0.1"


def arguments(folder: Path | str, port: int = 5000) -> list[str]:
    """The server's command line, as a list."""
    place = Location(folder)
    if place.artifacts is None:
        raise SchemaError(f"'{folder}' is a server already: open it in a browser, or give the folder of the runs")
    stores = ["--backend-store-uri", place.uri, "--default-artifact-root", place.artifacts]
    return ["mlflow", "server", *stores, "--host", HOST, "--port", str(port), "--workers", "1"]


def command(folder: Path | str, port: int = 5000) -> str:
    """The same as one line to paste into a shell.

    >>> command("/srv/runs").split()[1:4]
    ['MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR=false', 'MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false', 'mlflow']
    """
    return " ".join([*(f"{k}={v}" for k, v in QUIET.items()), shlex.join(arguments(folder, port))])


def start(folder: Path | str, port: int = 5000, patience_s: float = 60.0) -> subprocess.Popen:
    """Start the server and wait until it answers; the caller ends it with `stop`.

    Raises:
        SchemaError: the server ended at once (a port in use, most often), or did not answer in time.
    """
    Location(folder).ensure()
    line = [sys.executable, "-m", *arguments(folder, port)]
    process = subprocess.Popen(line, env={**os.environ, **QUIET}, start_new_session=True)
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(port):
            return process
        time.sleep(0.2)
    stop(process)
    raise SchemaError(f"the MLflow server did not come up on {HOST}:{port}: is the port in use? Try port={port + 1}")


def stop(process: subprocess.Popen) -> None:
    """End the server and its workers, which are one process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(20)


def serve(folder: Path | str, port: int = 5000, experiment: str = "") -> int:
    """Run the server until it is interrupted; prints its address. Returns the exit code.

    With `experiment`, the address is that of its comparison: a row per nowcaster with its final figures.
    """
    process = start(folder, port)
    page = _page(folder, experiment) if experiment else ""
    print(f"MLflow: http://{HOST}:{port}{page} (Ctrl-C ends it)\nby hand: {command(folder, port)}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a supervisor's stop is like Ctrl-C
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        stop(process)


def _page(folder: Path | str, experiment: str) -> str:
    from pipelines.trackers.mlflow import MlflowTracker
    from pipelines.trackers.view import publish_view

    return publish_view(MlflowTracker(folder, experiment))


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=1) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False
