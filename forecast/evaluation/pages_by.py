"""Tables of parts of the truths: by lead, by weekday, by regime."""

from __future__ import annotations

import numpy as np

from forecast.evaluation.columns import Columns
from forecast.evaluation.findings import Findings
from forecast.evaluation.ground import ABSOLUTE, RAW, SQUARED
from forecast.evaluation.sheet import Sheet
from forecast.evaluation.titles import cell, gained_in, named, raw_in, raw_too
from forecast.evaluation.views import LEAD, REGIME, WEEKDAY
from forecast.evaluation.words import NONE, p_value

NAMES = {"mae": "MAE", "rmse": "RMSE", "mase": "MASE", "rmsse": "RMSSE"}
SHOWN = {LEAD: ("mase", "rmsse", "mae skill"), WEEKDAY: ("mae", "rmse", "mae skill", "rmse skill")}
KINDS = ((ABSOLUTE, "mae"), (SQUARED, "rmse"))
TRUTHS = "(truths)"


def by_view(found: Findings, columns: Columns, c: int, group: str) -> list[Sheet]:
    """One sheet per measure, the leads or weekdays side by side, the number of truths below."""
    places = [k for k, view in enumerate(found.ground.views) if view.group == group]
    head = [found.ground.views[k].of for k in places]
    counts = found.ground.counts[RAW].sum(axis=1)  # (V, C')
    sheets = []
    for name in SHOWN[group] if places else ():
        rows = [(label, [cell(found, label, name, k, c) for k in places]) for label in found.measured]
        if all(text == NONE for _, cells in rows for text in cells):
            continue
        if c < len(found.question.names):
            rows.append((TRUTHS, [f"{counts[k, c]:.0f}" for k in places]))
        words = gained_in(NAMES[name.split()[0]], found) if "skill" in name else NAMES[name]
        sheets.append(columns.sheet(f"{named(found, c)}: {words}, by {group}", head, rows))
    return sheets


def regimes(found: Findings, columns: Columns, c: int) -> list[Sheet]:
    """One sheet per regime, with the tests against the reference on its truths alone, where it has enough of them."""
    sheets, raw = [], raw_too(found, c)
    for k in (k for k, view in enumerate(found.ground.views) if view.group == REGIME):
        tested = any(not np.isnan(_p(found, label, kind, k, c)) for label in found.measured for kind, _ in KINDS)
        rows = [(label, _regime(found, label, k, c, raw, tested)) for label in found.measured]
        head = [
            word
            for _, name in KINDS
            for word in (
                NAMES[name],
                gained_in(NAMES[name], found),
                *([raw_in(NAMES[name])] if raw else []),
                *([f"p, {NAMES[name]}"] if tested else []),
            )
        ]
        count = found.ground.origins(k, c)
        few = "" if tested or len(found.measured) < 2 else ", too few for a test"
        title = f"regime {found.ground.views[k].of}, {count} origin{'' if count == 1 else 's'}{few}"
        sheets.append(columns.sheet(f"{named(found, c)}: {title}", head, rows))
    return sheets


def _regime(found: Findings, label: str, view: int, c: int, raw: bool, tested: bool) -> list[str]:
    cells = []
    for kind, name in KINDS:
        asked = [name, f"{name} skill", *([f"{name} raw skill"] if raw else [])]
        cells += [cell(found, label, one, view, c) for one in asked]
        cells += [p_value(_p(found, label, kind, view, c))] if tested else []
    return cells


def _p(found: Findings, label: str, kind: int, view: int, c: int) -> float:
    """Of the test against the reference on one regime; NaN where there is none."""
    versus = found.versus.get(found.asked.reference)
    if versus is None or label not in versus.labels:
        return float("nan")
    return float(versus.p[versus.labels.index(label), kind, found.ground.tested.index(view), c])
