"""A fitted model as a folder: manifest.json (what it is, what it was fitted on, hashes) and the model's own files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecast.errors import CorruptModelError, NotFittedError, SchemaError
from forecast.spec import from_spec, to_spec

if TYPE_CHECKING:
    from forecast.forecaster import Forecaster

FORMAT = 1
MANIFEST = "manifest.json"


def write(model: Forecaster, folder: Path) -> None:
    """Write `model` into `folder`, replacing it whole: built beside, then renamed. Only a model folder is replaced."""
    if model.task_ is None or model.data_end_ is None:
        raise NotFittedError(f"{type(model).__name__} is not fitted: there is nothing to save")
    folder = folder.absolute()
    if folder.exists() and not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise SchemaError(f"{folder} exists and is not a model folder: nothing was written; choose another folder")
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    model._save(fresh)
    manifest = {
        "format": FORMAT,
        "model": to_spec(model),
        "task": to_spec(model.task_),
        "series": list(model.series_),
        "data_end": model.data_end_.isoformat(),
        "scale": model.scale_.tolist(),
        "means": model.means_.tolist(),
        "files": {p.name: _hash(p) for p in sorted(fresh.iterdir())},
    }
    (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1))
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def read(folder: Path, allowed: Sequence[str]) -> Forecaster:
    """The model in `folder`; every file is checked against its hash before it is read."""
    manifest = _manifest(folder)
    for name, digest in manifest["files"].items():
        if not (folder / name).is_file():
            raise CorruptModelError(f"model folder {folder} lacks '{name}': copy the whole folder, or train again")
        if _hash(folder / name) != digest:
            raise CorruptModelError(
                f"'{name}' in model folder {folder} was altered or cut off: restore it, or train again"
            )
    model: Forecaster = from_spec(manifest["model"], allowed)
    model.task_ = from_spec(manifest["task"], ("forecast",))
    model.series_ = tuple(manifest["series"])
    model.data_end_ = datetime.fromisoformat(manifest["data_end"])
    model.scale_, model.means_ = np.array(manifest["scale"]), np.array(manifest["means"])
    model._load(folder)
    return model


def _manifest(folder: Path) -> dict:
    path = folder / MANIFEST
    if not path.is_file():
        raise CorruptModelError(f"{folder} is not a model folder: it has no {MANIFEST}")
    try:
        manifest = json.loads(path.read_text())
    except ValueError as error:
        raise CorruptModelError(f"{path} is not valid JSON ({error}): restore it, or train again") from error
    if manifest.get("format") != FORMAT:
        raise CorruptModelError(f"{path} has format {manifest.get('format')}, this version reads {FORMAT}")
    return manifest


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
