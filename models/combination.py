"""Combination: several models as one. What they err in different ways cancels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path

import numpy as np

from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.portrait import Matrix
from forecast.schema import Task
from forecast.windows import Windows
from models.inside import read_inside, said, write_inside

WAYS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "median": np.median}


class Combination(Forecaster):
    """The mean or the median of its members' forecasts, quantile by quantile.

    Equal weights: those estimated from a short validation seldom do better. Averaged quantiles (Vincentization) keep
    the members' shape, where averaged probabilities would be wider. Costs the sum of its members.

    Args:
        members: label -> unfitted model; they are copied, and the copies fitted.
        by: `mean` or `median`; the median forgives one bad member among three or more.

    Raises:
        SchemaError: no members. UnknownNameError: another way to combine.

    Source: Makridakis, Spiliotis and Assimakopoulos 2020, "The M4 Competition", Int. J. of Forecasting 36; Lichtendahl,
    Grushka-Cockayne and Winkler 2013, Management Science 59 (averaging quantiles).
    """

    fitted_: dict[str, Forecaster]

    def __init__(self, members: Mapping[str, Forecaster], by: str = "mean") -> None:
        if not members:
            raise SchemaError("a Combination has no members: name at least one model")
        if by not in WAYS:
            raise UnknownNameError("way to combine", by, WAYS)
        self.members = members
        self.by = by
        names = ("learns", "warms", "exogenous", "missing", "multivariate", "regional", "named")
        some = {name: any(getattr(m.traits, name) for m in members.values()) for name in names}
        known = dict.fromkeys(m.traits.pretrained for m in members.values() if m.traits.pretrained)
        self.traits = Traits(pretrained="; ".join(known), **some)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        self.fitted_ = deepcopy(self.fitted_ if warm else dict(self.members))
        for member in self.fitted_.values():
            member.fit(panel, task, warm=warm)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        found = [said(member, windows, task) for member in self.fitted_.values()]  # each (B, N, H, C, Q)
        return np.asarray(WAYS[self.by](np.stack(found), axis=0))

    def _portrait(self) -> dict[str, Matrix]:
        """What the members show, each name behind its member's."""
        return {f"{name} {kind}": shown for name, one in self.fitted_.items() for kind, shown in one.portrait().items()}

    def _save(self, folder: Path) -> None:
        for i, member in enumerate(self.fitted_.values()):
            write_inside(member, folder, f"{i}-")

    def _load(self, folder: Path) -> None:
        assert self.task_ is not None
        self.fitted_ = deepcopy(dict(self.members))
        for i, member in enumerate(self.fitted_.values()):
            read_inside(member, self.task_, self, folder, f"{i}-")
