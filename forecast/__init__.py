"""Words and rules of forecasting: numpy and polars only, no I/O, no clock.

The public names below are loaded when first used, so that `import forecast` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecast.forecaster import Forecaster, Traits
    from forecast.frame import canonical
    from forecast.long import from_long, to_long
    from forecast.panel import Panel
    from forecast.region import Region
    from forecast.result import Forecast, Status
    from forecast.schema import Task, Variable
    from forecast.table import TableForecaster
    from forecast.together import Fit, fit_together

PUBLIC = {
    "Fit": "forecast.together",
    "Forecast": "forecast.result",
    "Forecaster": "forecast.forecaster",
    "Panel": "forecast.panel",
    "Region": "forecast.region",
    "Status": "forecast.result",
    "TableForecaster": "forecast.table",
    "Task": "forecast.schema",
    "Traits": "forecast.forecaster",
    "Variable": "forecast.schema",
    "canonical": "forecast.frame",
    "fit_together": "forecast.together",
    "from_long": "forecast.long",
    "to_long": "forecast.long",
}
__all__ = [
    "Fit",
    "Forecast",
    "Forecaster",
    "Panel",
    "Region",
    "Status",
    "TableForecaster",
    "Task",
    "Traits",
    "Variable",
    "canonical",
    "fit_together",
    "from_long",
    "to_long",
]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'forecast' has no attribute '{name}'; it offers {', '.join(PUBLIC)}")
    return getattr(importlib.import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
