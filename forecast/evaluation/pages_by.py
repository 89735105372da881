"""Tables of parts of the truths: by lead, by weekday, by regime."""

from __future__ import annotations

from forecast.evaluation.columns import Columns
from forecast.evaluation.findings import Findings
from forecast.evaluation.ground import ABSOLUTE, RAW, SQUARED
from forecast.evaluation.sheet import Sheet
from forecast.evaluation.titles import cell, gained_in, named
from forecast.evaluation.views import LEAD, REGIME, WEEKDAY
from forecast.evaluation.words import NONE, p_value

NAMES = {"mae": "MAE", "rmse": "RMSE", "mase": "MASE", "rmsse": "RMSSE"}
SHOWN = {LEAD: ("mase", "rmsse", "mae skill"), WEEKDAY: ("mae", "rmse", "mae skill", "rmse skill")}
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
    """One sheet per regime, with the tests against the reference on its truths alone."""
    sheets = []
    for k in (k for k, view in enumerate(found.ground.views) if view.group == REGIME):
        rows = [(label, _regime(found, label, k, c)) for label in found.measured]
        origins = int((found.ground.counts[RAW, k].sum(axis=1) > 0).sum())
        head = [word for name in ("MAE", "RMSE") for word in (name, gained_in(name, found), f"p, {name}")]
        title = f"{named(found, c)}: regime {found.ground.views[k].of}, {origins} origins"
        sheets.append(columns.sheet(title, head, rows))
    return sheets


def _regime(found: Findings, label: str, view: int, c: int) -> list[str]:
    versus = found.versus.get(found.asked.reference)
    cells = []
    for kind, name in ((ABSOLUTE, "mae"), (SQUARED, "rmse")):
        p = float("nan")
        if versus and label in versus.labels:
            p = versus.p[versus.labels.index(label), kind, found.ground.tested.index(view), c]
        cells += [cell(found, label, name, view, c), cell(found, label, f"{name} skill", view, c), p_value(p)]
    return cells
