"""Thread policy over made-up control groups, version 1 and 2."""

from __future__ import annotations

import doctest
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pipelines.threads
from forecast.errors import SchemaError
from pipelines.threads import ThreadPolicy, calibrate, cpu_quota, usable_cores

INF = float("inf")
V1 = "4:cpu,cpuacct:/job\n2:memory:/job\n0::/"


def tree(folder: Path, membership: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A control-group root and a membership file."""
    root, member = folder / "cgroup", folder / "self"
    root.mkdir()
    member.write_text(membership)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root, member


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, 2.0),
        ("0::/", {"cpu.max": "max 100000"}, INF),
        ("0::/", {"cpu.max": "nonsense"}, INF),
        ("0::/", {}, INF),
        ("0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "400000 100000"}, 1.5),
        ("0::/../x", {"cpu.max": "50000 100000"}, 0.5),  # a process moved out of its namespace
        ("0::/gone", {"cpu.max": "300000 100000"}, 3.0),  # only the container's own group is mounted
        (V1, {"cpu,cpuacct/job/cpu.cfs_quota_us": "300000", "cpu,cpuacct/job/cpu.cfs_period_us": "100000"}, 3.0),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "100000", "cpu,cpuacct/job/cpu.cfs_quota_us": "300000"}, 1.0),
        (V1, {"cpuacct,cpu/job/cpu.cfs_quota_us": "50000", "cpuacct,cpu/job/cpu.cfs_period_us": "25000"}, 2.0),
        (V1, {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"}, INF),
        ("1:cpu:/\n0::/", {"unified/cpu.max": "max 100000", "cpu/cpu.cfs_quota_us": "250000"}, 2.5),
        ("3:cpuset:/\n", {"cpuset/cpu.max": "100000 100000"}, INF),
    ],
)
def test_the_tightest_limit_counts(tmp_path: Path, membership: str, files: dict[str, str], quota: float) -> None:
    assert cpu_quota(*tree(tmp_path, membership, files)) == quota


def test_without_a_membership_file_the_root_counts(tmp_path: Path) -> None:
    root, member = tree(tmp_path, "", {"cpu.max": "200000 100000"})
    member.unlink()
    assert cpu_quota(root, member) == 2.0
    assert cpu_quota(tmp_path / "none", member) == INF


@pytest.mark.parametrize(
    ("limit", "usable", "workers", "threads", "expected"),
    [
        ("max 100000", 8, 1, 0, (8, 1, 8)),
        ("250000 100000", 8, 1, 0, (2, 1, 2)),
        ("50000 100000", 8, 1, 0, (1, 1, 1)),
        ("400000 100000", 2, 0, 0, (2, 2, 1)),
        ("400000 100000", 16, 2, 0, (4, 2, 2)),
        ("400000 100000", 16, 3, 0, (4, 3, 1)),
        ("400000 100000", 16, 0, 2, (4, 2, 2)),
        ("400000 100000", 16, 2, 1, (4, 2, 1)),
    ],
)
def test_workers_and_threads_share_the_cores(
    tmp_path: Path, limit: str, usable: int, workers: int, threads: int, expected: tuple[int, int, int]
) -> None:
    root, member = tree(tmp_path, "0::/", {"cpu.max": limit})
    policy = ThreadPolicy.detect(workers, threads, cgroup=root, membership=member, affinity=lambda: usable)
    assert (policy.cores, policy.workers, policy.threads) == expected


@pytest.mark.parametrize(("workers", "threads"), [(3, 2), (5, 1), (-1, 1)])
def test_too_many_are_refused(workers: int, threads: int) -> None:
    with pytest.raises(SchemaError, match="cores"):
        ThreadPolicy(cores=4, workers=workers, threads=threads)


def test_small_nets_and_batches_get_one_thread() -> None:
    policy = ThreadPolicy(cores=4, threads=4)
    assert policy.threads_for(1_100_000, 32) == policy.threads_for(200_000, 64) == policy.threads_for(0, 0) == 1
    assert policy.threads_for(25_000_000, 32) == 3
    assert policy.threads_for(10**9, 512) == 4


def test_apply_sets_the_environment() -> None:
    environ = {"HOME": "/"}
    ThreadPolicy(cores=4, workers=2, threads=2).apply(environ=environ, modules={})
    assert environ == {
        "HOME": "/",
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "POLARS_MAX_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def test_apply_after_the_libraries_is_said() -> None:
    policy = ThreadPolicy(cores=1)
    with pytest.warns(RuntimeWarning, match="torch, xgboost loaded before"):
        policy.apply(environ={}, modules={"xgboost": None, "torch": None})
    with pytest.raises(RuntimeError, match="xgboost loaded before"):
        policy.apply(strict=True, environ={}, modules={"xgboost": None})
    policy.apply(strict=True, environ=policy.environment(), modules={"torch": None})  # nothing would change


def test_a_child_inherits_and_importing_the_policy_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom pipelines.threads import ThreadPolicy\n"
        "print(sorted({'torch', 'xgboost', 'numpy', 'polars'} & set(sys.modules)))\n"
        "ThreadPolicy(cores=1).apply(strict=True)\n"
        "import subprocess\nprint(subprocess.check_output([sys.executable, '-c', "
        "'import os; print(os.environ[\"OMP_NUM_THREADS\"])'], text=True).strip())"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "OPENBLAS_"))}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env)
    assert done.stdout.split("\n")[:2] == ["[]", "1"]


def test_record_is_plain_and_complete() -> None:
    record = ThreadPolicy(cores=2, workers=1, threads=2).record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert {"cores", "quota", "workers", "threads", "load_1m", "python", "calibration"} <= set(record)


def test_calibration_is_the_median_speed() -> None:
    clock = iter([0.0, 0.5, 1.0, 1.25, 2.0, 12.0])  # units of 0.5, 0.25 and 10 s
    assert calibrate(lambda: next(clock)) == 2.0


def test_calibration_is_short() -> None:
    start = time.process_time()
    assert calibrate() > 0
    assert time.process_time() - start < 1.0


def test_this_machine_has_a_core() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    assert ThreadPolicy.detect().cores >= 1


def test_examples_run() -> None:
    assert doctest.testmod(pipelines.threads).failed == 0
