"""The classical bar: exponential smoothing, Theta and ARIMA, fitted per series by `statsforecast`.

Only a fit needs the library (extra `classical`). What it finds is kept as arrays, and forecasts apply it to the
context with recursions of our own, over all windows and series at once: no refit, nothing pickled.
"""
