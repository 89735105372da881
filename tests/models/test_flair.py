"""FLAIR: the library's paths as quantiles, and words where it is not there or has no period."""

from __future__ import annotations

import importlib
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from forecast.checks.data import synthetic_panel, synthetic_task
from forecast.errors import SchemaError
from models.flair import FLAIR

flaircast = pytest.importorskip("flaircast", reason="the extra `flair` is not installed")


def test_quantiles_are_those_of_the_librarys_paths() -> None:
    panel, task = synthetic_panel(), synthetic_task(context=120)
    found = FLAIR(samples=60, seed=3).fit(panel, task).predict(panel).quantiles
    paths = flaircast.forecast(panel.values[1, -120:, 0], horizon=3, freq="H", n_samples=60, seed=3)  # (S, H)
    np.testing.assert_allclose(found[1, :, 0, 1], np.median(paths, 0), rtol=1e-9)


def test_a_step_without_periods_is_refused() -> None:
    panel, task = synthetic_panel(), synthetic_task()
    odd = timedelta(hours=7)
    times = panel.times[0] + np.arange(len(panel.times)) * np.timedelta64(7, "h")
    with pytest.raises(SchemaError, match="resample"):
        FLAIR().fit(replace(panel, step=odd, times=times), replace(task, step=odd))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(SchemaError, match=r"nowcastle\[flair\]"):
        FLAIR().fit(synthetic_panel(), synthetic_task())
