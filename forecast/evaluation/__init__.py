"""Is one forecast really better than another: paired tests and intervals for losses that depend on each other.

Losses of successive origins share most of their weather, so that 1,000 hours are worth a few dozen independent days:
a test that forgets it finds everything significant.
"""

from forecast.evaluation.bootstrap import skill_interval
from forecast.evaluation.paired import diebold_mariano, stars

__all__ = ["diebold_mariano", "skill_interval", "stars"]
