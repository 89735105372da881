"""Where trainings run: here, or in a pool of processes with one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """`map` keeps the order of the items; `each` gives every result as soon as there is one."""

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]: ...

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]: ...

    def close(self) -> None: ...


class Serial:
    """One after another, in this process."""

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        return [work(item) for item in items]

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        return (work(item) for item in items)

    def close(self) -> None:
        """Nothing to close."""


class Pool:
    """`workers` spawned processes; they inherit the environment, so the thread policy must be applied first."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        try:
            return list(self._started().map(work, items))
        except BrokenProcessPool:
            self.close()  # a worker was killed, and a broken pool stays broken: the next call starts another
            raise

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        pool = self._started()
        waiting = [pool.submit(work, item) for item in items]
        try:
            for done in as_completed(waiting):
                yield done.result()
        except BrokenProcessPool:
            self.close()
            raise
        finally:
            for future in waiting:
                future.cancel()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.workers, mp_context=get_context("spawn"))
        return self._pool

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
