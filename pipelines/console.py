"""The console of the jobs: as wide as its tables need where nobody watches."""

from __future__ import annotations

from rich.console import Console

WIDTH = 140


def wide_console() -> Console:
    """The terminal as it is; into a file or pipe, wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
