"""A sheet: one table of text with a title, as Markdown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sheet:
    """One table.

    Args:
        title: what it shows. head: headings. rows: cells of text, one per heading; the first column is a label.

    >>> print(Sheet("Errors", ("model", "MAE"), (("persistence", "1.5"),)).markdown())
    **Errors**
    <BLANKLINE>
    | model | MAE |
    |---|---:|
    | persistence | 1.5 |
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        lines = [f"**{self.title}**", "", f"| {' | '.join(self.head)} |", f"|---|{'---:|' * (len(self.head) - 1)}"]
        return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in self.rows)])
