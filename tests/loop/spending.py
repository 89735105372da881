"""Runs a fleet in a process of its own, prints what was charged and what was used. argv: folder, "serial" or "pool"."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from forecast.policy import Always
from forecast.spec import locate
from pipelines.executors import Executor, Pool, Serial
from pipelines.fleet import OVERHEAD, Fleet
from pipelines.run import cpu_s
from pipelines.tick import tick
from tests.loop.world import fleet, slots

XGB: dict = {
    "_target_": "models.xgboost.XGBoost",
    "trees": {"_target_": "models.trees.boosting.Trees", "rounds": 20},
}


def main(folder: Path, kind: str) -> dict[str, float]:
    executor: Executor = Pool(2) if kind == "pool" else Serial()
    loop: Fleet = fleet(folder, executor=executor, model=XGB)
    assert isinstance(loop.nowcasters["always"].policy, Always)
    locate(XGB["_target_"])  # as building from a configuration does
    loop.charge_start(cpu_s())
    for slot in slots(5):
        tick(loop, slot)
    with loop.meter.charge(OVERHEAD, "overhead"):
        executor.close()
    table = loop.meter.table()
    fits = {f"{name}.fit": float(table.filter(owner=name, phase="fit")["cpu_s"].sum()) for name in loop.nowcasters}
    own = {name: float(table.filter(owner=name)["cpu_s"].sum()) for name in ("always", "drift", OVERHEAD)}
    recorded = float(loop.edges.store.records("costs")["cpu_s"].sum())
    negative = float(loop.edges.store.records("costs")["cpu_s"].min())
    return {"charged": loop.meter.total_cpu_s, "used": cpu_s(), "recorded": recorded, "least": negative, **own, **fits}


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2])))
