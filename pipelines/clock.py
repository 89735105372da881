"""The clock is a parameter: live runs ask `LiveClock`, backtests and tests move a `ReplayClock`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from forecast.errors import SchemaError


@runtime_checkable
class Clock(Protocol):
    """Tells the time, in UTC."""

    def now(self) -> datetime: ...


class LiveClock:
    """The wall clock; nothing else in the platform asks for it."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ReplayClock:
    """A clock that stands still until it is moved, and never goes back.

    Args:
        start: aware datetime.

    Raises:
        SchemaError: a naive datetime, or a move into the past.

    >>> clock = ReplayClock(datetime(2013, 1, 1, tzinfo=UTC))
    >>> clock.advance(timedelta(hours=1)).isoformat()
    '2013-01-01T01:00:00+00:00'
    """

    def __init__(self, start: datetime) -> None:
        self._now = _utc(start)

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> datetime:
        """Move on by `step`; the new time."""
        return self.set(self._now + step)

    def set(self, moment: datetime) -> datetime:
        """Move to `moment`; the new time."""
        if _utc(moment) < self._now:
            raise SchemaError(f"the clock stands at {self._now} and cannot go back to {moment}: make a new ReplayClock")
        self._now = _utc(moment)
        return self._now


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise SchemaError(f"{moment} has no zone: give an aware datetime, e.g. tzinfo=UTC")
    return moment.astimezone(UTC)
