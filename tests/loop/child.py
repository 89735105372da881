"""Runs the loop in a process of its own. argv: folder, number of slots, "-" or the kills "slot:step,slot:step"; or one slot.

Dies by SIGKILL at the first kill that is not noted in folder/kills yet.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from pipelines.tick import tick
from tests.loop.world import fleet, slots

XGB = {"_target_": "models.xgboost.XGBoost"}


def main(folder: Path, count: int, kills: list[str], only: int | None) -> None:
    noted = folder / "kills"
    done = noted.read_text().split() if noted.exists() else []
    left = [k for k in kills if k not in done]
    at = {"slot": -1}

    def probe(step: str) -> None:
        here = f"{at['slot']}:{step}"
        if left and here == left[0]:
            folder.mkdir(parents=True, exist_ok=True)
            noted.write_text(" ".join([*done, here]))
            os.kill(os.getpid(), signal.SIGKILL)

    loop = fleet(folder, probe=probe)
    for at["slot"], slot in enumerate(slots(count)):
        if only is None or at["slot"] == only:
            tick(loop, slot)


if __name__ == "__main__":
    kills = [] if sys.argv[3] == "-" else sys.argv[3].split(",")
    main(Path(sys.argv[1]), int(sys.argv[2]), kills, int(sys.argv[4]) if len(sys.argv) > 4 else None)
