"""Runs the loop in many lives, each a process of its own, and prints how each of them ended.

argv: folder, number of slots, then the kills "slot:step" (a life dies by SIGKILL there, the next one goes on),
or "hourly" (a life for each slot). Lives are forked right after the imports, which would cost more than the rest.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.tick import tick
from tests.loop.world import fleet, slots


def life(folder: Path, numbers: Sequence[int], kill: str = "") -> int:
    """Run the slots of those numbers in a new process; minus the signal that ended it, or its exit code."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        _work(folder, numbers, kill)
        code = 0
    finally:
        os._exit(code)


def _work(folder: Path, numbers: Sequence[int], kill: str) -> None:
    at = -1

    def probe(step: str) -> None:
        if f"{at}:{step}" == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    loop = fleet(folder, probe=probe)
    for at in numbers:
        tick(loop, slots(at + 1)[at])


def main(folder: Path, count: int, kills: Sequence[str]) -> list[int]:
    if list(kills) == ["hourly"]:
        return [life(folder, [k]) for k in range(count)]
    return [life(folder, range(count), kill) for kill in [*kills, ""]]


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
