"""A block of equations that are learnt alike: those whose rows are whole share one matrix over all their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.ridges.leave_out import chosen
from models.ridges.sums import Sums
from models.ridges.table import Table

CHUNK = 8_000_000  # design values held at once while fitting: 64 MB
SPARE = 0.05  # part of the rows that may be left out for a gap in some truth before equations are given matrices apart


@dataclass(frozen=True, eq=False)
class Block:
    """Equations and their sums.

    Where the leads have the same inputs and gaps are few, one matrix serves all outputs (`alike`): it holds the rows
    whose truths are all known, and the H - 1 newest enter at the solve, each lead having what is known of it. A row
    with a gap in any truth is left out. Where that would lose more than `SPARE` of the rows, or inputs differ, each
    lead has its matrix; and if that would still lose more, each lead and target. Then rows enter as truths come.

    Args:
        series: (S',) places in the panel that the equations are learnt from. pooled: they have one equation.
        sums: of S equations, S' or 1. penalty: (S, G).
    """

    series: np.ndarray
    pooled: bool
    sums: Sums
    penalty: np.ndarray

    @property
    def alike(self) -> bool:
        return self.penalty.shape[1] == 1

    def rows(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The block's rows (S, R, ...) of those of its series (S', R, ...); pooled, the series follow one another."""
        if not self.pooled:
            return x, y
        return x.swapaxes(0, 1).reshape(1, -1, *x.shape[2:]), y.swapaxes(0, 1).reshape(1, -1, y.shape[2])

    def own(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The block's rows, of those of all N series."""
        return self.rows(x, y) if len(self.series) == len(x) else self.rows(x[self.series], y[self.series])

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(R,) one per panel row -> one per row of the block."""
        return np.repeat(values, len(self.series)) if self.pooled else values

    def weights(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """(S, R, G) `weight` (R,) where all truths of the group are known, else 0."""
        known = ~np.isnan(y)  # (S, R, O)
        groups = [known[..., self.sums.outputs(g)].all(-1) for g in range(self.penalty.shape[1])]
        return np.stack(groups, -1) * weight[:, None]

    def plus(self, x: np.ndarray, y: np.ndarray, rows: np.ndarray, allowed: np.ndarray, end: int, fade: float) -> Block:
        """With the truths of the panel's row `end`, for those of the origins `rows` (R,) that are `allowed` (R,)."""
        x, y = self.own(x, y)
        weight = self.weights(y, self.spread(allowed * fade ** (end - rows).astype(float)))  # (S, R', G)
        fresh = self.spread(rows)[:, None] + self._last_lead() == end  # (R', G): the group's last truth has come
        used = fresh.any(1)  # (R',)
        return replace(self, sums=self.sums.plus(x[:, used], y[:, used], (weight * fresh)[:, used], fade))

    def solve(self, x: np.ndarray, y: np.ndarray, rows: np.ndarray, end: int, fade: float) -> np.ndarray:
        """(S, O, D); of the newest origins `rows` (R,), those whose truths are not all known at row `end` are added."""
        later = rows + self.sums.leads.max() + 1 > end  # (R,)
        if not self.alike or not later.any():
            return self.sums.solve(self.penalty)
        rows = rows[later]
        x, y = self.own(x[:, later], y[:, later])
        come = self.spread(rows)[:, None] + self.sums.leads + 1 <= end  # (P', O)
        whole = (~np.isnan(y) | ~come).all(-1, keepdims=True)  # (S, P', 1)
        age = self.spread(fade ** (end - rows).astype(float))[:, None]  # (P', 1)
        return self.sums.solve_with(self.penalty, x[:, :, 0], y, whole * come * age)

    def _last_lead(self) -> np.ndarray:
        """(G,)."""
        sums = self.sums
        return np.array([sums.leads[sums.outputs(g)].max() + 1 for g in range(self.penalty.shape[1])])

    def arrays(self) -> dict[str, np.ndarray]:
        sums = self.sums
        named = {
            "gram": sums.gram,
            "cross": sums.cross,
            "groups": sums.groups,
            "leads": sums.leads,
            "factors": sums.factors,
        }
        return {**named, "series": self.series, "penalty": self.penalty, "pooled": np.array([self.pooled])}

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> Block:
        """What `arrays` gave."""
        sums = Sums(arrays["gram"], arrays["cross"], arrays["groups"], arrays["leads"], arrays["factors"])
        return cls(arrays["series"], bool(arrays["pooled"][0]), sums, arrays["penalty"])


def learn(
    table: Table, rows: np.ndarray, end: int, scope: str, fade: float, penalties: Sequence[float], block: int
) -> tuple[list[Block], np.ndarray]:
    """The blocks fitted on origins `rows` (R,), and the errors (N, R, H, C) on rows left out."""
    count, targets = table.panel.shape[0], len(table.task.targets)
    errors = np.empty((count, len(rows), table.task.horizon, targets))
    blocks = []
    weight = fade ** (end - rows).astype(float)  # (R,)
    for part in layout_of(table, rows, end, scope):
        learnt = []
        size = (
            len(part.series)
            if part.pooled
            else max(1, CHUNK // (len(rows) * len(table.factors) * (table.task.horizon if table.by_lead else 1)))
        )
        for i in range(0, len(part.series), size):
            piece = replace(part, series=part.series[i : i + size])
            fitted, missed = _fitted(piece, table, rows, weight, penalties, block)
            learnt.append(fitted)
            errors[piece.series] = missed[..., :targets]
        blocks.append(_joined(learnt))
    return blocks, errors


def _fitted(
    block: Block, table: Table, rows: np.ndarray, weight: np.ndarray, penalties: Sequence[float], size: int
) -> tuple[Block, np.ndarray]:
    """The block with sums and penalties, and errors (S', R, H, E)."""
    x, y = block.rows(*table.of(block.series, rows))
    known = block.weights(y, block.spread(weight))  # (S, R', G)
    empty = Sums.none(len(x), block.sums.groups, block.sums.leads, block.sums.factors)
    sums = empty.plus(x, y, known)
    penalty = np.empty((len(x), known.shape[2]))
    errors = np.empty_like(y)
    many = len(block.series) if block.pooled else 1
    for g in range(known.shape[2]):
        outs = sums.outputs(g)
        both = sums.gram[:, g], sums.cross[:, outs].swapaxes(1, 2), sums.factors
        penalty[:, g], errors[..., outs] = chosen(
            sums.rows_of(x, g), y[..., outs], known[..., g], both, penalties, size * many
        )
    horizon, outs = table.task.horizon, y.shape[2]
    if block.pooled:
        errors = errors.reshape(len(rows), many, outs).swapaxes(0, 1)
    errors = errors.reshape(*errors.shape[:2], horizon, outs // horizon)
    return replace(block, sums=sums, penalty=penalty), errors


def layout_of(table: Table, rows: np.ndarray, end: int, scope: str) -> list[Block]:
    """Blocks without sums: which series share a matrix over leads and targets, and which need several."""
    task, supports = table.task, table.supports
    variables = [*range(len(task.targets))]
    variables += [c for c, levels in enumerate(supports) for _ in levels[:-1]]  # whose truth each output is
    leads = np.repeat(np.arange(task.horizon), len(variables))  # (O,)
    columns = np.tile(variables, task.horizon)  # (O,)
    finest = leads * len(task.targets) + columns
    groups = [leads if table.by_lead else leads * 0, leads, finest]
    need = _groups_needed(table, rows, end, pooled=scope == "global")  # (N,)
    found = []
    for i, chosen_groups in enumerate(groups):
        series = np.flatnonzero(need == i)
        if len(series):
            sums = Sums.none(0, chosen_groups, leads, table.factors)
            found.append(Block(series, scope == "global", sums, np.empty((0, chosen_groups.max() + 1))))
    return found


def _groups_needed(table: Table, rows: np.ndarray, end: int, *, pooled: bool) -> np.ndarray:
    """(N,) 0: rows without a gap in any truth suffice; 1: without one at the lead; 2: leads and targets apart.

    Chances of a discrete target need a larger penalty than the changes of the others: with one, all are apart.
    """
    horizon, count = table.task.horizon, table.panel.shape[0]
    if any(len(levels) for levels in table.supports) and len(table.task.targets) > 1:
        return np.full(count, 2)
    truths = rows[rows + horizon <= end][:, None] + np.arange(1, horizon + 1)  # (R, H)
    if not len(truths):
        return np.zeros(count, int)
    known = ~np.isnan(table.panel.values[..., : len(table.task.targets)])  # (N, T, C)
    some, every = known.any(2)[:, truths], known.all(2)[:, truths]  # (N, R, H)
    usable = np.stack([some.mean((1, 2)), every.mean((1, 2)), every.all(2).mean(1)])  # (3, N)
    usable = usable.mean(1, keepdims=True).repeat(count, 1) if pooled else usable
    enough = usable >= (1 - SPARE) * usable[0]  # (3, N)
    return np.where(enough[2], 0, np.where(enough[1], 1, 2))


def _joined(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    sums = replace(
        blocks[0].sums,
        gram=np.concatenate([b.sums.gram for b in blocks]),
        cross=np.concatenate([b.sums.cross for b in blocks]),
    )
    series, penalty = (np.concatenate([getattr(b, name) for b in blocks]) for name in ("series", "penalty"))
    return Block(series, blocks[0].pooled, sums, penalty)
