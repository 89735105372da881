"""Where tables lie that the project may not bring along: a folder named by FORECAST_DATA, else ../shared/data.

Several public data sets have licences that forbid to pass them on, so whoever uses them fetches them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE, BESIDE = "FORECAST_DATA", Path("..") / "shared" / "data"
HOME = Path(__file__).resolve().parents[2]  # the checkout, where this is one


def shared_folder(environ: Mapping[str, str] = os.environ, places: tuple[Path, ...] = (HOME, Path())) -> Path:
    """The folder FORECAST_DATA names; without it ../shared/data beside the checkout or the present folder.

    >>> shared_folder({"FORECAST_DATA": "/data"}).as_posix()
    '/data'
    """
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE]).expanduser().absolute()
    found = [(place / BESIDE).resolve() for place in places]
    return next((folder for folder in found if folder.is_dir()), found[0])
