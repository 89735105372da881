"""Where trainings run: here, or in a pool of processes with one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """`map` keeps the order of the items."""

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]: ...

    def close(self) -> None: ...


class Serial:
    """One after another, in this process."""

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        return [work(item) for item in items]

    def close(self) -> None:
        """Nothing to close."""


class Pool:
    """`workers` spawned processes; they inherit the environment, so the thread policy must be applied first."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.workers, mp_context=get_context("spawn"))
        try:
            return list(self._pool.map(work, items))
        except BrokenProcessPool:
            self.close()  # a worker was killed, and a broken pool stays broken: the next call starts another
            raise

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
