"""Is one forecast really better than another: the report of a backtest, paired tests and intervals.

Losses of successive origins share most of their weather, so that 1,000 hours are worth a few dozen independent days:
a test that forgets it finds everything significant. Use `report(question, answers, asked)` for everything at once.
"""

from forecast.evaluation.asked import Asked, Trade, Views
from forecast.evaluation.bootstrap import skill_interval
from forecast.evaluation.confidence import model_confidence_set
from forecast.evaluation.direction import pesaran_timmermann
from forecast.evaluation.holm import holm
from forecast.evaluation.paired import diebold_mariano, stars
from forecast.evaluation.question import Answer, Question
from forecast.evaluation.report import Report, report
from forecast.evaluation.sheet import Sheet

__all__ = [
    "Answer",
    "Asked",
    "Question",
    "Report",
    "Sheet",
    "Trade",
    "Views",
    "diebold_mariano",
    "holm",
    "model_confidence_set",
    "pesaran_timmermann",
    "report",
    "skill_interval",
    "stars",
]
