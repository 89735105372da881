"""Traits: what a model can do, as the checks, the fleet and the table see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """What a model can do.

    learns: `fit` changes its forecasts. warms: `fit(warm=True)` continues from the present state. updates:
    `update` takes in new rows without a refit. exogenous: uses the outlook. missing: takes NaN inputs as they
    are (else the base fills them). multivariate: past inputs and other targets are inputs. regional: the other
    series are inputs too, so it forecasts only the series it was fitted on. named: what it knows of a series (its
    scale, say) goes by the series' name. seeded: uses chance, and has a `seed`. pretrained: what it had learnt from
    before its first `fit`, in words, "" if nothing: whoever has seen the test period has not forecast it.
    """

    learns: bool = True
    warms: bool = False
    updates: bool = False
    exogenous: bool = False
    missing: bool = False
    multivariate: bool = False
    regional: bool = False
    named: bool = False
    seeded: bool = False
    pretrained: str = ""
