"""Fitted in company: what a model learns together with others is what it learns alone, and failures stay its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecast.checks.data import Make, synthetic_panel, synthetic_task, with_values
from forecast.checks.expect import expect, expect_same
from forecast.errors import ShortHistoryError
from forecast.together import Fit, fit_together

TOLERANCE = 1e-4


def check_together_is_alone(make: Make) -> None:
    """Models fitted together, on other data, other lengths and other targets, forecast as those fitted alone."""
    panel, task = synthetic_panel(), synthetic_task()
    turned = replace(task, targets=task.targets[::-1])
    asked = [(panel, task), (synthetic_panel(seed=1), task), (panel.rows(slice(40, None)), task), (panel, turned)]
    fits = [Fit(make(), *question) for question in asked]
    failures = fit_together(fits)
    expect(not any(failures), f"a fit failed in company: {next((f for f in failures if f), None)}")
    for fit in fits:
        wanted = make().fit(fit.panel, fit.task).predict(fit.panel)
        found = fit.model.predict(fit.panel)
        expect_same(found, wanted, "a model fitted together must forecast as one fitted alone", TOLERANCE)


def check_warm_together_is_warm_alone(make: Make) -> None:
    """`warm` means in company what it means alone."""
    if not make().traits.warms:
        return
    early, late, task = synthetic_panel(160, seed=2), synthetic_panel(), synthetic_task()
    fits = [Fit(make().fit(early, task), late, task, warm=True) for _ in range(2)]
    expect(not any(fit_together(fits)), "a warm fit failed in company")
    wanted = make().fit(early, task).fit(late, task, warm=True).predict(late)
    for fit in fits:
        expect_same(fit.model.predict(late), wanted, "a warm fit in company must equal one alone", TOLERANCE)


def check_failing_together_is_alone(make: Make) -> None:
    """One that cannot be fitted fails alone, says why, and stays as it was; the others are as without it."""
    panel, task = synthetic_panel(), synthetic_task()
    short, silent = panel.rows(slice(0, task.context)), with_values(panel, np.full(panel.shape, np.nan))
    kept = make().fit(panel, task)
    before = kept.predict(panel)
    fits = [Fit(make(), panel, task), Fit(make(), short, task), Fit(kept, silent, task), Fit(make(), panel, task)]
    failures = fit_together(fits)
    expect(failures[0] is None, f"a good fit failed in bad company: {failures[0]}")
    expect(failures[3] is None, f"a good fit failed in bad company: {failures[3]}")
    expect(isinstance(failures[1], ShortHistoryError), f"too few rows must fail alone, found {failures[1]!r}")
    expect(failures[2] is not None, "a fit on nothing must fail alone")
    expect_same(kept.predict(panel), before, "a model whose fit failed in company must stay as it was")
    wanted = make().fit(panel, task).predict(panel)
    for place in (0, 3):
        found = fits[place].model.predict(panel)
        expect_same(found, wanted, "bad company must not change what a model learns", TOLERANCE)
