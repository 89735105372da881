"""Planted bad models: each is caught by the check made for it, else the contract is a paper tiger."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from forecast.checks import CHECKS, Make, check_forecaster, synthetic_panel, synthetic_task
from forecast.checks.expect import ContractError
from forecast.checks.saved import check_saved_together
from forecast.errors import SchemaError
from forecast.forecaster import Forecaster, Traits
from forecast.panel import Panel
from forecast.schema import Task
from forecast.together import Fit, fit_together
from forecast.windows import Windows, training_rows, truth_at

NAMED = {c.__name__: c for c in CHECKS}


class Honest(Forecaster):
    """The last value plus a mean change learnt by lead: the good model that the bad ones below spoil."""

    traits = Traits()

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        rows = training_rows(panel, task)
        change = truth_at(panel, task, rows) - panel.values[:, rows, : len(task.targets)].swapaxes(0, 1)[:, :, None]
        flat = change.reshape(-1, *change.shape[2:])  # (B*N, H, C)
        self.drift_ = np.nansum(flat, 0) / np.maximum((~np.isnan(flat)).sum(0), 1)  # (H, C)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        last = windows.last_known(len(task.targets))  # (B, N, C)
        spread = 0.1 * self.scale_[:, None] * (np.arange(len(task.levels)) - task.median)  # (C, Q)
        return (last[:, :, None] + self.drift_)[..., None] + spread  # (B, N, H, C, Q)

    def _save(self, folder: Path) -> None:
        (folder / "drift.json").write_text(json.dumps(self.drift_.tolist()))

    def _load(self, folder: Path) -> None:
        self.drift_ = np.array(json.loads((folder / "drift.json").read_text()))


class Peeks(Honest):
    """Keeps the panel it is asked about, and looks up what came after the origin."""

    def _checked(self, panel: Panel, task: Task) -> Panel:
        self.seen_ = panel
        return super()._checked(panel, task)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        rows = np.searchsorted(self.seen_.times, windows.origins)  # (B,)
        truth = truth_at(self.seen_.select(task.names), task, rows)  # (B, N, H, C)
        honest = super()._predict(windows, task)
        return np.where(np.isnan(truth)[..., None], honest, truth[..., None])


class ReadsTheMemoryBehind(Honest):
    """Learns from the array behind the view it is given."""

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        super()._fit(panel, task, warm)
        behind = panel.values
        while behind.base is not None:
            behind = behind.base
        self.drift_ = self.drift_ + 1e-3 * np.nanmean(behind)


class ScalesOnEverything(Honest):
    """Takes its scale from the whole panel, kept or not."""

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        super()._fit(panel, task, warm)
        self.drift_ = self.drift_ + 0.1 * np.nanstd(panel.values[..., : len(task.targets)], axis=(0, 1))


class NormalisesTheBatch(Honest):
    """Windows of one call see each other, later ones the future of earlier ones."""

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return super()._predict(windows, task) + 0.01 * windows.values.mean()


class CountsSeries(Honest):
    """The place in the list is part of the answer."""

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return super()._predict(windows, task) + 0.1 * np.arange(len(windows.series))[:, None, None, None]


class LearnsFromTheFirst(Honest):
    """Says that it knows series by name, and learns from the first name alone."""

    traits = Traits(named=True)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        super()._fit(panel, task, warm)
        self.drift_ = self.drift_ + 0.1 * np.nanmean(panel.values[0])


class RollsDice(Honest):
    """Chance without a seed."""

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        super()._fit(panel, task, warm)
        self.drift_ = self.drift_ + np.random.default_rng().normal(size=self.drift_.shape)


class LeansOnTheGlobalSeed(Honest):
    """Chance from the global state: two fits agree only by accident."""

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        super()._fit(panel, task, warm)
        self.drift_ = self.drift_ + np.random.rand(*self.drift_.shape)  # noqa: NPY002


class WritesIntoItsInput(Honest):
    """Fills gaps in place, through the read-only view."""

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        behind = panel.values
        while behind.base is not None:
            behind = behind.base
        behind[np.isnan(behind)] = 0.0
        super()._fit(panel, task, warm)


class RemembersEarlierFits(Honest):
    """A cold fit that is warm."""

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        before = float(self.drift_.mean()) if hasattr(self, "drift_") else 0.0
        super()._fit(panel, task, warm)
        self.drift_ = self.drift_ + 0.5 * before + 0.01


class SaysNaN(Honest):
    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return np.full_like(super()._predict(windows, task), np.nan)


class WrongShape(Honest):
    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return super()._predict(windows, task)[..., :1, :, :]


class ForgetsAField(Honest):
    def _load(self, folder: Path) -> None:
        """Reads nothing back."""


class SavesRounded(Honest):
    def _save(self, folder: Path) -> None:
        (folder / "drift.json").write_text(json.dumps(self.drift_.round(2).tolist()))


class BoastsOfWarmth(Honest):
    traits = Traits(warms=True)


class WarmsInSecret(Honest):
    """Continues on `warm` although its traits deny it; the base must not let it."""

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        before = self.drift_ if hasattr(self, "drift_") else 0.0
        super()._fit(panel, task, warm)
        self.drift_ = self.drift_ + before


class WorksInTheConstructor(Honest):
    def __init__(self, rate: float = 1.0) -> None:
        self.rate, self.double = rate, 2 * rate


class LeavesLooseState(Honest):
    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        super()._fit(panel, task, warm)
        self.rows = len(panel.times)


class DividesByTheScale(Honest):
    """No answer to a series that never changes."""

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        spread = windows.values[..., : len(task.targets)].std(2)  # (B, N, C)
        with np.errstate(invalid="ignore", divide="ignore"):
            unit = spread / spread  # (B, N, C)
        return super()._predict(windows, task) * unit[:, :, None, :, None]


class CannotCountGaps(Honest):
    """Takes NaN as they are, and hands them on."""

    traits = Traits(missing=True)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        mean = windows.values[..., : len(task.targets)].mean(2)  # (B, N, C)
        return super()._predict(windows, task) + 0 * mean[:, :, None, :, None]


class ThinksInDegrees(Honest):
    """A constant that fits one unit only."""

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return super()._predict(windows, task) + 20.0


class NeedsMoreThanItSays(Honest):
    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        if len(panel.times) < 2 * task.context:
            raise ValueError("index 3 is out of bounds")
        super()._fit(panel, task, warm)


class CountsThreeLevels(Honest):
    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return super()._predict(windows, task)[..., [0, 1, 2]]


class MixesSeries(Honest):
    """Uses the other series without saying so in its traits."""

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        others = windows.values[..., : len(task.targets)].mean((1, 2), keepdims=True)  # (B, 1, 1, C)
        return super()._predict(windows, task) + 0.1 * others[..., None]


class LeansOnANeighbour(Honest):
    """Moves with the other series, and takes zero for the one that is silent."""

    traits = Traits(missing=True, regional=True)

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        last = np.nan_to_num(windows.last_known(len(task.targets)))  # (B, N, C)
        others = (last - self.means_[:, : len(task.targets)]).mean(1, keepdims=True)  # (B, 1, C)
        return super()._predict(windows, task) + 0.05 * others[:, :, None, :, None]


class Slope(Honest):
    """Honest, and able to learn new rows one by one: the mean change by lead from running sums."""

    traits = Traits(updates=True)
    again = 0  # rows before the first new one that are learnt once more
    behind = False  # learn what lies in memory behind the panel

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        self.sums_ = np.zeros((2, task.horizon, len(task.targets)))  # (sum, count), H, C
        self._add(panel.values, task, task.context, panel.keep)

    def _update(self, panel: Panel, task: Task) -> None:
        values = panel.values
        while self.behind and values.base is not None:
            values = values.base
        self._add(values, task, self.first_new(panel) - self.again)

    def _add(self, values: np.ndarray, task: Task, first: int, keep: np.ndarray | None = None) -> None:
        values, sums = values[..., : len(task.targets)], self.sums_.copy()
        kept = np.ones(values.shape[1], bool) if keep is None else keep
        for h in range(task.horizon):
            change = (values[:, first:] - values[:, first - 1 - h : -1 - h])[
                :, kept[first - 1 - h : -1 - h]
            ]  # (N, B, C)
            sums[:, h] += np.stack([np.nansum(change, (0, 1)), (~np.isnan(change)).sum((0, 1))])
        self.sums_ = sums
        self.drift_ = sums[0] / np.maximum(sums[1], 1)  # (H, C)

    def _save(self, folder: Path) -> None:
        (folder / "drift.json").write_text(json.dumps([self.drift_.tolist(), self.sums_.tolist()]))

    def _load(self, folder: Path) -> None:
        self.drift_, self.sums_ = (np.array(part) for part in json.loads((folder / "drift.json").read_text()))


class LearnsTwice(Slope):
    """Takes in the row before the new ones too, each time."""

    again = 1


class LearnsWhatLiesBehind(Slope):
    behind = True


class NeverLearns(Slope):
    """Says it took the rows in."""

    def _update(self, panel: Panel, task: Task) -> None:
        """Nothing."""


class LearnsTheWholePanel(Slope):
    """Takes every row of the panel for new."""

    def _update(self, panel: Panel, task: Task) -> None:
        self._add(panel.values, task, task.horizon + 1)


class ForgetsToRefuse(Honest):
    """Says it can, and raises what it likes."""

    traits = Traits(updates=True)


class Crowd(Honest):
    """Fitted in one pass with its like; a good one."""

    def _alike(self, panel: Panel, task: Task) -> str | None:
        return "any"


class SharesOneAnswer(Crowd):
    """All of a pass get what the first one learnt."""

    @classmethod
    def _fit_together(cls, fits: Sequence[Fit]) -> None:
        for fit in fits:
            fits[0].model._fit(fits[0].panel, fits[0].task, False)
            fit.model.drift_ = fits[0].model.drift_  # type: ignore[attr-defined]


class ForgetsItsKey(Crowd):
    """Stacks what does not fit together, and cuts it to size."""

    @classmethod
    def _fit_together(cls, fits: Sequence[Fit]) -> None:
        shortest = min(len(fit.panel.times) for fit in fits)
        for fit in fits:
            fit.model._fit(fit.panel.tail(shortest), fit.task, fit.warm)


class ColdInCompany(Crowd):
    """Warm alone, cold in company."""

    traits = Traits(warms=True)

    def _fit(self, panel: Panel, task: Task, warm: bool) -> None:
        before = self.drift_ if warm else 0.0
        super()._fit(panel, task, warm)
        self.drift_ = self.drift_ + 0.5 * before

    @classmethod
    def _fit_together(cls, fits: Sequence[Fit]) -> None:
        for fit in fits:
            fit.model._fit(fit.panel, fit.task, False)


PLANTED = [
    (LearnsTwice, "check_update_in_steps_is_update_at_once", "in steps must equal one at once"),
    (LearnsTheWholePanel, "check_update_in_steps_is_update_at_once", "in steps must equal one at once"),
    (NeverLearns, "check_update_learns", "nothing was learnt"),
    (LearnsWhatLiesBehind, "check_update_is_blind_to_the_future", "rows after the end were learnt"),
    (ForgetsToRefuse, "check_update_learns_rows_once", "no `_update`"),
    (SharesOneAnswer, "check_together_is_alone", "must forecast as one fitted alone"),
    (ForgetsItsKey, "check_together_is_alone", "must forecast as one fitted alone"),
    (ColdInCompany, "check_warm_together_is_warm_alone", "warm fit in company"),
    (Peeks, "check_future_is_unseen", "values after the origin"),
    (ReadsTheMemoryBehind, "check_training_ends_at_its_end", "rows after the end"),
    (ScalesOnEverything, "check_training_obeys_keep", "`keep` excludes"),
    (NormalisesTheBatch, "check_many_origins_equal_one_by_one", "predict_at must equal"),
    (CountsSeries, "check_series_order_is_nothing", "order of series"),
    (MixesSeries, "check_series_order_is_nothing", "other series must not matter"),
    (MixesSeries, "check_stale_series", "changed the forecasts of others"),
    (MixesSeries, "check_unseen_series", "must not change the others"),
    (LearnsFromTheFirst, "check_names_in_training_are_nothing", "under each other's names"),
    (RollsDice, "check_two_fits_agree", "two fits must agree"),
    (LeansOnTheGlobalSeed, "check_two_fits_agree", "two fits must agree"),
    (WritesIntoItsInput, "check_input_is_untouched", "`values` were changed"),
    (RemembersEarlierFits, "check_refit_starts_anew", "forget the earlier fit"),
    (WarmsInSecret, "check_warm_is_honoured", "does not warm must equal"),
    (BoastsOfWarmth, "check_warm_is_honoured", "nothing was continued"),
    (SaysNaN, "check_shape", "NaN or infinite"),
    (WrongShape, "check_shape", "returned quantiles of shape"),
    (CountsThreeLevels, "check_single_level", "out of bounds"),
    (ForgetsAField, "check_save_and_load", "no attribute 'drift_'"),
    (SavesRounded, "check_save_and_load", "must give the same numbers"),
    (WorksInTheConstructor, "check_constructor_only_stores", "store exactly"),
    (LeavesLooseState, "check_constructor_only_stores", "end in an underscore"),
    (DividesByTheScale, "check_constant_series", "NaN or infinite"),
    (CannotCountGaps, "check_missing_values", "NaN or infinite"),
    (LeansOnANeighbour, "check_dead_neighbour_is_harmless", "a silent neighbour makes the errors"),
    (ThinksInDegrees, "check_scale", "outside their range"),
    (NeedsMoreThanItSays, "check_short_history", "out of bounds"),
]


@pytest.mark.parametrize(("kind", "check", "says"), PLANTED, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_planted_model_is_caught(kind: type[Forecaster], check: str, says: str) -> None:
    with pytest.raises(Exception, match=re.escape(says)):
        NAMED[check](kind)


@pytest.mark.parametrize("check", [c for c in CHECKS if c.__name__ != "check_save_and_load"], ids=lambda c: c.__name__)
@pytest.mark.parametrize("kind", [Honest, Slope, Crowd])
def test_the_honest_model_passes(kind: type[Forecaster], check: Callable[[Make], None]) -> None:
    check(kind)


def test_the_honest_models_save() -> None:
    check_saved_together({kind.__name__: kind for kind in (Honest, Slope)})


def test_a_fit_after_another_fits_panel_is_no_company() -> None:
    """One model in two fits is refused before anything is learnt."""
    panel, task, model = synthetic_panel(), synthetic_task(), Crowd()
    with pytest.raises(SchemaError, match="in two fits"):
        fit_together([Fit(model, panel, task), Fit(model, panel, task)])
    assert model.task_ is None


def test_an_update_that_fails_leaves_the_model_as_it_was() -> None:
    panel, task = synthetic_panel(), synthetic_task()
    model = Slope().fit(panel.rows(slice(0, 150)), task)
    wanted, end = model.predict(panel), model.data_end_
    model.first_new = lambda panel: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(ZeroDivisionError):
        model.update(panel)
    del model.first_new
    assert model.data_end_ == end
    np.testing.assert_array_equal(model.predict(panel).quantiles, wanted.quantiles)
    assert model.update(panel).data_end_ == panel.end


def test_an_interrupted_pass_leaves_every_model_as_it_was() -> None:
    class Interrupted(Crowd):
        @classmethod
        def _fit_together(cls, fits: Sequence[Fit]) -> None:
            super()._fit_together(fits)
            raise KeyboardInterrupt

    panel, task = synthetic_panel(), synthetic_task()
    models = [Interrupted(), Interrupted()]
    with pytest.raises(KeyboardInterrupt):
        fit_together([Fit(model, panel, task) for model in models])
    assert all(vars(model) == {} for model in models)


class Crosses(Honest):
    """Gives its quantiles in the wrong order, all of them above the median."""

    def _predict(self, windows: Windows, task: Task) -> np.ndarray:
        return super()._predict(windows, task)[..., [task.median] * 3] + np.array([2.0, 0.0, 1.0])


def test_the_median_stays_where_quantiles_cross() -> None:
    panel, task = synthetic_panel(), synthetic_task()
    found, honest = Crosses().fit(panel, task).predict(panel), Honest().fit(panel, task).predict(panel)
    np.testing.assert_array_equal(found.point, honest.point)
    np.testing.assert_allclose(found.quantiles - found.point[..., None], np.broadcast_to([0.0, 0, 1], (3, 3, 2, 3)))


class LoadsOnlyWhereItWasFitted(Honest):
    """Keeps its state in the process, so that only a fresh process finds it out."""

    here: dict = {}  # noqa: RUF012

    def _save(self, folder: Path) -> None:
        self.here["drift"] = self.drift_
        (folder / "drift.json").write_text("[]")

    def _load(self, folder: Path) -> None:
        self.drift_ = self.here["drift"]


def test_only_a_fresh_process_finds_state_left_in_this_one() -> None:
    with pytest.raises(ContractError, match="does not load in a fresh process"):
        NAMED["check_save_and_load"](LoadsOnlyWhereItWasFitted)


def test_all_failures_are_told_together() -> None:
    slow = {"check_save_and_load": "starts a process, tried elsewhere"}
    with pytest.raises(ContractError, match=r"(?s)checks failed:.*check_shape.*check_one_series"):
        check_forecaster(SaysNaN, exclude=slow)
