"""The runs that a tracker has kept, for the jobs that only look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forecast.errors import SchemaError
from pipelines.trackers.location import DATABASE, Location


def recorded(config: Mapping[str, Any]) -> str:
    """Folder or address of the runs; nothing is made.

    Raises:
        SchemaError: a tracker that keeps none, or a folder without any.
    """
    place = config["tracker"].get("folder_or_uri")
    if place is None:
        raise SchemaError("this tracker keeps no runs: leave tracker=... out, or choose tracker=mlflow")
    folder = Location(place).folder
    if folder is not None and not (folder / DATABASE).exists():
        raise SchemaError(
            f"there are no runs in {folder}: run a job first, or name the folder of your runs: folder=DIR"
        )
    return place
