"""Open the MLflow UI on the runs of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.ui import serve


def main(config: Mapping[str, Any], choices: Mapping[str, str]) -> int:
    """Serve until interrupted."""
    return serve(config["tracker"]["folder_or_uri"], config["port"])
