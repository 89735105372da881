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
# # Can a network forecast next week's stock prices?
#
# Many papers say so, and show a curve of forecasts that lies on the curve of prices. This notebook takes one of them at
# its word: [Mehtab and Sen (2020)](https://arxiv.org/abs/2010.13891) train ten networks on the NIFTY 50, India's stock
# index, to forecast its opening value for the five sessions of the coming week. Two of the ten are trained here, on the
# same days, and compared with what costs nothing: repeating the last price.
#
# No figure of a result is written into the text. All are computed below, the closing sentences too.

# %%
import sys
import time
from datetime import UTC, datetime, timedelta

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from IPython.display import Markdown, display
from matplotlib.dates import FR, MO, DateFormatter, WeekdayLocator, YearLocator

from forecast import Fit, Panel, Task, Variable, fit_together
from forecast.evaluation import Asked, Trade, Views, report
from forecast.evaluation.asking import answer_of, question_of
from models.drift_line import DriftLine
from models.persistence import Persistence
from models.ridge import Ridge
from models.ridges.inputs import RidgeInputs
from models.stock.forecaster import Stock
from models.weekdays import Weekdays
from pipelines.report.style import COLOURS, GREY, SETTINGS
from pipelines.sources.mapping import Columns, Reading
from pipelines.sources.replay import MissingTableError, Replay

INK, PALE = "#222222", "#d9d9d9"
plt.rcParams.update(SETTINGS | {"figure.dpi": 72, "axes.axisbelow": True})

# %% [markdown]
# ## The series and the task
#
# The table may not be passed on with this project, so it lies in a folder of your own, which `FORECAST_DATA` names.

# %%
PRICES = [Variable(name, "points", 0) for name in ("open", "high", "low", "close")]
nifty = Replay(
    "data:markets/nifty50_daily.csv",
    Columns("literal:NIFTY 50", "Date", [Reading(v, v.name.capitalize()) for v in PRICES], zone="UTC", latency="1d"),
    origin="the history of ^NSEI at Yahoo Finance: a CSV file with the columns Date, Open, High, Low, Close",
)
try:
    frame = nifty.poll({}, datetime(2020, 8, 1, tzinfo=UTC)).frame
except MissingTableError as missing:
    print(f"Nothing to show without the prices. {missing}")
    sys.exit(0)
display(frame.tail(3))

# %% [markdown]
# Each Friday evening the question is the same: at what value will the index open on Monday, Tuesday, ..., Friday? A
# network reads the openings of the one or two weeks before. It learns from the sessions up to the end of 2018 and is
# then asked every Friday until July 2020, which takes in the crash of spring 2020.
#
# The calendar has all days, weekends and holidays are gaps: seven days ahead hold five sessions. Gaps are never scored.

# %%
TRAINED, CRASH = datetime(2018, 12, 28, tzinfo=UTC), datetime(2020, 2, 24, tzinfo=UTC)
WEEK = timedelta(days=7)

