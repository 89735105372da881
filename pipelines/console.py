"""The console of the jobs: as wide as its tables need where nobody watches, and one look for all tables."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 140


def wide_console() -> Console:
    """The terminal as it is; into a file or pipe, wide enough for the tables."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=WIDTH, highlight=False)


def plain_table(title: str = "") -> Table:
    """An empty table in the look of the platform."""
    return Table(title=title or None, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
