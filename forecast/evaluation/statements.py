"""Sentences: who beats the reference, who does not, and where the test cannot tell."""

from __future__ import annotations

import numpy as np

from forecast.evaluation.compare import left_out
from forecast.evaluation.findings import Findings
from forecast.evaluation.ground import ABSOLUTE, SQUARED
from forecast.evaluation.traded import HOLD
from forecast.evaluation.views import REGIME
from forecast.evaluation.words import share, skill

LOSSES = {ABSOLUTE: "absolute errors", SQUARED: "squared errors"}


def statements(found: Findings) -> list[str]:
    """For every variable, error and reference, one sentence per verdict; then what could not be counted."""
    said = []
    for reference, versus in found.versus.items():
        for column, name in enumerate(found.ground.names):
            for kind, loss in LOSSES.items():
                groups: dict[str, list[str]] = {}
                for place, label in enumerate(versus.labels):
                    words = f"{label} (skill {skill(versus.skill[place, kind, 0, column])})"
                    groups.setdefault(versus.verdict(place, kind, column), []).append(words)
                said += [
                    f"{name}, {loss}: {verdict}: {', '.join(who)}."
                    for verdict, who in sorted(groups.items(), key=lambda g: _order(g[0]))
                ]
                if not any(verdict.startswith("beats") for verdict in groups) and reference == found.asked.reference:
                    said.append(f"{name}, {loss}: none of {len(versus.labels)} beats {reference} beyond chance.")
    return [*said, *_earners(found), *_missing(found)]


def _order(verdict: str) -> int:
    return next(k for k, word in enumerate(("beats", "ahead", "does", "-")) if verdict.startswith(word))


def _earners(found: Findings) -> list[str]:
    """Who earns more than holding, net of the highest cost."""
    if not found.traded:
        return []
    total = {label: float(made.total[-1].mean()) for label, made in found.traded.items()}
    better = [f"{label} ({share(x)})" for label, x in total.items() if x > total[HOLD] and label in found.measured]
    cost, hold = found.asked.trade.costs_bp[-1], share(total[HOLD])
    who = ", ".join(better) if better else f"none of {len(found.measured)}"
    return [f"Long/flat net of {cost:g} bp a side: earns more than buy and hold ({hold}): {who}; this is no test."]


def _missing(found: Findings) -> list[str]:
    said = []
    still = left_out(found.ground)
    if still:
        names = ", ".join(f"{series} ({variable})" for series, variable in still[:5])
        more = f" and {len(still) - 5} more" if len(still) > 5 else ""
        said.append(f"Never changed in the history, so without a unit for skill and tests: {names}{more}.")
    given = ~np.isnan(found.question.truth)  # (B, N, H, C)
    lost = int(given.sum() - found.ground.known.sum())
    if lost:
        each = {a.label: int((given & np.isnan(a.points).any(axis=0)).sum()) for a in found.answers}
        who = ", ".join(f"{label} lacks {count}" for label, count in each.items() if count)
        said.append(f"{lost} of {int(given.sum())} truths are not scored, as not all forecast them: {who}.")
    there = {view.of for view in found.ground.views if view.group == REGIME}
    gone = [label for label, _ in found.asked.views.starts if label not in there]
    return [*said, *(f"Regime {label}: no truth lies in it." for label in gone)]
