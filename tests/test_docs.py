"""The docs run: every example in `forecast` and `models` gives the number it prints."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import forecast
import models

MODULES = [
    m.name for package in (forecast, models) for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
]
MODULES = ["forecast", *MODULES]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert outcome.failed == 0


def _loaded_after(code: str) -> set[str]:
    lines = f"{code}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loads_next_to_nothing() -> None:
    heavy = {"torch", "pandas", "matplotlib", "polars", "numpy", "mlflow", "xgboost", "hydra", "lightning"}
    assert not heavy & _loaded_after("import forecast")


def test_the_words_load_no_framework() -> None:
    heavy = {"torch", "pandas", "matplotlib", "mlflow", "xgboost", "hydra", "lightning"}
    names = ", ".join(sorted(forecast.PUBLIC))
    assert not heavy & _loaded_after(f"from forecast import {names}")


def test_public_names_are_complete() -> None:
    assert set(forecast.__all__) == set(forecast.PUBLIC) <= set(dir(forecast))
    for name in forecast.__all__:
        assert getattr(forecast, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'Forcast'"):
        forecast.Forcast  # noqa: B018
