"""Every model found keeps the contract: each option of conf/model and each class of `models` that none of them names.

An exclusion needs a written reason.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import models
from forecast.checks import CHECKS, Make, check_forecaster
from forecast.checks.saved import check_saved_together
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster
from forecast.spec import from_spec
from pipelines.completion import groups

SMALL: dict[str, Any] = {  # keys of a configuration that are cut to these, wherever they are larger: time, not kind
    "epochs": 3,
    "warm_epochs": 1,
    "rounds": 8,
    "depth": 3,
    "hidden": 8,
    "width": 8,
    "feedforward": 8,
    "layers": 1,
    "heads": 2,
    "bins": 32,
    "history": 100,
    "samples": 50,
    "units": 8,
}
LARGE: dict[str, Any] = {"batch": 64}  # keys that are raised to these, wherever they are smaller
DEFAULTS: dict[str, dict[str, Any]] = {
    # constructor arguments of a class that no option names, as in a configuration
    "DLinear": {"training": {"_target_": "models.lightning.Training", "epochs": 3, "warm_epochs": 1}},
    "LSTM": {"hidden": 8, "training": {"_target_": "models.lightning.Training", "epochs": 3, "warm_epochs": 1}},
    "MLP": {"hidden": 8, "training": {"_target_": "models.lightning.Training", "epochs": 3, "warm_epochs": 1}},
    "Stock": {"training": {"_target_": "models.lightning.Training", "epochs": 3, "warm_epochs": 1}},
    "Transformer": {
        "encoder": {"_target_": "models.transformer.Encoder", "width": 8, "heads": 2, "feedforward": 8},
        "hidden": 8,
        "training": {"_target_": "models.lightning.Training", "epochs": 3, "warm_epochs": 1},
    },
}

OWN: dict[str, dict[str, Any]] = {
    # arguments of an option that name variables of its own task: those of the made-up world in their place
    "last_close": {"of": {"humidity": "temperature"}},
}

SLOW = ("AutoARIMA",)  # classes whose every fit is a search: their checks run with `-m slow`

EXCLUDED: dict[tuple[str, str], str] = {
    # (model, check): why this promise does not bind this model
    ("last_close", "check_one_variable"): "it repeats another variable, which that task does not have",
    ("flair", "check_dead_neighbour_is_harmless"): "720 forecasts of 15 ms each; every window is forecast by itself",
}

TOGETHER = "check_save_and_load"  # run for all models with one fresh process, below


def classes() -> dict[str, type[Forecaster]]:
    """Every concrete Forecaster defined in a module of `models`; a module that does not import fails here."""
    found: dict[str, type[Forecaster]] = {}
    for info in pkgutil.walk_packages(models.__path__, "models."):
        for name, kind in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            if kind.__module__ == info.name and issubclass(kind, Forecaster) and not inspect.isabstract(kind):
                found[name] = kind
    return found


def small(spec: Any) -> Any:
    """A spec with everything that costs time cut down."""
    if isinstance(spec, Mapping):
        return {k: _cut(k, v) for k, v in spec.items()}
    return [small(v) for v in spec] if isinstance(spec, list) else spec


def _cut(key: str, value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        cut = min(value, SMALL.get(key, value))
        return max(cut, LARGE.get(key, cut))
    return small(value)


def options() -> dict[str, dict[str, Any]]:
    """Every option of conf/model as a small spec."""
    found = {}
    with initialize_config_module("forecast.conf", version_base="1.3"):
        for name in groups()["model"]:
            config = compose("config", overrides=[f"model={name}", "threads.workers=1"])
            found[name] = small(OmegaConf.to_container(config.model, resolve=True)) | OWN.get(name, {})
    return found


def specs() -> dict[str, dict[str, Any]]:
    found = options()
    named = {spec["_target_"] for spec in found.values()}
    for name, kind in CLASSES.items():
        target = f"{kind.__module__}.{kind.__qualname__}"
        if target not in named:
            found[name] = {"_target_": target, **DEFAULTS.get(name, {})}
    return found


CLASSES = classes()
SPECS = specs()


def _marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if SPECS[name]["_target_"].endswith(SLOW) else []


def make_of(name: str) -> Make:
    return lambda: from_spec(SPECS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in SPECS if _marks(n)])
def test_slow_models_load_in_a_fresh_process(name: str) -> None:
    check_saved_together({name: make_of(name)})


@pytest.mark.parametrize("check", [c for c in CHECKS if c.__name__ != TOGETHER], ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", [pytest.param(n, marks=_marks(n)) for n in SPECS])
def test_contract(name: str, check: Callable[[Make], None]) -> None:
    if reason := EXCLUDED.get((name, check.__name__)):
        pytest.skip(reason)
    check(make_of(name))


def test_saved_models_load_in_a_fresh_process() -> None:
    quick = [name for name in SPECS if (name, TOGETHER) not in EXCLUDED and not _marks(name)]
    check_saved_together({name: make_of(name) for name in quick})


def test_exclusions_have_reasons_and_name_what_exists() -> None:
    names = {c.__name__ for c in CHECKS}
    for (model, check), reason in EXCLUDED.items():
        assert model in SPECS
        assert check in names
        assert len(reason.split()) > 3, f"{model}, {check}: say why"
    assert DEFAULTS.keys() <= CLASSES.keys()
    assert OWN.keys() <= SPECS.keys()


def test_the_zoo_is_found() -> None:
    targets = {spec["_target_"] for spec in SPECS.values()}
    assert targets == {f"{kind.__module__}.{kind.__qualname__}" for kind in CLASSES.values()}
    assert set(groups()["model"]) <= SPECS.keys()


def test_what_updates_and_what_trains_together_is_among_them() -> None:
    """Else the checks of those abilities would pass for nobody."""
    made = {name: from_spec(spec) for name, spec in SPECS.items()}
    assert any(model.traits.updates for model in made.values())
    assert any(type(model)._alike is not Forecaster._alike for model in made.values())


def test_every_check_says_what_it_checks() -> None:
    assert all((c.__doc__ or "").strip() for c in CHECKS)
    assert len({c.__name__ for c in CHECKS}) == len(CHECKS)


def test_check_forecaster_wants_reasons() -> None:
    make = make_of("persistence")
    with pytest.raises(UnknownNameError, match="did you mean 'check_shape'"):
        check_forecaster(make, exclude={"check_shapes": "a slip of the pen"})
    with pytest.raises(SchemaError, match="without a reason"):
        check_forecaster(make, exclude={"check_shape": " "})
