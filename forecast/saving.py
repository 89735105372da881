"""A fitted model as a folder: manifest.json (what it is, what it was fitted on, hashes) and the model's own files.

The manifest is strict JSON and carries a hash of itself, so that no part of a folder changes unseen.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecast.errors import CorruptModelError, ForecastError, NotFittedError, SchemaError, UnknownNameError
from forecast.spec import from_spec, to_spec

if TYPE_CHECKING:
    from forecast.forecaster import Forecaster

FORMAT = 2  # raised whenever a model writes other files or arrays than before
MANIFEST = "manifest.json"
REMEDY = "restore it, or train again"


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
        "scale": to_spec(model.scale_.tolist()),
        "means": to_spec(model.means_.tolist()),
        "files": {p.name: _hash(p) for p in sorted(fresh.iterdir())},
    }
    manifest["digest"] = _digest(manifest)
    (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1, allow_nan=False))
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def read(folder: Path, allowed: Sequence[str]) -> Forecaster:
    """The model in `folder`; the manifest, and every file, is checked against its hash before it is used."""
    manifest = _manifest(folder)
    try:
        _check_files(folder, manifest["files"])
        model: Forecaster = from_spec(manifest["model"], allowed)
        model.task_ = from_spec(manifest["task"], ("forecast",))
        model.series_ = tuple(manifest["series"])
        model.data_end_ = datetime.fromisoformat(manifest["data_end"])
        model.scale_, model.means_ = (np.array(from_spec(manifest[name]), float) for name in ("scale", "means"))
    except UnknownNameError as error:
        raise CorruptModelError(f"{folder} was written by another version ({error}): train again") from error
    except ForecastError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise CorruptModelError(f"{folder / MANIFEST} does not describe a model ({problem}): {REMEDY}") from error
    try:
        model._load(folder)
    except (
        KeyError,
        IndexError,
        FileNotFoundError,
    ) as error:  # the files are as written, but another version wrote them
        problem = f"{type(error).__name__}: {error}"
        raise CorruptModelError(
            f"{folder} does not hold what this version of {type(model).__name__} reads ({problem}): train again"
        ) from error
    return model


def _check_files(folder: Path, listed: dict[str, str]) -> None:
    """Exactly the listed files are there, as they were written."""
    present = {p.name for p in folder.iterdir()} - {MANIFEST}
    if lost := sorted(set(listed) - present):
        raise CorruptModelError(f"model folder {folder} lacks '{lost[0]}': copy the whole folder, or train again")
    if strange := sorted(present - set(listed)):
        raise CorruptModelError(
            f"model folder {folder} holds '{strange[0]}', which its {MANIFEST} does not list: move it"
        )
    for name, digest in listed.items():
        if not (folder / name).is_file() or _hash(folder / name) != digest:
            raise CorruptModelError(f"'{name}' in model folder {folder} was altered or cut off: {REMEDY}")


def _manifest(folder: Path) -> dict:
    path = folder / MANIFEST
    if not path.is_file():
        raise CorruptModelError(f"{folder} is not a model folder: it has no {MANIFEST}")
    try:
        manifest = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CorruptModelError(f"{path} is not valid JSON ({error}): {REMEDY}") from error
    if not isinstance(manifest, dict):
        raise CorruptModelError(f"{path} holds {type(manifest).__name__}, not the description of a model: {REMEDY}")
    if manifest.get("format") != FORMAT:
        raise CorruptModelError(f"{path} has format {manifest.get('format')}, this version reads {FORMAT}: train again")
    if manifest.get("digest") != _digest(manifest):
        raise CorruptModelError(f"{path} was altered: it does not match its own hash; {REMEDY}")
    return manifest


def _digest(manifest: dict) -> str:
    """Hash of all but the digest itself, however it is laid out."""
    rest = {name: value for name, value in manifest.items() if name != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
