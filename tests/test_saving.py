"""A model folder that is not as it was written is refused in words; what is in it is strict JSON."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from forecast.checks import synthetic_panel, synthetic_task
from forecast.checks.data import with_values
from forecast.errors import CorruptModelError, ForbiddenTargetError
from forecast.forecaster import Forecaster
from forecast.panel import moment
from forecast.saving import MANIFEST, _digest, _hash
from forecast.schema import Variable
from forecast.spec import from_spec, to_spec
from models.arrays import ARRAYS, write_arrays
from models.persistence import Persistence


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Persistence().fit(synthetic_panel(), synthetic_task(past=(Variable("wind"),))).save(tmp_path / "model")
    return tmp_path / "model"


def edit(folder: Path, change: Callable[[dict], object], signed: bool = False) -> None:
    """Change the manifest; `signed` makes its own hash fit again."""
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    if signed:
        manifest["digest"] = _digest(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["model", "task", "series", "data_end", "scale", "means", "files"])
@pytest.mark.parametrize("signed", [False, True])
def test_a_manifest_without_a_part_is_refused(folder: Path, name: str, signed: bool) -> None:
    edit(folder, lambda m: m.pop(name), signed)
    with pytest.raises(CorruptModelError, match=f"KeyError: '{name}'" if signed else "was altered"):
        Forecaster.load(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"7", b'{"format": 1', b"\xff\xfe\x00\x80", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(CorruptModelError, match=r"not valid JSON|not the description of a model"):
        Forecaster.load(folder)


def test_numbers_changed_in_the_manifest_are_seen(folder: Path) -> None:
    for change in (
        lambda m: m.update(series=m["series"][::-1]),
        lambda m: m["task"].update(levels=[0.2, 0.5, 0.8]),
        lambda m: m["scale"].__setitem__(0, 1.0),
        lambda m: m.update(files={}),
        lambda m: m.pop("digest"),
        lambda m: m["model"].update(_target_="os.system"),
    ):
        shutil.copytree(folder, folder.with_name("copy"), dirs_exist_ok=True)
        edit(folder.with_name("copy"), change)
        with pytest.raises(CorruptModelError, match="does not match its own hash"):
            Forecaster.load(folder.with_name("copy"))


def test_a_signed_manifest_still_builds_only_what_is_allowed(folder: Path) -> None:
    edit(folder, lambda m: m["model"].update(_target_="os.system"), signed=True)
    with pytest.raises(ForbiddenTargetError):
        Forecaster.load(folder)
    edit(folder, lambda m: m.update(model=None, data_end="yesterday"), signed=True)
    with pytest.raises(CorruptModelError, match="does not describe a model"):
        Forecaster.load(folder)


def test_another_layout_of_the_same_manifest_is_the_same(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(dict(sorted(manifest.items(), reverse=True)), indent=7))
    assert Forecaster.load(folder).series_ == synthetic_panel().series


def test_a_file_that_is_not_listed_is_refused(folder: Path) -> None:
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(CorruptModelError, match=r"holds 'notes\.txt', which its manifest\.json does not list"):
        Forecaster.load(folder)


def test_the_manifest_is_strict_json(folder: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    json.loads((folder / MANIFEST).read_text(), parse_constant=refuse)
    task = Forecaster.load(folder).task_
    assert task is not None
    assert task.past == (Variable("wind"),)
    values = [math.inf, -math.inf, 1.5, np.float64(np.inf), float("nan")]
    assert to_spec(values) == [".inf", "-.inf", 1.5, ".inf", ".nan"]
    np.testing.assert_array_equal(from_spec(to_spec(values)), values)


def test_means_are_each_series_own_and_scale_knows_no_levels(folder: Path) -> None:
    panel, task = synthetic_panel(), synthetic_task()
    values = panel.values + np.array([0.0, 0, 1000])[:, None, None]  # (N, T, V)
    values[1, :, 0] = np.nan
    model = Persistence().fit(with_values(panel, values), task)
    model.save(folder)
    wanted = np.nanmean(values[[0, 2]], axis=1)  # (2, V)
    for found in (model, Forecaster.load(folder)):
        np.testing.assert_allclose(found.means_[[0, 2]], wanted)
        np.testing.assert_allclose(found.means_[1, 0], wanted[:, 0].mean())
        np.testing.assert_allclose(found.scale_[0], values[[0, 2], :, 0].std(1).mean())
        np.testing.assert_allclose(found.scale_[1], values[:, :, 1].std(1).mean())
        np.testing.assert_allclose(found.means_of(("new", "BOS")), [found.means_.mean(0), found.means_[0]])


def test_data_end_is_the_newest_row_with_a_value_of_a_target(folder: Path) -> None:
    panel, task = synthetic_panel(), synthetic_task()
    values = panel.values.copy()  # (N, T, V)
    values[:, -5:, :2] = np.nan  # the wind, no target, goes on
    values[2, -4, 1] = 50.0
    model = Persistence().fit(with_values(panel, values), task)
    assert model.data_end_ == moment(panel.times[-4]) == datetime(2024, 3, 9, 4, tzinfo=UTC)


def test_a_model_of_an_older_format_says_to_train_again(folder: Path) -> None:
    edit(folder, lambda m: m.update(format=m["format"] - 1), signed=True)
    with pytest.raises(CorruptModelError, match=r"has format 1, this version reads 2: train again"):
        Forecaster.load(folder)


def test_a_model_of_another_version_says_to_train_again(folder: Path) -> None:
    """Its class took other arguments then, or wrote other arrays; hashes and manifest are as they were written."""
    shutil.copytree(folder, folder.with_name("arguments"))
    edit(folder.with_name("arguments"), lambda m: m["model"].update(widths=3), signed=True)
    with pytest.raises(CorruptModelError, match=r"unknown key of models\.persistence.*'widths'.*train again"):
        Forecaster.load(folder.with_name("arguments"))
    write_arrays(folder, other=np.zeros(2))
    edit(folder, lambda m: m.update(files={ARRAYS: _hash(folder / ARRAYS)}), signed=True)
    with pytest.raises(CorruptModelError, match=r"Persistence reads \(KeyError: 'spread'\): train again"):
        Forecaster.load(folder)
