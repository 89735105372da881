"""Any saved `Forecaster` as an MLflow pyfunc, by "models from code": this file and the model folder, no pickle.

MLflow copies this file beside the model and runs it when the model is loaded, so it imports only what is
installed. `predict` answers the same numbers as `Forecaster.predict`, bit for bit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import mlflow.models
import pandas as pd
from mlflow.pyfunc import PythonModel

from forecast.forecaster import Forecaster
from forecast.frame import canonical
from forecast.long import check_columns, from_pandas
from forecast.panel import Panel

FOLDER = "model"  # name of the artifact that holds the saved forecaster


class ForecasterModel(PythonModel):
    """Long pandas frame in, long pandas frame out."""

    def load_context(self, context: Any) -> None:
        """Read the forecaster back; `CorruptModelError` if a file of it was altered."""
        allowed = (context.model_config or {}).get("allowed", ("forecast", "models"))
        self.forecaster_ = Forecaster.load(context.artifacts[FOLDER], tuple(allowed))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Forecast from the newest time of `model_input`.

        Args:
            model_input: a pandas frame `series, time, [seen]` and one column per variable of the task. Times are
                datetimes with a zone, or text with an offset ("2013-01-01T00:00Z", as a scoring server gets them).
            params: none are taken.

        Returns:
            `series, origin, time, lead, variable, status, point, q0.1, ...`, one row per series, lead and variable.

        Raises:
            SchemaError: naive times (the zone is never guessed), faulty values, a column of mixed types.
            UnknownNameError: a column that is not there.

        Rows missing in the context are gaps, wherever they lie: `status` says where they are too many.
        """
        task = self.forecaster_.task_
        assert task is not None
        check_columns(model_input, ("series", "time", *task.names))
        stamps = [c for c in ("time", "seen") if c in model_input.columns]
        parsed = model_input.assign(**{c: _stamps(model_input[c]) for c in stamps})
        kept = [c for c in (*stamps, "series", *task.names) if c in parsed.columns]
        frame = canonical(from_pandas(parsed[kept]), task.variables)
        start: datetime = frame["time"].max() - (task.context - 1) * task.step  # type: ignore[assignment, operator]
        panel = Panel.from_frame(frame, task.step, task.names, start=start, series=frame["series"].unique().to_list())
        return self.forecaster_.predict(panel).frame().to_pandas()


def _stamps(column: pd.Series) -> pd.Series:
    """Text and object columns as datetimes; the zone, or its absence, is kept."""
    return column if pd.api.types.is_datetime64_any_dtype(column) else pd.to_datetime(column, format="ISO8601")


mlflow.models.set_model(ForecasterModel())
