# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first look
#
# Hourly weather of the three New York airports, step by step as the loop does it each hour:
# frame, panel, how much history is worth training on, a model, its forecast, and whether it should be retrained.

# %%
from datetime import UTC, datetime, timedelta

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from IPython.display import display

from forecast import Panel, Task
from forecast.detect import PageHinkley
from forecast.plots import plot_forecast
from forecast.policy import Action, Limits, OnDrift, Situation
from forecast.reduce import VarianceHorizon, reduced, variance_horizon
from models.xgboost import XGBoost
from pipelines.sources import nyc
from pipelines.training import backtest_errors, scaled_mean

NOW = datetime(2013, 5, 21, tzinfo=UTC)
plt.rcParams.update(
    {"figure.figsize": (9, 2.6), "figure.dpi": 72, "axes.spines.top": False, "axes.spines.right": False}
)

# %% [markdown]
# ## The frame
#
# `time` is when a value holds, `seen` when it was learnt. What could not be taken is not dropped in silence:
# it comes beside the frame, with the reason.

# %%
batch = nyc.nyc_airports().poll({}, NOW)
display(batch.frame.tail(3))

# %%
display(batch.rejected)

# %% [markdown]
# ## The panel
#
# Series, times, variables on one grid: the only thing a model sees. Gaps stay NaN.

# %%
task = Task(targets=(nyc.TEMPERATURE, nyc.WIND_SPEED, nyc.HUMIDITY), past=(nyc.DEWPOINT, nyc.PRESSURE))
panel = Panel.from_frame(
    batch.frame.filter(pl.col("time") > NOW - timedelta(hours=3361)), task.step, task.names, end=NOW - task.step
)
print(panel.series, panel.shape, f"{np.isnan(panel.values).mean():.1%} missing")

# %% [markdown]
# ## How much history?
#
# Variance Horizon widens a window into the past until the ratio of two spreads, of the distances to the newest rows
# and of all distances, has settled.

# %%
table = panel.values.transpose(1, 0, 2).reshape(len(panel.times), -1)  # (T, D)
table = np.nan_to_num((table - np.nanmean(table, 0)) / np.nanstd(table, 0))
found = variance_horizon(table, target_horizon=task.horizon, test_size=256, curve=True)

figure, axis = plt.subplots()
axis.plot(found.evidence["curve"], color="#33415c")
axis.set(
    xlabel="hours into the past", ylabel="ratio of spreads", title=f"settled: {found.rows} of {found.of} rows kept"
)
plt.show()

# %% [markdown]
# The reducer does the same on a panel, with a scale that stays the same all day, so that the next hour costs little.

# %%
reduction = VarianceHorizon().reduce(panel, task)
print(reduction.rows, "of", reduction.of, "rows:", reduction.why)

# %% [markdown]
# ## Fit and forecast
#
# The point is the median; the band runs from the 0.1 to the 0.9 quantile.

# %%
model = XGBoost().fit(reduced(panel, reduction, task), task)
forecast = model.predict(panel)
figure = plot_forecast(forecast, batch.frame, task.targets, history=48, series=["JFK"], columns=3)
figure.set_dpi(72)
display(figure)

# %% [markdown]
# ## Is it time to retrain?
#
# The model goes on, untouched, while its errors are watched, each in units of what was to be expected. The first
# day sets the reference; then the detector is heard.

# %%
later = nyc.nyc_airports().poll(batch.positions, NOW + timedelta(days=60)).frame
live = Panel.from_frame(
    pl.concat([batch.frame.filter(pl.col("time") > NOW - timedelta(days=1)), later]), task.step, task.names
)
errors = backtest_errors(model, live, NOW).with_columns(slot=pl.col("origin") + pl.col("lead") * task.step)
scale = dict(zip(task.target_names, model.scale_, strict=True))

policy = OnDrift(PageHinkley(mode="up", delta=0.2, threshold=8.0), limits=Limits(min_checks=24, max_age="60d"))
decisions = []
for (slot,), rows in sorted(errors.partition_by("slot", as_dict=True).items()):
    decisions.append((slot, policy.decide(Situation(slot, NOW, NOW, error=scaled_mean(rows, scale)))))
    if decisions[-1][1].action == Action.RETRAIN:
        break
print(f"{slot:%d %B %H:%M}: {decisions[-1][1].action} ({decisions[-1][1].why}) after {len(decisions)} hours")

# %%
figure, axis = plt.subplots()
slots = [slot for slot, _ in decisions]
axis.plot(slots, [d.loss for _, d in decisions], color="#33415c", label="L_now, mean of a day")
axis.plot(slots, [d.reference for _, d in decisions], color="#d9622b", label="L_ref")
for slot, decision in decisions:
    if decision.action == Action.RETRAIN:
        axis.axvline(slot, color="#33415c", ls=":", label=f"{decision.action}: {decision.why}")
axis.set(ylabel="scaled error")
figure.legend(loc="upper center", frameon=False, ncols=3)
figure.autofmt_xdate()
plt.show()
