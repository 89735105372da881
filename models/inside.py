"""Models inside another: their answers as their own base would give them, and their files among the outer model's.

For wrappers, which have fitted the inner model themselves and call its hooks on the outer model's windows.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from safetensors.numpy import load_file, save_file

from forecast.answers import issued
from forecast.forecaster import Forecaster
from forecast.schema import Task
from forecast.windows import Windows, filled

BASE = "base.safetensors"


def said(model: Forecaster, windows: Windows, task: Task) -> np.ndarray:
    """Quantiles (B, N, H, C, Q) of a fitted model: in order and inside the targets' bounds.

    Args:
        windows: as the outer model sees them; gaps are filled and the outlook left out where the inner wants that.
        task: the inner model's.
    """
    values = windows.values if model.traits.missing else filled(windows.values, model.means_of(windows.series))
    outlook = windows.outlook if model.traits.exogenous else None
    seen = Windows(values, windows.origins, outlook, windows.series)
    return issued(np.array(model._predict(seen, task), float), task)


def write_inside(model: Forecaster, folder: Path, prefix: str = "inner-") -> None:
    """The inner model's files, `prefix` before their names: a model folder has no folders."""
    with TemporaryDirectory() as place:
        model._save(Path(place))
        save_file({"scale": model.scale_, "means": model.means_}, Path(place) / BASE)
        for path in Path(place).iterdir():
            shutil.move(path, folder / f"{prefix}{path.name}")


def read_inside(model: Forecaster, task: Task, outer: Forecaster, folder: Path, prefix: str = "inner-") -> None:
    """Make an unfitted `model` what `write_inside` saved, fitted for `task` on the outer model's series."""
    with TemporaryDirectory() as place:
        for path in folder.glob(f"{prefix}*"):
            shutil.copy(path, Path(place) / path.name.removeprefix(prefix))
        base = load_file(Path(place) / BASE)
        model.task_, model.series_, model.data_end_ = task, outer.series_, outer.data_end_
        model.scale_, model.means_ = base["scale"], base["means"]
        model._load(Path(place))
