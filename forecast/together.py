"""Several models fitted in one pass: networks of one shape side by side cost far less than one after another.

Whether models may share a pass is theirs to say (`Forecaster._alike`), and how (`Forecaster._fit_together`); what a
model learns is what it would learn alone. A model that fails does so alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from forecast.errors import SchemaError
from forecast.forecaster import Forecaster
from forecast.panel import Panel
from forecast.schema import Task

Within = Callable[[list[int]], AbstractContextManager[None]]


def _unwatched(places: list[int]) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, eq=False)
class Fit:
    """One `model.fit(panel, task, warm=warm)` that is to happen.

    In the hook `_fit_together`, `panel` is the checked one and `warm` is already False where the model has nothing to
    continue from: exactly what `_fit` would get.
    """

    model: Forecaster
    panel: Panel
    task: Task
    warm: bool = False


def fit_together(fits: Sequence[Fit], within: Within = _unwatched) -> list[Exception | None]:
    """Like `model.fit` for each; models that say they are alike are fitted in one pass.

    Args:
        fits: each with a model of its own.
        within: gives the block in which work for the fits at `places` is done; a meter charges it to them.

    Returns:
        For each what its fit raised, None where it went well; one that failed leaves its model as it was.

    Raises:
        SchemaError: one model is in two fits.

    >>> from forecast.checks import synthetic_panel, synthetic_task
    >>> from models.persistence import Persistence
    >>> fit_together([Fit(Persistence(), synthetic_panel(seed=seed), synthetic_task()) for seed in range(2)])
    [None, None]
    """
    if len({id(fit.model) for fit in fits}) < len(fits):
        raise SchemaError("a model is in two fits: give each its own, e.g. by from_spec for each")
    before = [dict(vars(fit.model)) for fit in fits]
    failures: list[Exception | None] = [None] * len(fits)
    try:
        for members in _groups(fits, failures, within):
            _pass(fits, members, before, failures, within)
    except BaseException:  # an interruption: nothing half learnt may stay
        for fit, state in zip(fits, before, strict=True):
            _restore(fit.model, state)
        raise
    for fit, state, failure in zip(fits, before, failures, strict=True):
        if failure is not None:
            _restore(fit.model, state)
    return failures


def _groups(fits: Sequence[Fit], failures: list[Exception | None], within: Within) -> list[list[tuple[int, Fit]]]:
    """Begin every fit, and put those together that are alike; what does not begin is noted in `failures`."""
    found: dict[Hashable, list[tuple[int, Fit]]] = {}
    for k, fit in enumerate(fits):
        try:
            with within([k]):
                panel, warm = fit.model._begin(fit.panel, fit.task, fit.warm)
                key = fit.model._alike(panel, fit.task)
        except Exception as error:  # noqa: BLE001  (a model may fail in any way; it is its own failure)
            failures[k] = error
            continue
        place = (k,) if key is None else (type(fit.model), key)
        found.setdefault(place, []).append((k, replace(fit, panel=panel, warm=warm)))
    return list(found.values())


def _pass(
    fits: Sequence[Fit],
    members: list[tuple[int, Fit]],
    before: list[dict[str, object]],
    failures: list[Exception | None],
    within: Within,
) -> None:
    """Fit one group; if the common pass fails, each alone, so that the failure is its culprit's."""
    try:
        with within([k for k, _ in members]):
            type(members[0][1].model)._fit_together([fit for _, fit in members])
    except Exception as error:  # noqa: BLE001
        if len(members) == 1:
            failures[members[0][0]] = error
            return
    else:
        return
    for k, _ in members:
        fit = fits[k]
        _restore(fit.model, before[k])
        try:
            with within([k]):
                fit.model.fit(fit.panel, fit.task, warm=fit.warm)
        except Exception as error:  # noqa: BLE001
            failures[k] = error


def _restore(model: Forecaster, state: dict[str, object]) -> None:
    vars(model).clear()
    vars(model).update(state)
