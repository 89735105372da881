"""What a report shall contain: plain settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import numpy as np

from forecast.errors import SchemaError

Moment = str | date | datetime


@dataclass(frozen=True)
class Views:
    """Which parts of the truths are also scored on their own.

    Args:
        leads: leads to show, in steps; None: all, or eight of them evenly spread where there are more.
        weekdays: by the weekday of the truth.
        regimes: label -> first moment, which lasts until the next one; truths before the first one make up one more.
        filled: also with the gaps of the truth filled forward, on Monday to Friday where the step is a day.

    Raises:
        SchemaError: a moment that is none, or two at once.
    """

    leads: Sequence[int] | None = None
    weekdays: bool = False
    regimes: Mapping[str, Moment] = field(default_factory=dict)
    filled: bool = False

    def __post_init__(self) -> None:
        if self.leads is not None:
            object.__setattr__(self, "leads", tuple(self.leads))
        if len({at for _, at in self.starts}) < len(self.regimes):
            raise SchemaError(f"regimes {dict(self.regimes)} begin at the same moment twice: give each its own")

    @property
    def starts(self) -> list[tuple[str, np.datetime64]]:
        """Labels and first moments in the order of time."""
        return sorted(
            ((str(label), _moment(label, at)) for label, at in self.regimes.items()), key=lambda pair: pair[1]
        )


@dataclass(frozen=True)
class Trade:
    """The long/flat rule, see `forecast.evaluation.trading`.

    Args:
        variable: a price that one can trade at, such as `open`; "": no rule.
        costs_bp: basis points of the value traded, a side.

    Raises:
        SchemaError: no cost to show, or a cost outside [0, 10000).
    """

    variable: str = ""
    costs_bp: Sequence[float] = (0.0,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "costs_bp", tuple(float(c) for c in self.costs_bp))
        if not self.costs_bp or not all(0 <= c < 1e4 for c in self.costs_bp):
            raise SchemaError(f"costs_bp is {list(self.costs_bp)}: give one or more, each at least 0 and below 10000")


@dataclass(frozen=True)
class Asked:
    """Settings of a report.

    Args:
        reference: label of the contestant that skill is measured against. references: further ones.
        block: origins per block of tests; raised until a block covers a horizon.
        pool: also the mean over variables, each in units of its naive error.
        facts: words printed on top, by name: scaler scope, fill rule, retraining rule, hardware.

    Raises:
        SchemaError: a block below 1.
    """

    reference: str = "persistence"
    references: Sequence[str] = ()
    block: int = 1
    pool: bool = False
    views: Views = Views()
    trade: Trade = Trade()
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "references", tuple(r for r in self.references if r != self.reference))
        if self.block < 1:
            raise SchemaError(f"block is {self.block}: it must be at least 1 origin")


def _moment(label: str, at: Moment) -> np.datetime64:
    """As UTC, without a zone."""
    try:
        found = datetime.fromisoformat(at if isinstance(at, str) else at.isoformat())
    except ValueError as error:
        raise SchemaError(f"regime '{label}' begins at '{at}', which is no moment: write 2020-02-28") from error
    return np.datetime64(found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found, "us")
