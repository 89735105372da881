"""How a network is trained: settings, and what training says it did. The loop is in models/lightning.py."""

from __future__ import annotations

import math
from dataclasses import dataclass

from forecast.errors import SchemaError, UnknownNameError
from models.training.optimisers import OPTIMISERS
from models.training.schedules import SCHEDULES

SPLITS = ("refit_all", "holdout", "paper")
PRECISIONS = ("32-true", "bf16-mixed")
SHARE = 0.1  # of the rows, the newest, held out by `holdout`
PAPER_ROWS = 256  # the newest, held out by `paper`


@dataclass(frozen=True)
class Training:
    """How a network is trained: optimiser, learning rate and its schedule, clipped gradients, when to stop.

    Args:
        epochs: passes over the rows; the most there will be with rows held out. warm_epochs: the same, warm start.
        batch: rows per step.
        optimiser: adamw, adam, keras_adam, lion, exadam or adam8bit (models/training/optimisers.py).
        rate: highest learning rate; None for the optimiser's own. weight_decay: likewise.
        schedule: one_cycle, cosine, plateau or constant (models/training/schedules.py).
        plateau: epochs without a better loss before the rate is lowered; read by the schedule of that name, as are:
        factor: what the rate is lowered by. threshold: by what share of the best a loss has to be better.
        clip: largest norm of a member's gradient; infinity for none.
        split: `refit_all` trains on every row, the newest included, for all epochs; `holdout` keeps the newest
            tenth out, stops after `patience` epochs without a better loss there, and returns the best weights;
            `paper` does so with the newest 256 rows (half of the rows where there are fewer than 512).
        patience: epochs; read where rows are held out.
        precision: `32-true`, or `bf16-mixed` (products in bfloat16, weights in float32: for a GPU).
        accelerator: `auto` takes a GPU when there is one; cpu, gpu, ...
        threads: of the CPU, while training and forecasting.
        together: most members of a stack that are trained in one pass; None for as many as pays.
        progress: shows a bar on stderr.
        checkpoints: a folder in which every training keeps a folder of its own, named by its settings and data, while
            it lasts: the same fit, started again after a crash, goes on there. None: a fit begins anew.
        checkpoint_steps: between two checkpoints.

    Raises:
        UnknownNameError: another optimiser, schedule, split or precision.
        SchemaError: a count or rate that is not positive, a factor or threshold that is no share.

    >>> Training(split="holdout").trained(1000), Training(split="paper").trained(3360)
    (900, 3104)
    """

    epochs: int = 10
    warm_epochs: int = 3
    batch: int = 256
    optimiser: str = "adamw"
    rate: float | None = None
    weight_decay: float | None = None
    schedule: str = "one_cycle"
    plateau: int = 5
    factor: float = 0.5
    threshold: float = 1e-4
    clip: float = 1.0
    split: str = "refit_all"
    patience: int = 5
    precision: str = "32-true"
    accelerator: str = "auto"
    threads: int = 1
    together: int | None = None
    progress: bool = False
    checkpoints: str | None = None
    checkpoint_steps: int = 200

    def __post_init__(self) -> None:
        for kind, known in (
            ("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("split", SPLITS), ("precision", PRECISIONS),
        ):  # fmt: skip
            if getattr(self, kind) not in known:
                raise UnknownNameError(kind, getattr(self, kind), known)
        for name in (
            "epochs",
            "warm_epochs",
            "batch",
            "rate",
            "clip",
            "patience",
            "plateau",
            "threads",
            "together",
            "checkpoint_steps",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SchemaError(f"training.{name} is {value}: it must be positive")
        if not 0 < self.factor < 1 or not 0 <= self.threshold < 1:
            raise SchemaError(
                f"training.factor is {self.factor}, training.threshold {self.threshold}: shares below 1 are needed"
            )
        if self.weight_decay is not None and not self.weight_decay >= 0:
            raise SchemaError(f"training.weight_decay is {self.weight_decay}: it must be 0 or more")

    def trained(self, rows: int) -> int:
        """How many of `rows`, the oldest, are trained on; the rest are held out."""
        if self.split == "refit_all" or rows < 2:
            return rows
        return rows - (min(PAPER_ROWS, rows // 2) if self.split == "paper" else math.ceil(SHARE * rows))

    @property
    def highest_rate(self) -> float:
        return OPTIMISERS[self.optimiser].rate if self.rate is None else self.rate

    @property
    def decay(self) -> float:
        return OPTIMISERS[self.optimiser].weight_decay if self.weight_decay is None else self.weight_decay


@dataclass(frozen=True)
class History:
    """What training did: loss of each epoch (held-out rows where there are any), steps taken, and the epoch kept."""

    losses: tuple[float, ...]
    steps: int
    kept: int
