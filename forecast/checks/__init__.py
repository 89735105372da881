"""The contract of every model, as code: run it over your own.

Each check takes a function that makes a new, unfitted model, and raises when a promise is broken:

>>> from models.persistence import Persistence
>>> check_forecaster(Persistence, exclude={"check_save_and_load": "starts a process: too slow for an example"})
44
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from forecast.checks import company, edges, gaps, leaks, repeats, saved, updates
from forecast.checks.data import Make, synthetic_panel, synthetic_task
from forecast.checks.expect import ContractError
from forecast.errors import SchemaError, UnknownNameError

__all__ = ["CHECKS", "ContractError", "Make", "check_forecaster", "synthetic_panel", "synthetic_task"]

CHECKS: list[Callable[[Make], None]] = [
    edges.check_shape,
    edges.check_unfitted_says_so,
    edges.check_one_series,
    edges.check_one_variable,
    edges.check_horizon_one,
    edges.check_single_level,
    edges.check_constant_series,
    edges.check_infinite_is_refused,
    edges.check_huge_values,
    edges.check_short_history,
    edges.check_quantiles,
    edges.check_scale,
    edges.check_wrong_step,
    gaps.check_missing_values,
    gaps.check_dead_input,
    gaps.check_newest_value_missing,
    gaps.check_stale_series,
    gaps.check_dead_series,
    gaps.check_dead_neighbour_is_harmless,
    gaps.check_dead_from_the_start,
    gaps.check_unseen_series,
    gaps.check_absent_series,
    leaks.check_future_is_unseen,
    leaks.check_training_ends_at_its_end,
    leaks.check_training_obeys_keep,
    leaks.check_later_vintages_are_unseen,
    leaks.check_many_origins_equal_one_by_one,
    repeats.check_constructor_only_stores,
    repeats.check_row_order_is_nothing,
    repeats.check_series_order_is_nothing,
    repeats.check_names_in_training_are_nothing,
    repeats.check_two_fits_agree,
    repeats.check_refit_starts_anew,
    repeats.check_warm_is_honoured,
    repeats.check_input_is_untouched,
    company.check_together_is_alone,
    company.check_warm_together_is_warm_alone,
    company.check_failing_together_is_alone,
    updates.check_update_is_for_those_that_can,
    updates.check_update_in_steps_is_update_at_once,
    updates.check_update_learns_rows_once,
    updates.check_update_learns,
    updates.check_update_is_blind_to_the_future,
    updates.check_update_needs_its_context,
    saved.check_save_and_load,
]


def check_forecaster(make: Make, exclude: Mapping[str, str] | None = None) -> int:
    """Run every check over the models that `make` makes.

    Args:
        make: returns a new, unfitted model; a class whose constructor needs no argument will do.
        exclude: names of checks to leave out, each with the reason, in words.

    Returns:
        How many checks passed.

    Raises:
        ContractError: one line for each broken promise.
        UnknownNameError, SchemaError: an exclusion that is no check, or has no reason.
    """
    left_out = dict(exclude or {})
    for name, reason in left_out.items():
        if name not in {c.__name__ for c in CHECKS}:
            raise UnknownNameError("check", name, [c.__name__ for c in CHECKS])
        if not reason.strip():
            raise SchemaError(f"'{name}' is excluded without a reason: write why")
    asked = [c for c in CHECKS if c.__name__ not in left_out]
    broken = [f"{c.__name__}: {problem}" for c in asked if (problem := _problem(c, make))]
    if broken:
        raise ContractError(f"{len(broken)} of {len(asked)} checks failed:\n" + "\n".join(broken))
    return len(asked)


def _problem(check: Callable[[Make], None], make: Make) -> str:
    try:
        check(make)
    except Exception as error:  # noqa: BLE001  (a model may fail in any way; all are told together)
        return f"{type(error).__name__}: {error}"
    return ""
