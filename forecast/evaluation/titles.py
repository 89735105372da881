"""Titles and headings that several tables share."""

from __future__ import annotations

import numpy as np

from forecast.evaluation.findings import Findings
from forecast.evaluation.ground import ABSOLUTE, RAW, SQUARED, UNIT
from forecast.evaluation.words import number, skill


def named(found: Findings, c: int) -> str:
    """A variable with its unit; the pooled column in words."""
    if c == len(found.question.variables):
        units = {variable.unit for variable in found.question.variables}
        return f"all variables, {units.pop()}" if len(units) == 1 and "" not in units else "all variables"
    variable = found.question.variables[c]
    return f"{variable.name}, {variable.unit}" if variable.unit else variable.name


def scaled(found: Findings) -> bool:
    """Whether errors of series or variables are scaled before they are added up to a skill."""
    return len(found.question.history.series) > 1 or found.ground.pool


def raw_too(found: Findings, c: int) -> bool:
    """Whether a skill of errors as they are says something else, and there is one: all are in one unit."""
    return scaled(found) and not np.isnan(found.reference.mean(ABSOLUTE, RAW)[0, c])


def gained_in(error: str, found: Findings) -> str:
    """The heading of a skill, which says so where series or variables are scaled before they are added up."""
    return f"skill in {error}{', scaled' if scaled(found) else ''}"


def raw_in(error: str) -> str:
    """The heading of a skill in errors as they are."""
    return f"skill in {error}, raw"


def cell(found: Findings, label: str, name: str, view: int, c: int) -> str:
    """A score such as `mae`, a skill such as `mae skill`, or `mae raw skill`, of one view."""
    one, kind = found.measured[label], ABSOLUTE if name.startswith("mae") else SQUARED
    if "skill" not in name:
        return number(one.score(name)[view, c])
    return skill(one.skill(found.reference, RAW if "raw" in name else UNIT)[kind, view, c])
