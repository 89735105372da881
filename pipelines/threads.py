"""Threads: how many cores there really are, and how workers and their threads share them.

Two threads where there is room for one do not cost a little more, they cost many times more: the libraries' threads
spin while they wait for each other. So workers * threads never exceeds the cores, waiting threads sleep, and small nets
get one thread.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecast.errors import SchemaError

GRAIN = 250_000_000  # multiply-adds per thread and step, about 10 ms: less work than that is not worth a second thread
LATE = ("torch", "xgboost")  # these read the environment once, when they load
CALIBRATION = 1  # version of the work in `calibrate`; scores of two versions do not compare
CGROUP, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


@dataclass(frozen=True)
class ThreadPolicy:
    """How the cores are shared.

    Args:
        cores: cores that may be used; see `detect`.
        workers: processes that run at the same time.
        threads: threads of each.
        quota: the container's CPU limit in cores, infinite without one; for the record.

    Raises:
        SchemaError: numbers below 1, or workers * threads > cores.

    >>> ThreadPolicy(cores=4, workers=2, threads=2).threads_for(parameters=1_000_000, batch=32)
    1
    """

    cores: int
    workers: int = 1
    threads: int = 1
    quota: float = float("inf")

    def __post_init__(self) -> None:
        if min(self.cores, self.workers, self.threads) < 1:
            raise SchemaError(f"cores {self.cores}, workers {self.workers}, threads {self.threads}: each at least 1")
        if self.workers * self.threads > self.cores:
            raise SchemaError(
                f"{self.workers} workers of {self.threads} threads each need {self.workers * self.threads} cores, and "
                f"there are {self.cores}: lower workers or threads, or give the container more CPU"
            )

    @classmethod
    def detect(
        cls,
        workers: int = 1,
        threads: int = 0,
        *,
        cgroup: Path = CGROUP,
        membership: Path = MEMBERSHIP,
        affinity: Callable[[], int] | None = None,
    ) -> ThreadPolicy:
        """The policy of this machine: the container's limit, the process's affinity.

        Args:
            workers: processes; 0 for one per core.
            threads: threads of each; 0 for as many as fit.
            cgroup, membership: where the limits are read; other folders in tests.
            affinity: counts the usable cores; by default what the operating system and Python say.
        """
        quota = cpu_quota(cgroup, membership)
        usable = (affinity or usable_cores)()
        cores = max(1, int(min(quota, usable)))  # rounded down: above its quota a container is stopped, not slowed
        workers = workers or max(1, cores // max(threads, 1))
        return cls(cores, workers, threads or max(1, cores // workers), quota)

    def threads_for(self, parameters: int, batch: int) -> int:
        """Threads for a net that sees `batch` windows a step: 1 for small nets and batches, `threads` at most."""
        return max(1, min(self.threads, parameters * batch // GRAIN))

    def environment(self) -> dict[str, str]:
        """Variables for this process and its workers; they must be set before the libraries load."""
        count = str(self.threads)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
        return {**dict.fromkeys(names, count), "OMP_WAIT_POLICY": "PASSIVE"}

    def apply(
        self,
        *,
        strict: bool = False,
        environ: MutableMapping[str, str] = os.environ,
        modules: Mapping[str, Any] = sys.modules,
    ) -> None:
        """Sets the environment; child processes inherit it.

        Raises:
            RuntimeError: `strict`, and torch or xgboost has loaded under other values; else a warning says so.
        """
        wanted = self.environment()
        late = [name for name in LATE if name in modules]
        if late and any(environ.get(name) != value for name, value in wanted.items()):
            message = f"{', '.join(late)} loaded before the thread policy and ignores it: apply the policy first"
            if strict:
                raise RuntimeError(message)
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        environ.update(wanted)

    def record(self) -> dict[str, Any]:
        """What a cost must be read with: cores, quota, threads, workers, load, Python, calibration. Costs 0.1 CPU-s."""
        load = os.getloadavg()
        return {
            "cores": self.cores,
            "quota": self.quota if self.quota < float("inf") else None,
            "workers": self.workers,
            "threads": self.threads,
            "load_1m": load[0],
            "load_5m": load[1],
            "python": platform.python_version(),
            "machine": platform.machine(),
            "calibration": calibrate(),
            "calibration_version": CALIBRATION,
        }


def usable_cores() -> int:
    """Cores that the operating system lets this process use."""
    counts = [getattr(os, name, lambda: None)() for name in ("process_cpu_count", "cpu_count")]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    return min((count for count in counts if count), default=1)


def cpu_quota(cgroup: Path = CGROUP, membership: Path = MEMBERSHIP) -> float:
    """The tightest CPU limit in cores over the process's control groups, version 1 and 2; infinite without one."""
    limits = [float("inf")]
    for controllers, group in _groups(membership):
        if controllers:
            names = [controllers, ",".join(reversed(controllers.split(","))), "cpu"]
            roots, read = [cgroup / name for name in dict.fromkeys(names)], _limit_v1
        else:
            roots, read = [cgroup, cgroup / "unified"], _limit_v2
        for root in roots:
            limits += [read(folder) for folder in _upwards(root, group)]
    return min(limits)


def _groups(membership: Path) -> list[tuple[str, str]]:
    """(controllers, path) of each line that can limit CPU; none are named in version 2. No file: both roots."""
    lines = [line.split(":", 2) for line in (_read(membership) or "0::/\n0:cpu:/").splitlines()]
    return [(line[1], line[2]) for line in lines if len(line) == 3 and (not line[1] or "cpu" in line[1].split(","))]


def _upwards(root: Path, group: str) -> list[Path]:
    """The group's folder and all above it, to the root: the tightest limit counts; folders not mounted have none."""
    parts = [part for part in group.split("/") if part not in ("", "..")]
    return [root.joinpath(*parts[:k]) for k in range(len(parts), -1, -1)]


def _limit_v2(folder: Path) -> float:
    return _limit(*(_read(folder / "cpu.max") or "max").split()[:2])


def _limit_v1(folder: Path) -> float:
    return _limit(_read(folder / "cpu.cfs_quota_us") or "-1", _read(folder / "cpu.cfs_period_us") or "100000")


def _limit(quota_us: str, period_us: str = "100000") -> float:
    try:
        quota, period = int(quota_us), int(period_us)
    except ValueError:  # "max"
        return float("inf")
    return quota / period if quota > 0 and period > 0 else float("inf")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def calibrate(clock: Callable[[], float] = time.process_time, repeats: int = 3) -> float:
    """Speed now, in units per CPU second: a unit is a fixed piece of work of about 30 ms; the median of the repeats.

    CPU seconds times this score are comparable between two runs; half pure Python, half numpy on one thread.
    """
    spent = []
    for _ in range(repeats):
        start = clock()
        _work()
        spent.append(clock() - start)
    return 1 / statistics.median(spent)


def _work() -> float:
    import numpy as np  # here: the policy must be applied before numpy loads

    total = 0
    for i in range(200_000):
        total += i * i % 7
    a = np.sin(np.arange(48 * 48, dtype=float)).reshape(48, 48)  # (48, 48): too small for threads
    b = a.copy()  # (48, 48)
    for _ in range(400):
        b = np.tanh(a @ b)  # (48, 48)
    return total + float(np.sort(b, axis=None)[0])
