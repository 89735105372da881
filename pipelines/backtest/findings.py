"""What came of a backtest: scores and costs of the contestants of which every cell is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from forecast.errors import PartialError
from forecast.schema import Task
from pipelines.backtest.cell import Cell
from pipelines.backtest.cells import of_each
from pipelines.backtest.contestants import Contestant
from pipelines.backtest.scores import scores, with_skill


@dataclass(frozen=True)
class Comparison:
    """A backtest, ready to run: who takes part, in which cells, and how it is shown."""

    contestants: Sequence[Contestant]
    cells: Sequence[Cell]
    task: Task
    horizons: Sequence[int]
    leads: Sequence[int]
    folder: Path


@dataclass(frozen=True, eq=False)
class Findings:
    """What came of the cells that are done.

    Args:
        made: the backtest. config: the whole configuration.
        table: from `scores`, with skill. costs: one row per cell. failed: key -> why.
    """

    made: Comparison
    config: Mapping[str, Any]
    table: pl.DataFrame
    costs: pl.DataFrame
    failed: Mapping[str, str]

    @property
    def told(self) -> list[str]:
        """What failed, in words."""
        return told_of(self.made, self.failed)

    @property
    def present(self) -> list[Contestant]:
        """Contestants of which every cell is done."""
        labels = set(self.table["label"])
        return [one for one in self.made.contestants if one.label in labels]

    def cpu_s(self, horizon: int) -> float:
        """What all cells of a horizon cost."""
        spent = self.costs.filter(pl.col("horizon") == horizon).select(pl.selectors.ends_with("_cpu_s"))
        return float(spent.to_numpy().sum())

    def of(self, horizon: int) -> dict[str, list[Cell]]:
        """Label -> cells of those present."""
        return _whole(self.made, self.failed, horizon)


def findings(made: Comparison, config: Mapping[str, Any], failed: Mapping[str, str]) -> Findings:
    """Score the cells that are done; a contestant of which one failed is left out.

    Raises:
        PartialError: the reference failed, so that there is nothing to compare with.
    """
    asked, told = config["backtest"], told_of(made, failed)
    if asked["reference"] in {c.label for c in made.cells if c.key in failed}:
        raise PartialError("\n  ".join(["the reference failed: there is nothing to compare with", *told]))
    options = {name: asked[name] for name in ("season", "mase", "block", "every")}
    one_unit = len({v.unit for v in made.task.targets}) == 1  # else only the report pools, in units of naive errors
    options["pool"] = one_unit and (asked["standardise"] if asked["pool"] is None else asked["pool"])
    frames = [
        scores(_whole(made, failed, h), asked["reference"], leads=[k for k in made.leads if k <= h], **options)
        for h in made.horizons
    ]
    facts = [{"cutoff": c.stretch.stop, **c.facts()} for c in made.cells if c.key not in failed]
    costs = pl.DataFrame(facts, infer_schema_length=None)
    return Findings(made, config, with_skill(pl.concat(frames, how="diagonal"), asked["reference"]), costs, failed)


def told_of(made: Comparison, failed: Mapping[str, str]) -> list[str]:
    """What failed, in words, one line for each cell."""
    return [f"{_name(c)}, horizon {c.task.horizon}: {failed[c.key]}" for c in made.cells if c.key in failed]


def _name(cell: Cell) -> str:
    return cell.label + (f", seed + {cell.seed}" if cell.seed else "")


def _whole(made: Comparison, failed: Mapping[str, str], horizon: int) -> dict[str, list[Cell]]:
    each = of_each(made.cells, horizon)
    return {label: mine for label, mine in each if not any(c.key in failed for c in mine)}
