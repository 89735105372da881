"""What stands beside a contestant's name in every table: its policy, its fits, what it was pretrained on."""

from __future__ import annotations

from collections.abc import Sequence

from forecast.evaluation.question import Answer
from forecast.evaluation.sheet import Sheet
from forecast.evaluation.words import NONE, seconds

EVERYWHERE, ALWAYS = ("policy", "fits", "pretrained on"), "pretrained on"


class Columns:
    """Rows of tables begin with the label and the words that go everywhere.

    Args:
        answers: of all contestants. A heading under which all have the same word is left out, but for `pretrained on`.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._about = {a.label: {str(k): str(v) or NONE for k, v in a.about.items()} for a in answers}
        names = dict.fromkeys([*(name for words in self._about.values() for name in words), ALWAYS])
        self.all = tuple(name for name in names if name == ALWAYS or self._tells(name))
        self.carried = tuple(name for name in self.all if name in EVERYWHERE)

    def sheet(self, title: str, head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> Sheet:
        """A table of label and cells, the carried words last."""
        made = tuple((label, *cells, *self.words(label, self.carried)) for label, cells in rows)
        return Sheet(title, ("contestant", *head, *self.carried), made)

    def words(self, label: str, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(self._about.get(label, {}).get(name, NONE) for name in names)

    def _tells(self, name: str) -> bool:
        """Not the same for all, and not just their labels."""
        words = [about.get(name, NONE) for about in self._about.values()]
        return len(set(words)) > 1 and words != list(self._about)


def contestants(answers: Sequence[Answer], columns: Columns) -> Sheet:
    """Who takes part: all words that differ, seeds, CPU seconds by phase."""
    phases = tuple(dict.fromkeys(phase for a in answers for phase in a.cpu_s))
    rows = tuple(
        (
            a.label,
            *columns.words(a.label, columns.all),
            str(a.seeds),
            *(seconds(a.cpu_s[p]) if p in a.cpu_s else NONE for p in phases),
        )
        for a in answers
    )
    return Sheet("Contestants", ("contestant", *columns.all, "seeds", *(f"{p} CPU-s" for p in phases)), rows)
