"""Region: one series and some targets, seen with every other series as past inputs.

A model that takes past inputs becomes regional by the data it is shown, without knowing it: the neighbours' values
stand beside its own, named `temperature@LGA`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from forecast.errors import SchemaError, UnknownNameError
from forecast.panel import Panel
from forecast.schema import Task, Variable

MARK = "@"


@dataclass(frozen=True)
class Region:
    """What one nowcaster asks for.

    Args:
        series: the one to forecast; empty = all of them, each as it is.
        targets: names of the targets, empty = all of the task's. The others become past inputs.
        neighbours: the other series are past inputs; with False the series stands alone.

    Raises:
        SchemaError: a name twice.

    >>> from forecast.checks import synthetic_panel, synthetic_task
    >>> jfk, panel = Region("JFK", ("temperature",)), synthetic_panel()
    >>> jfk.task(synthetic_task(), panel.series).names
    ('temperature', 'humidity', 'wind', 'temperature@BOS', 'humidity@BOS', 'wind@BOS', 'temperature@LGA', \
'humidity@LGA', 'wind@LGA')
    >>> jfk.panel(panel, synthetic_task()).shape
    (1, 200, 9)
    """

    series: str = ""
    targets: tuple[str, ...] = ()
    neighbours: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(self.targets))
        if len(set(self.targets)) < len(self.targets):
            raise SchemaError(f"a target is named twice in {list(self.targets)}: name each once")

    @property
    def whole(self) -> bool:
        """Whether this is every series and every target."""
        return not self.series and not self.targets

    def task(self, task: Task, series: Sequence[str]) -> Task:
        """The task as this nowcaster answers it, among `series` (its own may be one of them).

        Raises:
            UnknownNameError: a target that is none of the task's.
        """
        for name in self.targets:
            if name not in task.target_names:
                raise UnknownNameError("target", name, task.target_names)
        chosen = [v for v in task.targets if not self.targets or v.name in self.targets]
        past = [v for v in task.variables if v not in chosen]
        if self.series and self.neighbours:
            others = [name for name in sorted(series) if name != self.series]
            past += [replace(v, name=beside(v.name, name)) for name in others for v in task.variables]
        return replace(task, targets=chosen, past=past)

    def panel(self, panel: Panel, task: Task) -> Panel:
        """The panel as this nowcaster sees it: (1, T, N * V), its own variables first; the whole one without `series`.

        The outlook is that of its own series. Which targets are asked for does not matter: a model picks its columns.

        Raises:
            UnknownNameError: the panel has no such series.
        """
        if not self.series:
            return panel
        if self.series not in panel.series:
            raise UnknownNameError("series", self.series, panel.series)
        panel, place = panel.select(task.names), panel.series.index(self.series)
        others = [k for k in range(len(panel.series)) if k != place] if self.neighbours else []
        names = [*panel.variables, *(beside(v, panel.series[k]) for k in others for v in panel.variables)]
        values = panel.values[[place, *others]].swapaxes(0, 1).reshape(1, len(panel.times), -1)  # (1, T, N * V)
        outlook = None if panel.outlook is None else panel.outlook[[place]]  # (1, T, K, F)
        return replace(panel, values=values, series=(self.series,), variables=tuple(names), outlook=outlook)


def beside(variable: Variable | str, series: str) -> str:
    """Name of a neighbour's variable.

    >>> beside("temperature", "LGA")
    'temperature@LGA'
    """
    return f"{variable.name if isinstance(variable, Variable) else variable}{MARK}{series}"
