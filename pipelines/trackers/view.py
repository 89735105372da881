"""The page of an experiment as it should be seen first: one row per nowcaster, its choices, its final figures.

MLflow's runs table shows no metric until columns are picked. A shared view, kept as a tag of the experiment,
picks them; an MLflow that does not know the tag shows its plain table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipelines.compare import CHOICES, final_metrics
from pipelines.trackers.mlflow import MlflowTracker
from pipelines.trackers.naming import FLEET, NOWCASTER

KEY = "nowcastle"
FIGURES = ("mae/", "skill/", "cpu_s", "ENC", "retrains")  # as many as a page is wide


def publish_view(tracker: MlflowTracker) -> str:
    """Write the view of the tracker's experiment; returns the path of its page on any server of that folder."""
    runs = tracker.runs()
    experiment = tracker.client.get_experiment_by_name(tracker.experiment)
    assert experiment is not None  # `runs` has found it
    shown = columns(runs.columns)
    order = next((c for c in shown if c.startswith("metrics.`mae/")), "attributes.start_time")  # flat where by a metric
    state = {
        "searchFilter": f"tags.`{NOWCASTER}` != ''",
        "orderByKey": order,
        "orderByAsc": True,
        "selectedColumns": shown,
    }
    tracker.client.set_experiment_tag(experiment.experiment_id, f"mlflow.sharedViewState.{KEY}", json.dumps(state))
    return f"/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={KEY}"


def columns(found: Sequence[str]) -> list[str]:
    """MLflow's names of the columns to show.

    >>> columns(["run_id", "params.model", "params.seed", "metrics.live/mae/t", "metrics.mae/t"])
    ['tags.`nowcastle.fleet`', 'params.`model`', 'metrics.`mae/t`']
    """
    choices = [f"params.`{name}`" for name in CHOICES if f"params.{name}" in found]
    figures = [f"metrics.`{name}`" for name in final_metrics(found) if name.startswith(FIGURES)]
    return [f"tags.`{FLEET}`", *choices, *figures]
