"""Combination: several models as one. What they err in different ways cancels."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from forecast.answers import ordered
from forecast.errors import SchemaError, UnknownNameError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.windows import Windows, filled

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
        self.traits = replace(Traits(), **some)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        self.fitted_ = deepcopy(self.fitted_ if warm else dict(self.members))
        for member in self.fitted_.values():
            member.fit(panel, task, warm=warm)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        found = [_said(m, windows, task) for m in self.fitted_.values()]  # each (B, N, H, C, Q)
        return np.asarray(WAYS[self.by](np.stack(found), axis=0))

    def _save(self, folder: Path) -> None:
        """The members' files, each with its member's number before its name: a model folder has no folders."""
        for i, member in enumerate(self.fitted_.values()):
            with TemporaryDirectory() as place:
                member._save(Path(place))
                for path in Path(place).iterdir():
                    shutil.move(path, folder / f"{i}-{path.name}")

    def _load(self, folder: Path) -> None:
        self.fitted_ = deepcopy(dict(self.members))
        for i, member in enumerate(self.fitted_.values()):
            for name in ("task_", "series_", "data_end_", "scale_", "means_"):  # the same panel gave them the same
                setattr(member, name, getattr(self, name))
            with TemporaryDirectory() as place:
                for path in folder.glob(f"{i}-*"):
                    shutil.copy(path, Path(place) / path.name.removeprefix(f"{i}-"))
                member._load(Path(place))


def _said(member: Forecaster, windows: Windows, task: Task) -> np.ndarray:
    """Quantiles (B, N, H, C, Q) as the member's own base would give them: in order, and inside the bounds."""
    values = ordered(np.array(member._predict(_as_seen_by(member, windows), task), float), task.median)
    bounds = np.array([(v.lower, v.upper) for v in task.targets])  # (C, 2)
    return np.clip(values, bounds[:, :1], bounds[:, 1:])


def _as_seen_by(member: Forecaster, windows: Windows) -> Windows:
    """The windows as the member's own base would hand them over: gaps filled, no outlook, where it wants that."""
    values = windows.values if member.traits.missing else filled(windows.values, member.means_of(windows.series))
    return Windows(values, windows.origins, windows.outlook if member.traits.exogenous else None, windows.series)
