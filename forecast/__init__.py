"""Words and rules of forecasting: numpy and polars only, no I/O, no clock."""
