"""The zoo: what learns. Each model is a `forecast.Forecaster`."""
