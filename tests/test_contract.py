"""Every model found in `models` keeps the contract; an exclusion needs a written reason."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable

import pytest

import models
from forecast.checks import CHECKS, Make, check_forecaster
from forecast.checks.saved import check_saved_together
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.spec import from_spec

SMALL: dict[str, dict] = {
    # constructor arguments, as in a configuration, that make a model small and fast; the defaults otherwise
    "XGBoost": {"trees": {"_target_": "models.boosting.Trees", "rounds": 8, "depth": 3}},
    "LSTM": {"hidden": 8, "training": {"_target_": "models.lightning.Training", "epochs": 3, "warm_epochs": 1}},
}

EXCLUDED: dict[tuple[str, str], str] = {
    # (class, check): why this promise does not bind this model
}

TOGETHER = "check_save_and_load"  # run for all models with one fresh process, below


def found() -> dict[str, type[Forecaster]]:
    """Every concrete Forecaster defined in a module of `models`; a module that does not import fails here."""
    classes: dict[str, type[Forecaster]] = {}
    for info in pkgutil.walk_packages(models.__path__, "models."):
        for name, kind in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            if kind.__module__ == info.name and issubclass(kind, Forecaster) and not inspect.isabstract(kind):
                classes[name] = kind
    return classes


FOUND = found()


def make_of(name: str) -> Make:
    kind = FOUND[name]
    return lambda: from_spec({"_target_": f"{kind.__module__}.{kind.__qualname__}", **SMALL.get(name, {})})


@pytest.mark.parametrize("check", [c for c in CHECKS if c.__name__ != TOGETHER], ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", FOUND)
def test_contract(name: str, check: Callable[[Make], None]) -> None:
    if reason := EXCLUDED.get((name, check.__name__)):
        pytest.skip(reason)
    check(make_of(name))


def test_saved_models_load_in_a_fresh_process() -> None:
    check_saved_together({name: make_of(name) for name in FOUND if (name, TOGETHER) not in EXCLUDED})


def test_exclusions_have_reasons_and_name_what_exists() -> None:
    names = {c.__name__ for c in CHECKS}
    for (model, check), reason in EXCLUDED.items():
        assert model in FOUND
        assert check in names
        assert len(reason.split()) > 3, f"{model}, {check}: say why"
    assert SMALL.keys() <= FOUND.keys()


def test_the_zoo_is_found() -> None:
    assert "Persistence" in FOUND


def test_every_check_says_what_it_checks() -> None:
    assert all((c.__doc__ or "").strip() for c in CHECKS)
    assert len({c.__name__ for c in CHECKS}) == len(CHECKS)


def test_check_forecaster_wants_reasons() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'check_shape'"):
        check_forecaster(FOUND["Persistence"], exclude={"check_shapes": "a slip of the pen"})
    with pytest.raises(SchemaError, match="without a reason"):
        check_forecaster(FOUND["Persistence"], exclude={"check_shape": " "})