task = Task(PRICES[:1], step="1d", context=14, horizon=7, past=PRICES[1:], patience=6)
panel = Panel.from_frame(frame, task.step, task.names)
origins = [TRAINED + k * WEEK for k in range((panel.end - TRAINED) // WEEK)]
question = question_of(panel, task, origins)

opening = panel.values[0, :, 0]  # (T,)
truth, last = question.truth[:, 0, :, 0], question.last[:, 0, 0]  # (B, H), (B,)
print(f"{np.isfinite(opening).sum()} sessions, {panel.times[0]:.10} to {panel.times[-1]:.10}".replace("T00:00:00", ""))
print(f"{len(origins)} Fridays, {origins[0]:%d %B %Y} to {origins[-1]:%d %B %Y}, {np.isfinite(truth).sum()} openings")


# %%
def dated(axis, day=None):
    """Label the axes: every other year, or this day of every week."""
    axis.xaxis.set_major_locator(YearLocator(2) if day is None else WeekdayLocator(byweekday=day))
    axis.xaxis.set_major_formatter(DateFormatter("%Y" if day is None else "%a %d %b"))
    axis.set_ylabel("NIFTY 50 at opening, points")


some, b = np.isfinite(opening), 20
figure, (whole, one) = plt.subplots(1, 2, figsize=(10, 3.3), width_ratios=[3, 2])
whole.plot(panel.times[some], opening[some], color=COLOURS[0], lw=1, label="learnt from")
asked_about = some & (panel.times > question.origins[0])
whole.plot(panel.times[asked_about], opening[asked_about], color=COLOURS[1], lw=1, label="asked about")
whole.axvline(CRASH, color=GREY, ls=":", label=f"{CRASH:%d %B %Y}: the crash begins")
whole.set_title(f"The whole series: {len(origins)} weeks of it are to be forecast")
whole.legend(loc="upper left")
dated(whole)

friday = panel.times.searchsorted(question.origins[b])
weeks = np.flatnonzero(some[friday - 13 : friday + 1]) + friday - 13
one.plot(panel.times[weeks], opening[weeks], "o-", color=COLOURS[0], label="two weeks, known")
one.plot(question.times[b], truth[b], "o", mfc="white", color=COLOURS[1], label="next week, asked for")
one.axvline(question.origins[b], color=GREY, ls=":", label="Friday evening")
one.set_title(f"One of the questions, {origins[b]:%B %Y}")
one.legend(loc="upper left", fontsize=9)
dated(one, MO)
plt.show()

# %% [markdown]
# ## Why a good-looking curve says nothing
#
# The simplest forecast: next week, every day, it will open where it last opened. That is **persistence**, here "last
# Open". Two figures that are often reported look splendid for it.

# %%
repeated = np.broadcast_to(last[:, None], truth.shape)  # (B, H)
known = np.isfinite(truth)


def r2(forecast, came):
    """Share of the spread of what came that the forecast accounts for."""
    return 1 - ((came - forecast) ** 2).sum() / ((came - came.mean()) ** 2).sum()


level = r2(repeated[known], truth[known])
change = r2(np.zeros(known.sum()), (truth - repeated)[known])
ratio = np.sqrt(((truth - repeated)[known] ** 2).mean()) / truth[known].mean()
print(f"last Open repeated, values:   R2 {level:.2f}, root mean squared error {ratio:.1%} of the mean value")
print(f"the same forecast as changes: R2 {change:z.2f}")

# %% [markdown]
# It explains nearly all of the values and nothing of the changes. Prices of one week are near those of the week before,
# so whatever stays close to the last price is "right" in this way, and its curve lies on the curve of prices. Whoever
# wants to own the index next week needs to know the change. So from here on every error is divided by persistence's:
# **skill** is 1 minus that ratio. Above zero is better than repeating the last opening, below zero is worse.

# %%
figure, (values, changes) = plt.subplots(1, 2, figsize=(10, 3.6))
values.plot(repeated[known], truth[known], "o", ms=2.5, color=GREY, alpha=0.6)
values.axline((10_000, 10_000), slope=1, color=COLOURS[1], lw=1, label="a perfect forecast")
values.set(xlabel="last opening repeated, points", ylabel="what came, points", title=f"As values: R2 {level:.2f}")
values.legend(loc="upper left")
changes.plot(np.zeros(known.sum()), (truth - repeated)[known], "o", ms=2.5, color=GREY, alpha=0.6)
changes.axline((0, 0), slope=1, color=COLOURS[1], lw=1)
widest = 1.05 * np.abs((truth - repeated)[known]).max()
changes.set(xlim=(-widest, widest), ylim=(-widest, widest), title=f"The same forecasts as changes: R2 {change:z.2f}")
changes.set(xlabel="change that was forecast, points", ylabel="change that came, points")
plt.show()

# %% [markdown]
# ## Six contestants
#
# - **last Open**: the last opening, repeated. What all others are measured against.
# - **last Close**: the last close, repeated. As cheap, and half a day newer.
# - **drift line**: on along the line through the first and the last opening of two weeks.
# - **ridge**: a linear equation for each session ahead, from the openings, highs, lows and closes of two sessions.
# - **cnn_univ_5** and **cnn_univ_10**: the paper's convolutions over one and two weeks of openings, layers, epochs and
#   batches as published, trained from three seeds.
#
# `Weekdays` puts a model on Monday to Friday: inside it holidays are filled with the session before. All are fitted
# once, on the sessions up to the end of 2018, and see nothing after the Friday that they forecast from.

# %%
EQUATION = Ridge(RidgeInputs(lags=(1,), neighbours=0, harmonics=0, year=False))
contestants = {
    "last Open": [Persistence()],
    "last Close": [Persistence({"open": "close"})],
    "drift line": [Weekdays(DriftLine())],
    "ridge": [Weekdays(EQUATION)],
    "cnn_univ_5": [Weekdays(Stock("cnn_univ_5", seed=seed)) for seed in range(3)],
    "cnn_univ_10": [Weekdays(Stock("cnn_univ_10", seed=seed)) for seed in range(3)],
}
Stock.prepare()  # loads the training library, at nobody's cost
history, answers = panel.until(TRAINED), {}
for label, models in contestants.items():
    start = time.process_time()
    failures = fit_together([Fit(model, history, task) for model in models])  # the seeds in one pass
    assert failures == [None] * len(models), failures
    spent = time.process_time() - start
    forecasts = [model.predict_at(panel, origins) for model in models]
    answers[label] = answer_of(question, label, forecasts, cpu_s={"fit": spent})
    print(f"{label:12} {len(models)} fitted, {spent:5.1f} CPU seconds")

# %% [markdown]
# What they said, in a calm month and in the month of the crash. Each short line is one Friday's forecast for the week
# to come; the networks have one for each seed.

# %%
COLOUR = dict(zip(contestants, [GREY, *COLOURS], strict=False))
MONTHS = {
    "Calm": (datetime(2019, 11, 2, tzinfo=UTC), datetime(2019, 11, 30, tzinfo=UTC)),
    "Crash": (datetime(2020, 3, 1, tzinfo=UTC), datetime(2020, 4, 4, tzinfo=UTC)),
}
figure, axes = plt.subplots(1, 2, figsize=(10, 4))
for axis, (title, (first, end)) in zip(axes, MONTHS.items(), strict=True):
    shown = [b for b, origin in enumerate(origins) if first <= origin + WEEK < end]
    for label in ("last Open", "last Close", "ridge", "cnn_univ_5", "cnn_univ_10"):
        points = answers[label].points[:, :, 0, :, 0]  # (S, B, H)
        for seed, b in ((seed, b) for seed in range(len(points)) for b in shown):
            name = label if (seed, b) == (0, shown[0]) else None
            axis.plot(question.times[b, 2:], points[seed, b, 2:], color=COLOUR[label], lw=1.2, label=name)
    inside = slice(*panel.times.searchsorted([question.origins[shown[0]], question.times[shown[-1], -1]], side="right"))
    came = opening[inside][np.isfinite(opening[inside])]
    axis.plot(panel.times[inside], opening[inside], "o", color=INK, ms=4, label="what came")
    daily = np.abs(np.diff(came) / came[:-1]).mean()
    axis.set_title(f"{title}, {first:%B %Y}: {daily:.1%} a session on average")
    dated(axis, FR)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
plt.show()

# %% [markdown]
# A network that reads levels has to speak about levels that it never saw, and a training may end with a ceiling.

# %%
highest = np.nanmax(question.history.values)
above = (truth[known] > highest).mean()
print(f"the highest opening learnt from: {highest:,.0f}; {above:.0%} of the openings to be forecast lie above it")
for label in ("cnn_univ_5", "cnn_univ_10"):
    print(f"{label:12} highest forecast of each seed:", *(f"{points.max():,.0f}" for points in answers[label].points))

# %% [markdown]
# ## The honest report
#
# One function makes it, for any question. It scores everybody on the same openings, tests every difference, and
# corrects the tests for the number of contestants: with enough of them, one looks good by luck.

# %%
asked = Asked(
    "last Open",
    ["last Close"],
    views=Views(leads=(), weekdays=True, regimes={"crash and after": CRASH}, filled=True),
    trade=Trade("open", (0, 5, 10)),
    facts={
        "scaling of the networks' inputs": f"mean and spread of the sessions up to {TRAINED:%d %B %Y}",
        "holidays": "filled forward inside the models, not scored",
        "retraining": "never",
        "hardware": "one CPU core",
    },
)
found = report(question, list(answers.values()), asked)
display(Markdown("\n".join(f"- {name}: {words}" for name, words in found.facts.items())))


# %%
def sheets(*words):
    """The report's tables whose titles hold all these words."""
    for sheet in found.sheets:
        if all(word in sheet.title for word in words):
            display(Markdown(sheet.markdown()))


sheets(": errors")

# %% [markdown]
# *RMSE / mean* is the figure that papers like to give. It is small for everybody, as prices are near prices.

# %%
sheets("errors against")

# %% [markdown]
# *95 % interval*: how far the skill moves when the weeks are drawn again, four at a time. *p*: how often chance alone
# would make such a difference (Diebold and Mariano's test on the weekly errors). *p Holm*: the same, corrected for the
# number of contestants; the verdict goes by it.

# %%
tested = {
    label: found.numbers.filter(pl.col("label") == label, pl.col("of") == "last Open", pl.col("group") == "reference")
    for label in contestants
    if label != "last Open"
}
figure, axes = plt.subplots(1, 2, figsize=(10, 3.3), sharey=True)
for axis, measure, title in zip(axes, ("mae", "rmse"), ("mean absolute error", "root mean squared error"), strict=True):
    for row, (label, rows) in enumerate(tested.items()):
        of = dict(rows.select("measure", "value").iter_rows())
        skill, low, high, p = (of[f"{word}_{measure}"] for word in ("skill", "low", "high", "holm"))
        axis.plot([low, high], [row, row], color=COLOUR[label], lw=2.5, solid_capstyle="round")
        axis.plot(skill, row, "o", color=COLOUR[label], ms=6)
        words = f"p Holm {p:.2f}" if p >= 0.01 else "p Holm < 0.01"
        place = {"textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": 8.5}
        axis.annotate(words, (skill, row), (0, 5), **place, bbox={"fc": "white", "lw": 0, "pad": 0.5})
    axis.axvline(0, color=INK, lw=1, zorder=0)
    axis.set(xlabel="worse than last Open  < 0 <  better", title=f"Skill in {title}, 95 % interval")
    axis.set_yticks(range(len(tested)), list(tested))
    axis.set_ylim(len(tested) - 0.5, -0.7)
plt.show()

# %% [markdown]
# ### Who may be the best?
#
# The model confidence set turns the question around: whom can one *not* rule out as the best of all?

# %%
sheets("confidence set")

# %% [markdown]
# ### By weekday, before the crash and after
#
# On Friday evening the newest close is a few hours old, the newest opening a whole session older. If the last close
# wins by that, and not by seeing the future, its lead must be widest as the week begins.

# %%
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")
by_day = found.numbers.filter(pl.col("group") == "weekday", pl.col("measure") == "skill_mae", pl.col("of").is_in(DAYS))
skill_of = {(label, day): skill for label, day, skill in by_day.select("label", "of", "value").iter_rows()}
print("last Close, skill in mean absolute error:", *(f"{day} {skill_of['last Close', day]:+.2f}" for day in DAYS))
print("widest on", max(DAYS, key=lambda day: skill_of["last Close", day]))

# %%
figure, (days, regimes) = plt.subplots(1, 2, figsize=(10, 3.6))
for label in contestants:
    days.plot(DAYS, [skill_of[label, day] for day in DAYS], "o-", color=COLOUR[label], ms=4, label=label)
days.set(ylabel="skill in mean absolute error", title="By the weekday of the opening")
parts = found.numbers.filter(pl.col("group") == "regime", pl.col("measure") == "mae")
names = parts["of"].unique(maintain_order=True).to_list()
for place, label in enumerate(contestants):
    errors = [parts.filter(pl.col("of") == name, pl.col("label") == label)["value"].item() for name in names]
    regimes.bar(np.arange(len(names)) + (place - 2.5) * 0.13, errors, 0.12, color=COLOUR[label])
regimes.set_xticks(range(len(names)), names)
regimes.set(ylabel="mean absolute error, points", title="Before the crash and since")
regimes.grid(axis="x", visible=False)
figure.legend(*days.get_legend_handles_labels(), loc="outside lower center", ncols=6)
plt.show()

# %%
sheets("regime")

# %% [markdown]
# ### Up or down, and what it would have earned
#
# Smaller errors are one thing, the right direction another. Whoever always says "up" is right as often as the index
# rises, so the share of right calls counts against that. Pesaran and Timmermann's *p* asks whether calls and outcomes
# have to do with each other at all; it is not corrected for the number of contestants. Last Open forecasts no change,
# so it has no direction.

# %%
sheets("direction")

# %% [markdown]
# And the rule that a forecast is for: each Friday, own the index for the week to come if the forecast lies above the
# last opening, else stay out; pay for every purchase and sale.

# %%
sheets("long/flat")

# %%
called = found.numbers.filter(pl.col("group") == "direction")
right = dict(called.filter(pl.col("measure") == "right").drop_nulls().select("label", "value").iter_rows())
rises = called.filter(pl.col("measure") == "up")["value"][0]
earned = found.numbers.filter(pl.col("group") == "trade")

figure, (directions, trades) = plt.subplots(1, 2, figsize=(10, 3.6))
directions.barh(list(right), [100 * share for share in right.values()], color=[COLOUR[label] for label in right])
directions.axvline(100 * max(rises, 1 - rises), color=GREY, ls=":", lw=2, label="always the more frequent")
directions.set(xlabel="weeks called right, %", title="Up or down over the week", xlim=(0, 100))
directions.invert_yaxis()
for label in ("buy and hold", *contestants):
    if label != "last Open":
        made = earned.filter(pl.col("label") == label, pl.col("measure").str.starts_with("total_"))["value"]  # (K,)
        look = {"color": INK, "ls": "--"} if label == "buy and hold" else {"color": COLOUR[label], "marker": "o"}
        trades.plot(asked.trade.costs_bp, 100 * made, ms=4, label=label, **look)
trades.set(xlabel="cost a side, basis points", ylabel="return, %", title="What it would have earned, all in all")
trades.set_xticks(asked.trade.costs_bp)
figure.legend(loc="outside lower center", ncols=4)
plt.show()

# %% [markdown]
# ### Chance in training
#
# The same network, the same data, other random numbers at the start:

# %%
sheets("deviation over seeds")

# %% [markdown]
# ## What it comes to
#
# All that the report can say in words:

# %%
print("\n".join(found.statements))

# %% [markdown]
# In three sentences, put together from those:

# %%
NETWORKS = [label for label in contestants if label.startswith("cnn")]


def said(label, *words):
    """(error, verdict) of the statements that name this contestant and hold all these words."""
    mine = [s for s in found.statements if f"{label} (skill" in s and all(word in s for word in words)]
    return [tuple(s.removeprefix("open, ").split(": ")[:2]) for s in mine]


won = {label: [f"{verdict} in {error}" for error, verdict in said(label, ": beats ")] for label in contestants}
of_networks = [f"{label} {words}" for label in NETWORKS for words in won[label]]
none = f"none of {', '.join(NETWORKS)} beats last Open or last Close beyond chance, in absolute or squared errors"
print(f"1. Networks: {'; '.join(of_networks) or none}.")

errors = found.numbers.filter(pl.col("group") == "all", pl.col("measure") == "mae").sort("value")
best, verdicts = errors["label"][0], [verdict for _, verdict in said(errors["label"][0], "absolute errors")]
print(f"2. The smallest mean absolute error, {errors['value'][0]:.1f} points, is {best}'s: {'; '.join(verdicts)}.")

trading = next(s for s in found.statements if s.startswith("Long/flat")).removesuffix("; this is no test.")
earners = [label for label in contestants if f"{label} (" in trading]
lucky = [label for label in earners if not won[label]]
chance = f"; that is no proof of skill, as in errors no last price is beaten by {', '.join(lucky)}" if lucky else ""
print(f"3. {trading}{chance}.")

# %% [markdown]
# Two networks of ten, trained once: the whole suite, also retrained every week or when its errors say so, and on single
# stocks, is one command, `forecast backtest +experiment=nifty`; its tables are in `docs/results.md`.
