"""When to retrain: rules that decide from what the forecasts have shown."""

from forecast.policy.on_drift import Limits, OnDrift
from forecast.policy.policy import Action, Decision, Policy, Situation
from forecast.policy.simple import Always, Every, Never

__all__ = ["Action", "Always", "Decision", "Every", "Limits", "Never", "OnDrift", "Policy", "Situation"]
