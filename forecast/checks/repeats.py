"""The same question gets the same answer: order, chance, earlier fits and callers' arrays leave no trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from forecast.checks.data import HOUR, Make, as_frame, synthetic_panel, synthetic_task, with_values
from forecast.checks.expect import expect, expect_fine, expect_same
from forecast.panel import Panel
from forecast.spec import parameters, to_spec


def check_constructor_only_stores(make: Make) -> None:
    """The constructor stores its arguments (and `traits` that follow from them); what `fit` adds ends in `_`."""
    model = make()
    stored, named = set(vars(model)) - {"traits"}, set(parameters(type(model)))
    expect(stored == named, f"the constructor must store exactly its arguments {named}, found {stored}")
    model.fit(synthetic_panel(), synthetic_task())
    loose = sorted(n for n in set(vars(model)) - named - {"traits"} if not n.endswith("_"))
    expect(not loose, f"fitted state must end in an underscore, found {loose}")


def check_row_order_is_nothing(make: Make) -> None:
    """Shuffled rows of the frame give the same forecast."""
    panel, task = synthetic_panel(), synthetic_task()
    shuffled = as_frame(panel).sample(fraction=1.0, shuffle=True, seed=1)
    found = make().fit(Panel.from_frame(shuffled, HOUR), task).predict(Panel.from_frame(shuffled, HOUR))
    expect_same(found, make().fit(panel, task).predict(panel), "the order of rows must not matter")


def check_series_order_is_nothing(make: Make) -> None:
    """Series under other names (unless `named`) keep their forecasts; so does one alone (unless regional)."""
    panel, task = synthetic_panel(), synthetic_task()
    model = make().fit(panel, task)
    if model.traits.regional:
        return
    wanted = model.predict(panel).quantiles  # (N, H, C, Q)
    if not model.traits.named:
        turned = model.predict(with_values(panel, panel.values[::-1])).quantiles[::-1]
        _expect_close(turned, wanted, "the order of series must not matter")
    alone = Panel(panel.values[:1], panel.times, panel.series[:1], panel.variables, panel.step)
    _expect_close(model.predict(alone).quantiles, wanted[:1], "other series must not matter to a model not regional")


def check_names_in_training_are_nothing(make: Make) -> None:
    """Fitted on series under each other's names, it forecasts each one's values as before; unless it has a seed.

    So also where `check_series_order_is_nothing` cannot look: in models that are regional or know series by name.
    """
    panel, task = synthetic_panel(), synthetic_task()
    turned = with_values(panel, panel.values[::-1])
    if _has_seed(to_spec(make())):  # its own, or a part's
        return
    wanted = make().fit(panel, task).predict(panel).quantiles  # (N, H, C, Q)
    found = make().fit(turned, task).predict(turned).quantiles[::-1]
    _expect_close(found, wanted, "series under each other's names in training must keep their forecasts")


def check_two_fits_agree(make: Make) -> None:
    """Two fits of two equal models agree: chance has a seed, and no global one."""
    panel, task = synthetic_panel(), synthetic_task()
    first = make().fit(panel, task).predict(panel)
    np.random.random(7)  # noqa: NPY002  (whoever leans on the global state is found out)
    model = make().fit(panel, task)
    expect_same(model.predict(panel), first, "two fits must agree: give chance a seed")
    expect_same(model.predict(panel), first, "two predictions of one model must agree")
    if model.traits.seeded:
        expect("seed" in parameters(type(model)), "a seeded model must take a `seed`")


def check_refit_starts_anew(make: Make) -> None:
    """A second cold fit equals the fit of a new model, also after other data and another task."""
    panel, task = synthetic_panel(), synthetic_task()
    model = make().fit(synthetic_panel(120, seed=5), synthetic_task(horizon=2))
    found = model.fit(panel, task).predict(panel)
    expect_same(found, make().fit(panel, task).predict(panel), "a cold refit must forget the earlier fit")


def check_warm_is_honoured(make: Make) -> None:
    """`fit(warm=True)` continues where `traits.warms`, and is a cold fit elsewhere and the first time."""
    early, late, task = synthetic_panel(160, seed=2), synthetic_panel(), synthetic_task()
    cold = make().fit(late, task).predict(late)
    expect_same(make().fit(late, task, warm=True).predict(late), cold, "the first warm fit must equal a cold one")
    model = make().fit(early, task).fit(late, task, warm=True)
    found = model.predict(late)
    expect_fine(found, "a warm fit must forecast")
    if not model.traits.warms:
        expect_same(found, cold, "a warm fit of a model that does not warm must equal a cold one")
        return
    same = np.array_equal(found.quantiles, cold.quantiles)
    expect(not same, "traits.warms is set, but a warm fit equals a cold one: nothing was continued")


def check_input_is_untouched(make: Make) -> None:
    """Neither `fit` nor `predict` changes the caller's arrays or frames."""
    source, task = synthetic_panel(), synthetic_task()
    values, times, keep = source.values.copy(), source.times.copy(), np.ones(len(source.times), bool)
    values[0, 60, :] = np.nan
    panel = Panel(values, times, source.series, source.variables, source.step, keep=keep)
    before = values.copy(), times.copy(), keep.copy()
    frame = as_frame(panel)
    copy = frame.clone()
    make().fit(panel, task).predict(panel)
    make().fit(Panel.from_frame(frame, HOUR), task)
    for name, now, then in zip(("values", "times", "keep"), (values, times, keep), before, strict=True):
        expect(np.array_equal(now, then, equal_nan=name == "values"), f"the caller's `{name}` were changed")
    expect(frame.equals(copy), "the caller's frame was changed")


def _has_seed(spec: Any) -> bool:
    if isinstance(spec, Mapping):
        return "seed" in spec or any(_has_seed(part) for part in spec.values())
    return isinstance(spec, list | tuple) and any(_has_seed(part) for part in spec)


def _expect_close(found: np.ndarray, wanted: np.ndarray, promise: str) -> None:
    worst = float(np.abs(found - wanted).max())
    expect(worst <= 1e-4, f"{promise}: forecasts differ by up to {worst:.3g}")
