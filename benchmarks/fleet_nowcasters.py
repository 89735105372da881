"""Nine nowcasters of one architecture trained in company, as the fleet trains them, against one after another.

    python -m benchmarks.fleet_nowcasters

Three stations x three targets of New York weather, 3,360 hours up to 21 May 2013, each with the other stations as past
inputs; settings as in conf/model (batch 256), and wider networks, up to those that the rule of `stack.together_pays`
leaves alone: there both ways are the same and the ratio is noise. CPU seconds of this process on one thread, the least
of two interleaved repetitions; preparing the windows is part of both. `benchmarks.fleet_training` has the steps alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.skill import TASK, weather
from forecast.panel import Panel
from forecast.region import Region
from forecast.together import Fit, fit_together
from models.lstm import LSTM
from models.mlp import MLP
from models.nets.network import Network
from models.transformer import Encoder, Transformer

RESULTS = Path(__file__).parent / "results" / "fleet_nowcasters.json"
NETWORKS: dict[str, Callable[[], Network]] = {
    "mlp 64": lambda: MLP(hidden=64),
    "mlp 128": lambda: MLP(hidden=128),
    "mlp 256": lambda: MLP(hidden=256),
    "lstm 32": lambda: LSTM(hidden=32),
    "lstm 64": lambda: LSTM(hidden=64),
    "lstm 128": lambda: LSTM(hidden=128),
    "transformer 32, patch 3": lambda: Transformer(Encoder(patch=3)),
}
END, ROWS, REPETITIONS = datetime(2013, 5, 21, tzinfo=UTC), 3_360, 2


def fits(make: Callable[[], Network], panel: Panel) -> list[Fit]:
    """One for each station and target."""
    regions = [Region(station, (target,)) for station in panel.series for target in TASK.target_names]
    return [Fit(make(), r.panel(panel, TASK), r.task(TASK, panel.series)) for r in regions]


def alone(found: list[Fit]) -> None:
    for fit in found:
        fit.model.fit(fit.panel, fit.task)


def company(found: list[Fit]) -> None:
    failures = [failure for failure in fit_together(found) if failure is not None]
    assert not failures, failures


def main() -> None:
    torch.set_num_threads(1)
    panel = weather().until(END).tail(ROWS)
    alone(fits(NETWORKS["mlp 64"], panel)[:1])  # imports and first calls
    told = {}
    for name, make in NETWORKS.items():
        best = {"alone": float("inf"), "company": float("inf")}
        for _ in range(REPETITIONS):
            for way, act in (("alone", alone), ("company", company)):
                found = fits(make, panel)
                start = time.process_time()
                act(found)
                best[way] = min(best[way], time.process_time() - start)
        one = fits(make, panel)[0]
        stacked = one.model._alike(one.panel, one.task) is not None
        ratio = round(best["alone"] / best["company"], 2)
        told[name] = {"stacked": stacked, **{k: round(v, 2) for k, v in best.items()}, "times cheaper": ratio}
        print(name, told[name], flush=True)
    RESULTS.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
