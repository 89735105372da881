"""The tables of a report, in order."""

from __future__ import annotations

import numpy as np

from forecast.evaluation.columns import Columns, contestants
from forecast.evaluation.compare import Versus
from forecast.evaluation.findings import Findings
from forecast.evaluation.ground import ABSOLUTE
from forecast.evaluation.pages_by import by_view, regimes
from forecast.evaluation.pages_more import directions, filled, seeds, trading
from forecast.evaluation.sheet import Sheet
from forecast.evaluation.statements import LOSSES
from forecast.evaluation.titles import cell, gained_in, named, raw_in, raw_too
from forecast.evaluation.views import LEAD, WEEKDAY
from forecast.evaluation.words import NONE, interval, number, p_value, skill

RATIO = "RMSE / mean (level ratio, not skill)"
IN_THE_SET = 0.1
ERRORS, SKILLS = ("MAE", "RMSE"), ("mae skill", "rmse skill", "mae raw skill", "rmse raw skill")


def pages(found: Findings) -> list[Sheet]:
    """All sheets that have something to show."""
    columns = Columns(found.answers)
    made = [contestants(found.answers, columns)]
    for c in range(len(found.ground.names)):
        one = c < len(found.question.names)  # not all variables together
        made += [errors(found, columns, c)]
        made += [tests(found, columns, c, versus, kind) for versus in found.versus.values() for kind in LOSSES]
        made += confidence(found, columns, c)
        made += [sheet for group in (LEAD, WEEKDAY) for sheet in by_view(found, columns, c, group)]
        made += regimes(found, columns, c)
        made += [directions(found, columns, c)] if one else []
        made += [filled(found, columns, c)] if one and found.filled else []
        made += [seeds(found, columns, c)] if any(a.seeds > 1 for a in found.answers) else []
    return [*made, *trading(found, columns)]


def errors(found: Findings, columns: Columns, c: int) -> Sheet:
    """Everything in one row per contestant; the ratio to the level only where all levels are above zero."""
    level, raw, rows = _level(found, c), raw_too(found, c), []
    for label, one in found.measured.items():
        mae, rmse, mase, rmsse = (one.score(name)[0, c] for name in ("mae", "rmse", "mase", "rmsse"))
        ratio = [] if np.isnan(level) else [f"{rmse / level:.5f}"]
        gained = [cell(found, label, name, 0, c) for name in SKILLS[: 4 if raw else 2]]
        rows.append((label, [number(mae), number(rmse), *ratio, number(mase), number(rmsse), *gained]))
    ratio = [] if np.isnan(level) else [RATIO]
    head = ["MAE", "RMSE", *ratio, "MASE", "RMSSE", *(gained_in(name, found) for name in ERRORS)]
    head += [raw_in(name) for name in ERRORS] if raw else []
    return columns.sheet(f"{named(found, c)}: errors", head, rows)


def tests(found: Findings, columns: Columns, c: int, versus: Versus, kind: int) -> Sheet:
    """Skill, interval, p-values and what they come to, of one kind of error."""
    rows = []
    for label in (x for x in found.measured if x in versus.labels):
        a = versus.labels.index(label)
        gained, low, high = versus.skill[a, kind, 0, c], versus.low[a, kind, c], versus.high[a, kind, c]
        ps = [p_value(x[a, kind, 0, c]) for x in (versus.p, versus.holm)]
        rows.append((label, [skill(gained), interval(low, high), *ps, versus.verdict(a, kind, c)]))
    name = gained_in("MAE" if kind == ABSOLUTE else "RMSE", found)
    head = [name, "95 % interval", "p", "p Holm", "verdict"]
    return columns.sheet(f"{named(found, c)}: {LOSSES[kind]} against {versus.reference}", head, rows)


def confidence(found: Findings, columns: Columns, c: int) -> list[Sheet]:
    """Who may be the best; nothing where there are too few models or blocks to say."""
    p = found.confidence  # (A, 2, C')
    if p is None or np.isnan(p[..., c]).all():
        return []
    rows = [
        (label, [x for one in p[a, :, c] for x in (p_value(one), _belongs(one))])
        for a, label in enumerate(found.measured)
    ]
    head = [f"{word}, {loss}" for loss in LOSSES.values() for word in ("p", "in the set")]
    return [columns.sheet(f"{named(found, c)}: 90 % model confidence set", head, rows)]


def _belongs(p: float) -> str:
    return NONE if np.isnan(p) else "yes" if p > IN_THE_SET else "no"


def _level(found: Findings, c: int) -> float:
    """Mean of the truths, where all of them and the history lie above zero; else NaN."""
    if c == len(found.question.names):
        return float("nan")
    truth, history = found.ground.question.truth[..., c], found.question.history.values[..., c]
    low = min(np.nanmin(truth, initial=np.inf), np.nanmin(history, initial=np.inf))
    return float(np.nanmean(truth)) if 0 < low < np.inf else float("nan")
