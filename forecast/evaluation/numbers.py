"""The figures of a report as a long frame: for trackers, notebooks and plots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import polars as pl

from forecast.evaluation.findings import Findings
from forecast.evaluation.ground import ABSOLUTE, RAW, SQUARED
from forecast.evaluation.measure import SCORES
from forecast.evaluation.views import ALL

Row = tuple[str, str, str, str, str, float]
SCHEMA = dict.fromkeys(("label", "variable", "group", "of", "measure"), pl.String) | {"value": pl.Float64}
KINDS = {ABSOLUTE: "mae", SQUARED: "rmse"}


def numbers(found: Findings) -> pl.DataFrame:
    """label, variable, group, of, measure, value; what is not known is left out."""
    rows = [row for part in (_scores, _tests, _others, _trades) for row in part(found) if not np.isnan(row[-1])]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _scores(found: Findings) -> Iterator[Row]:
    """Of every view: n, errors and skill against the reference."""
    names = found.ground.names
    count = found.ground.counts[RAW].sum(axis=1)  # (V, C')
    for label, one in found.measured.items():
        table = {"n": count, **{name: one.score(name) for name in SCORES}}
        gained = one.skill(found.reference)  # (2, V, C')
        table |= {f"skill_{name}": gained[kind] for kind, name in KINDS.items()}
        gained = one.skill(found.reference, RAW)  # (2, V, C')
        table |= {f"raw_skill_{name}": gained[kind] for kind, name in KINDS.items()}
        for measure, values in table.items():
            for v, view in enumerate(found.ground.views):
                yield from ((label, name, view.group, view.of, measure, float(values[v, c])) for c, name in _of(names))


def _tests(found: Findings) -> Iterator[Row]:
    """Against every reference over everything, and the p-values of the regimes."""
    views = [found.ground.views[k] for k in found.ground.tested]
    for reference, versus in found.versus.items():
        for a, label in enumerate(versus.labels):
            for kind, measure in KINDS.items():
                for c, name in _of(found.ground.names):
                    ends = {"skill": versus.skill[a, kind, 0, c], "low": versus.low[a, kind, c]}
                    ends |= {"high": versus.high[a, kind, c]}
                    for word, value in ends.items():
                        yield label, name, "reference", reference, f"{word}_{measure}", float(value)
                    for v, view in enumerate(views):
                        group, of = ("reference", reference) if view.group == ALL else (view.group, view.of)
                        if view.group == ALL or reference == found.asked.reference:
                            yield label, name, group, of, f"p_{measure}", float(versus.p[a, kind, v, c])
                    yield label, name, "reference", reference, f"holm_{measure}", float(versus.holm[a, kind, 0, c])


def _others(found: Findings) -> Iterator[Row]:
    """Model confidence set, directions, filled gaps, single seeds."""
    for a, (label, one) in enumerate(found.measured.items()):
        for c, name in _of(found.ground.names):
            for kind, measure in KINDS.items():
                if found.confidence is not None:
                    yield label, name, ALL, ALL, f"confidence_{measure}", float(found.confidence[a, kind, c])
                for seed, value in enumerate(one.seeds[kind, 0, :, c] if one.answer.seeds > 1 else ()):
                    yield label, name, "seed", str(seed), measure, float(value if kind == ABSOLUTE else np.sqrt(value))
        for name, made in zip(found.question.names, found.directions[label], strict=True):
            yield from ((label, name, "direction", ALL, k, float(v)) for k, v in asdict(made).items())
        for measure in KINDS.values() if label in found.filled else ():
            scores = found.filled[label].score(measure)[0]  # (C,)
            yield from ((label, n, "filled", ALL, measure, float(scores[c])) for c, n in _of(found.question.names))


def _trades(found: Findings) -> Iterator[Row]:
    """Means over seeds, of each series."""
    for label, made in found.traded.items():
        for k, cost in enumerate(found.asked.trade.costs_bp):
            for n, series in enumerate(found.question.history.series):
                for field in ("total", "sharpe", "trades", "long"):
                    value = getattr(made, field)[k, :, n]  # (S,)
                    word = f"{field}_{cost:g}bp"
                    yield label, found.asked.trade.variable, "trade", series, word, float(value.mean())


def _of(names: tuple[str, ...]) -> list[tuple[int, str]]:
    return list(enumerate(names))
