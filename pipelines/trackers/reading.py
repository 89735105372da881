"""Runs read back from MLflow as one polars frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
from mlflow import MlflowClient
from mlflow.entities import Run

from forecast.errors import UnknownNameError
from forecast.frame import STAMP
from pipelines.trackers.naming import FLEET, NOWCASTER, PARENT

FACTS: dict[str, Any] = {
    **dict.fromkeys(("experiment", "fleet", "nowcaster", "status", "run_id", "parent"), pl.String),
    "started": STAMP,
}


def read_runs(client: MlflowClient, experiments: Sequence[str]) -> pl.DataFrame:
    """Child runs of the named experiments, newest first.

    Returns:
        `experiment, fleet, nowcaster, status, run_id, parent, started`, then `params.*` (text) and the last value of
        each of `metrics.*`.

    Raises:
        UnknownNameError: no such experiment.
    """
    rows = [_row(name, run) for name in experiments for run in _children(client, name)]
    found = sorted({key for row in rows for key in row} - FACTS.keys())
    params = dict.fromkeys((k for k in found if k.startswith("params.")), pl.String)
    metrics = dict.fromkeys((k for k in found if k.startswith("metrics.")), pl.Float64)
    frame = pl.DataFrame(rows, schema={**FACTS, **params, **metrics})
    return frame.sort("started", descending=True, maintain_order=True)


def _children(client: MlflowClient, experiment: str) -> Iterator[Run]:
    home = client.get_experiment_by_name(experiment)
    if home is None:
        raise UnknownNameError("experiment", experiment, [e.name for e in client.search_experiments()])
    token = None
    while True:
        page = client.search_runs([home.experiment_id], f"tags.`{NOWCASTER}` != ''", page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _row(experiment: str, run: Run) -> dict[str, Any]:
    tags = run.data.tags
    return {
        "experiment": experiment,
        "fleet": tags.get(FLEET),
        "nowcaster": tags[NOWCASTER],
        "status": run.info.status,
        "started": datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        "run_id": run.info.run_id,
        "parent": tags.get(PARENT),
        **{f"params.{k}": v for k, v in run.data.params.items()},
        **{f"metrics.{k}": v for k, v in run.data.metrics.items()},
    }
