"""Metrics: a statistic per pair, an aggregation over pairs, streaming; tables of them; error against compute.

Use `MAE(pairs)` for arrays, `MAE.start()` for a stream, `scores(settled)` and `skill(settled)` for settled forecasts.
"""

from forecast.metrics.efficiency import Efficiency, pareto
from forecast.metrics.interval import conformal_rank, coverage_range
from forecast.metrics.metric import Metric, Tally
from forecast.metrics.pairs import Pairs
from forecast.metrics.relative import SkillTally
from forecast.metrics.reversal import ReversalTally, Turn, turns
from forecast.metrics.scale import naive_scale
from forecast.metrics.standard import BIAS, CRPS, MAE, MASE, RMSE, RMSSE, coverage, pinball, width
from forecast.metrics.table import scores, skill

__all__ = [
    "BIAS",
    "CRPS",
    "MAE",
    "MASE",
    "RMSE",
    "RMSSE",
    "Efficiency",
    "Metric",
    "Pairs",
    "ReversalTally",
    "SkillTally",
    "Tally",
    "Turn",
    "conformal_rank",
    "coverage",
    "coverage_range",
    "naive_scale",
    "pareto",
    "pinball",
    "scores",
    "skill",
    "turns",
    "width",
]
