"""Titles and headings that several tables share."""

from __future__ import annotations

from forecast.evaluation.findings import Findings
from forecast.evaluation.ground import ABSOLUTE, SQUARED
from forecast.evaluation.words import number, skill


def named(found: Findings, c: int) -> str:
    """A variable with its unit; the pooled column in words."""
    if c == len(found.question.variables):
        units = {variable.unit for variable in found.question.variables}
        return f"all variables, {units.pop()}" if len(units) == 1 and "" not in units else "all variables"
    variable = found.question.variables[c]
    return f"{variable.name}, {variable.unit}" if variable.unit else variable.name


def gained_in(error: str, found: Findings) -> str:
    """The heading of a skill, which says so where series or variables are scaled before they are added up."""
    scaled = len(found.question.history.series) > 1 or found.ground.pool
    return f"skill in {error}{', scaled' if scaled else ''}"


def cell(found: Findings, label: str, name: str, view: int, c: int) -> str:
    """A score such as `mae`, or a skill such as `mae skill`, of one view."""
    one, kind = found.measured[label], ABSOLUTE if name.startswith("mae") else SQUARED
    return skill(one.skill(found.reference)[kind, view, c]) if "skill" in name else number(one.score(name)[view, c])
