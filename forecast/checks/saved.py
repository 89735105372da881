"""A saved model is the model: loaded in a fresh process, it gives the same numbers.

Run as `python -m forecast.checks.saved FOLDER...`, it loads each folder and writes its forecast beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from forecast.checks.data import Make, synthetic_panel, synthetic_task
from forecast.checks.expect import ContractError, expect, expect_same
from forecast.forecaster import Forecaster
from forecast.spec import to_spec


def check_save_and_load(make: Make) -> None:
    """Loaded here and in a fresh process, a saved model gives the same numbers; saving changes nothing."""
    check_saved_together({type(make()).__name__: make})


def check_saved_together(makes: Mapping[str, Make]) -> None:
    """`check_save_and_load` of several models with one process for all: imports are paid once."""
    panel, task = synthetic_panel(), synthetic_task()
    with TemporaryDirectory() as place:
        wanted, packages = {}, {"forecast", "models"}
        for name, make in makes.items():
            model = make().fit(panel, task)
            wanted[name] = model.predict(panel)
            packages.add(type(model).__module__.split(".")[0])
            model.save(Path(place) / name)
            expect_same(model.predict(panel), wanted[name], f"saving must not change {name}")
            again = Forecaster.load(Path(place) / name, sorted(packages))
            expect(to_spec(again) == to_spec(model), f"{name} comes back with other parameters")
            expect_same(again.predict(panel), wanted[name], f"{name}, loaded, must give the same numbers")
        _in_fresh_process([str(Path(place) / name) for name in makes], sorted(packages))
        for name, forecast in wanted.items():
            found = np.load(Path(place) / f"{name}.npy", allow_pickle=False)  # (N, H, C, Q)
            same = np.allclose(found, forecast.quantiles, rtol=1e-9, atol=1e-9)
            expect(same, f"{name}, loaded in a fresh process, gives other numbers")


def _in_fresh_process(folders: list[str], packages: list[str]) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "FORECAST_ALLOWED": ",".join(packages),
    }
    command = [sys.executable, "-m", "forecast.checks.saved", *folders]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ContractError(f"a saved model does not load in a fresh process: {done.stderr.strip()[-600:]}")


def main(folders: list[str]) -> None:
    """Load each folder, forecast the synthetic panel and write the quantiles to FOLDER.npy."""
    panel, packages = synthetic_panel(), os.environ.get("FORECAST_ALLOWED", "forecast,models").split(",")
    for folder in folders:
        np.save(f"{folder}.npy", Forecaster.load(folder, packages).predict(panel).quantiles)


if __name__ == "__main__":
    main(sys.argv[1:])
