"""Tables of directions, of filled gaps, of seeds and of the long/flat rule."""

from __future__ import annotations

import numpy as np

from forecast.evaluation.columns import Columns
from forecast.evaluation.findings import Findings
from forecast.evaluation.ground import ABSOLUTE, RAW, SQUARED, UNIT
from forecast.evaluation.sheet import Sheet
from forecast.evaluation.titles import gained_in, named
from forecast.evaluation.words import count, number, p_value, share, skill, span, spread

MANY = 24  # series, above which they have no column of their own


def directions(found: Findings, columns: Columns, c: int) -> Sheet:
    """How often the direction over the horizon was right."""
    called = {label: found.directions[label][c] for label in found.measured}
    rows = [(k, [share(d.right), p_value(d.p), share(d.called), share(d.up), str(d.pairs)]) for k, d in called.items()]
    head = ["right", "p", "says it rises", "truth rises", "pairs"]
    return columns.sheet(f"{named(found, c)}: direction over the horizon", head, rows)


def filled(found: Findings, columns: Columns, c: int) -> Sheet:
    """Real truths only, and with gaps filled forward."""
    base, rows = found.filled[found.asked.reference], []
    for label, other in found.filled.items():
        one = found.measured[label]
        errors = [number(x.score(name)[0, c]) for name in ("mae", "rmse") for x in (one, other)]
        gained = zip(one.skill(found.reference)[:, 0, c], other.skill(base)[:, 0, c], strict=True)
        rows.append((label, [*errors, *(skill(x) for pair in gained for x in pair)]))
    names = ("MAE", "RMSE", gained_in("MAE", found), gained_in("RMSE", found))
    head = [f"{name}{end}" for name in names for end in ("", ", filled")]
    pairs = (int(ground.counts[RAW, 0, :, c].sum()) for ground in (found.ground, base.ground))
    title = "{} real truths, and {} with gaps filled forward".format(*pairs)
    return columns.sheet(f"{named(found, c)}: {title}", head, rows)


def seeds(found: Findings, columns: Columns, c: int) -> Sheet:
    """Mean and deviation over trainings."""
    base = found.reference.seeds[:, UNIT, :, c].mean(axis=1)  # (2,)
    rows = []
    for label, one in found.measured.items():
        raw = one.seeds[:, RAW, :, c]  # (2, S)
        ratio = one.seeds[:, UNIT, :, c] / np.where(base > 0, base, np.nan)[:, None]  # (2, S)
        errors = [x for e in (raw[ABSOLUTE], np.sqrt(raw[SQUARED])) for x in (spread(list(e)), number(np.median(e)))]
        gained = [spread(list(1 - x), skill) for x in (ratio[ABSOLUTE], np.sqrt(ratio[SQUARED]))]
        rows.append((label, [str(one.answer.seeds), *errors, *gained]))
    head = ["seeds", "MAE", "median MAE", "RMSE", "median RMSE", gained_in("MAE", found), gained_in("RMSE", found)]
    return columns.sheet(f"{named(found, c)}: mean ± deviation, and median, over seeds", head, rows)


def trading(found: Findings, columns: Columns) -> list[Sheet]:
    """Means over seeds and series; the total return of each series where there are a few."""
    if not found.traded:
        return []
    costs, series, q = found.asked.trade.costs_bp, found.question.history.series, found.question
    rows, each = [], []
    for label, made in found.traded.items():
        cells = [x for k in range(len(costs)) for x in (share(made.total[k].mean()), _sharpe(made.sharpe[k]))]
        rows.append((label, [*cells, count(made.trades[0].mean()), share(made.long[0].mean())]))
        each.append((label, [share(x) for x in made.total[-1].mean(axis=0)]))
    head = [f"{name}, {cost:g} bp" for cost in costs for name in ("return", "Sharpe")]
    name, period = found.asked.trade.variable, span(q.stride * q.history.step)
    sheets = [columns.sheet(f"{name}: long/flat, decided every {period}", [*head, "trades", "share long"], rows)]
    if 1 < len(series) <= MANY:
        sheets.append(columns.sheet(f"{name}: return of long/flat by series, {costs[-1]:g} bp", series, each))
    return sheets


def _sharpe(values: np.ndarray) -> str:
    """Mean of those that there are."""
    known = values[~np.isnan(values)]
    return f"{known.mean():+.2f}" if known.size else "-"
