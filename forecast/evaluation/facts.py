"""What stands on top of a report and below it: what was compared, and how to read it."""

from __future__ import annotations

import numpy as np

from forecast.evaluation.compare import block_of_draws, block_of_tests
from forecast.evaluation.findings import Findings
from forecast.evaluation.paired import FEWEST
from forecast.evaluation.question import Question
from forecast.evaluation.titles import raw_too
from forecast.evaluation.words import listed, number, seconds, span


def facts(found: Findings) -> dict[str, str]:
    """Name -> words: what the caller gives, behind what can be counted."""
    q, answers = found.ground.question, found.answers
    first, last = (np.datetime_as_string(t, "m").replace("T00:00", "") for t in (q.origins[0], q.origins[-1]))
    seeds = sorted({a.seeds for a in answers})
    spent = sum(sum(a.cpu_s.values()) for a in answers)
    return {
        "origins": f"{len(q.origins)}, {first} to {last}, every {span(q.stride * q.history.step)}",
        "horizon": f"{q.horizon} steps of {span(q.history.step)}",
        "series": listed(q.history.series),
        "scored": f"{int(found.ground.known.sum())} truths on which all {len(answers)} contestants have a forecast",
        "mean of the truths": _levels(q),
        "seeds": " or ".join(map(str, seeds)) + " a contestant" if seeds != [1] else "one a contestant",
        **({"CPU seconds": seconds(spent)} if spent else {}),
        **{str(name): str(words) for name, words in found.asked.facts.items()},
    }


def _levels(q: Question) -> str:
    shown = [(v, q.truth[..., c]) for c, v in enumerate(q.variables)]
    return ", ".join(
        f"{v.name} {number(float(np.nanmean(x)))} {v.unit}".rstrip() for v, x in shown if not np.isnan(x).all()
    )


def notes(found: Findings) -> list[str]:
    """How to read the tables, of those that are there."""
    q, asked = found.ground.question, found.asked
    many, several = len(q.history.series) > 1, any(a.seeds > 1 for a in found.answers)
    unit = ", each series in units of its naive error in the history" if many or found.ground.pool else ""
    said = [
        f"Skill is 1 - E / E({asked.reference}) on identical pairs{unit}. Intervals: 95 %, moving blocks of "
        f"{block_of_draws(found.ground, asked.block)} origins. No interval, test or confidence set with fewer than "
        f"{FEWEST} blocks.",
        f"p: Diebold and Mariano on mean losses per origin, {_blocks(found)}, with the correction of Harvey, Leybourne "
        "and Newbold, two-sided. p Holm: the same, adjusted for the number of contestants. Verdicts go by p Holm < "
        "0.05; the p of regimes are not adjusted.",
        "MASE and RMSSE divide by what repeating the newest value errs in the history at the same lead"
        + (", from rows of the same phase as the origins." if q.stride > 1 else "."),
        "Gaps of the truth are never scored, except in the table that says so.",
    ]
    if found.confidence is not None and not np.isnan(found.confidence).all():
        said.append("Model confidence set: Hansen, Lunde and Nason, range statistic; p > 0.1 is in the 90 % set.")
    said.append(
        "Directions: from the newest known value to the last truth of the horizon. One that always says what is more "
        "frequent is right as often as the larger of 'truth rises' and its rest. p: Pesaran and Timmermann, one-sided"
        + (", on means over seeds and series per origin." if many or several or q.overlap > 1 else ".")
    )
    if any(raw_too(found, c) for c in range(len(found.ground.names))):
        said.append(
            "Raw skill is of the errors as they are, added up over all series: the largest ones decide it. Intervals "
            "and tests are of the scaled one."
        )
    if several:
        said.append(
            "Errors and tests are those of the mean over seeds of the losses: of a training as one gets it, not of the "
            "best one, and not of the mean forecast. RMSE is the root of that mean; the table of seeds has the mean "
            "and the median of each training's own."
        )
    if asked.trade.variable:
        said.append(
            "Long/flat: decided at the origin from the last forecast of the horizon against the newest known value, "
            "done at the first session after it, kept until the first session after the next origin; costs a side at "
            "each change, the last sale included. Sharpe per year, without interest."
        )
    return said


def _blocks(found: Findings) -> str:
    block = block_of_tests(found.ground, found.asked.block)
    return f"averaged over blocks of {block} origins" if block > 1 else "which do not overlap"
