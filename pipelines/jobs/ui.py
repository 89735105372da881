"""Open the MLflow UI on the runs of this folder, at the comparison of the fleet's if there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.jobs.recorded import recorded
from pipelines.trackers.mlflow import MlflowTracker
from pipelines.ui import serve


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Serve until interrupted."""
    place, fleet = recorded(config), config["fleet"]
    known = MlflowTracker(place).client.get_experiment_by_name(fleet)
    return serve(place, config["port"], fleet if known else "")
