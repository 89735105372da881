"""A saved forecaster as an MLflow model folder: MLmodel, one code file, the model's own files; no pickle."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.models.signature import ModelSignature
from mlflow.types.schema import AnyType, ColSpec, DataType, Schema, TensorSpec

from forecast.errors import CorruptModelError
from forecast.saving import MANIFEST
from forecast.schema import Task
from forecast.spec import from_spec

CODE = Path(__file__).with_name("pyfunc_model.py")


def digest_of(folder: Path) -> str:
    """Names what a model folder holds: its manifest carries the hash of every file."""
    if not (folder / MANIFEST).is_file():
        raise CorruptModelError(f"{folder} is not a model folder: it has no {MANIFEST}; save the forecaster first")
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()[:12]


@contextmanager
def packaged(folder: Path, allowed: Sequence[str]) -> Iterator[Path]:
    """An MLflow model folder made from the saved forecaster in `folder`, for the time of the block."""
    import mlflow.pyfunc

    manifest = json.loads((folder / MANIFEST).read_text())
    with TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow asks for an input example, which would run the model
        mlflow.pyfunc.save_model(
            Path(scratch) / "model",
            python_model=str(CODE),
            artifacts={"model": str(folder)},
            signature=signature(from_spec(manifest["task"], ("forecast",))),
            pip_requirements=[f"nowcastle=={version('nowcastle')}"],
            model_config={"allowed": list(allowed)},
        )
        yield Path(scratch) / "model"


def signature(task: Task) -> ModelSignature:
    """Columns in and out. Times are "any": MLflow's own datetime type refuses time zones, ours demands one."""
    keys = [ColSpec(DataType.string, "series"), ColSpec(AnyType(), "time"), ColSpec(AnyType(), "seen", required=False)]
    inputs: list[ColSpec | TensorSpec] = [*keys, *(ColSpec(DataType.double, name) for name in task.names)]
    words = [ColSpec(DataType.string, name) for name in ("variable", "status")]
    numbers = [ColSpec(DataType.double, name) for name in ("point", *(f"q{level:g}" for level in task.levels))]
    when = [ColSpec(AnyType(), "origin"), ColSpec(AnyType(), "time"), ColSpec(DataType.integer, "lead")]
    outputs: list[ColSpec | TensorSpec] = [keys[0], *when, *words, *numbers]
    return ModelSignature(Schema(inputs), Schema(outputs))
