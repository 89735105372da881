"""Forecasts of many networks at once: those of one shape go through one stacked pass.

A forecast of a small network is mostly the overhead of its calls; a stack pays it once. Measured with six of each
(CPU ms of one, alone and together): MLP 64 0.82 and 0.75, LSTM 32 1.25 and 1.03, Transformer 1.5 and 1.6, MLP 1024 2.7
and 3.0, LSTM 128 4.8 and 4.9. That is nothing beside a training, so a fleet's tick asks one by one; this is for many
small networks at once.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch

from forecast.errors import NotFittedError
from forecast.panel import Panel
from forecast.result import Forecast
from forecast.spec import to_spec
from forecast.windows import Windows, origin_rows, windows_at
from models import stack
from models.nets.network import Network, answers, quiet
from models.nets.view import Seen


@dataclass(frozen=True, eq=False)
class Asked:
    """One network and what it is to forecast from."""

    model: Network
    panel: Panel
    windows: Windows
    seen: Seen

    @classmethod
    def of(cls, model: Network, panel: Panel) -> Asked:
        if model.task_ is None:
            raise NotFittedError(f"{type(model).__name__} is not fitted: call fit(panel, task) or load(folder) first")
        task, whole = model.task_, model._checked(panel, model.task_)
        if model.traits.regional:
            whole = whole.align(model.series_)
        windows = windows_at(whole, task, origin_rows(whole, [whole.end], task.context))
        return cls(model, panel, windows, model._seen(windows, task))

    @property
    def key(self) -> Hashable:
        """Equal for networks that one stacked pass can serve."""
        words = {name: value for name, value in to_spec(self.model).items() if name not in ("seed", "training")}
        return json.dumps(words, sort_keys=True), self.model.net_.shape, self.seen.windows.shape[1]

    def forecast(self, raw: np.ndarray) -> Forecast:
        """What the base makes of outputs (M, R, O, Q)."""
        assert self.model.task_ is not None
        task = self.model.task_
        values = self.model._answered(raw, self.seen, self.windows.series, task)  # (1, N, H, C, Q)
        told = copy(self.model)
        vars(told)["_predict"] = lambda windows, task: values
        return told._forecasts(self.windows, self.model.task_, self.panel.series)[0]


def predict_together(models: Sequence[Network], panels: Sequence[Panel]) -> list[Forecast]:
    """Like `model.predict(panel)` for each; networks of one shape are asked in one pass.

    Raises:
        NotFittedError, UnknownNameError, SchemaError, ShortHistoryError: as `predict`, for all.

    >>> from forecast.checks import synthetic_panel, synthetic_task
    >>> from models.mlp import MLP
    >>> panels = [synthetic_panel(seed=seed) for seed in range(3)]
    >>> nets = [MLP(hidden=8).fit(panel, synthetic_task()) for panel in panels]
    >>> together, first = predict_together(nets, panels), nets[0].predict(panels[0])
    >>> bool(np.allclose(together[0].quantiles, first.quantiles, rtol=1e-5))
    True
    """
    asked = [Asked.of(model, panel) for model, panel in zip(models, panels, strict=True)]
    groups: dict[Hashable, list[int]] = {}
    for place, one in enumerate(asked):
        groups.setdefault(one.key, []).append(place)
    found: dict[int, Forecast] = {}
    for places in groups.values():
        found |= dict(zip(places, _answered([asked[p] for p in places]), strict=True))
    return [found[place] for place in range(len(asked))]


def _answered(asked: Sequence[Asked]) -> list[Forecast]:
    """One group's forecasts."""
    nets, first = [one.model.net_ for one in asked], asked[0].model
    with quiet(first.training.threads):
        windows, extras = (torch.cat([getattr(one.seen, name) for one in asked]) for name in ("windows", "extras"))
        net = stack.stacked(nets) if len(nets) > 1 else nets[0]
        raw = answers(net, windows, extras).double().numpy()
    ends = np.cumsum([stack.size(one) for one in nets])
    return [one.forecast(part) for one, part in zip(asked, np.split(raw, ends[:-1]), strict=True)]
