"""Units: how a raw value becomes one in the stored unit, value = raw * factor + offset."""

from __future__ import annotations

from forecast.errors import UnknownNameError

CONVERSIONS: dict[tuple[str, str], tuple[float, float]] = {
    ("degF", "degC"): (5 / 9, -160 / 9),
    ("K", "degC"): (1.0, -273.15),
    ("degC", "K"): (1.0, 273.15),
    ("mph", "m/s"): (0.44704, 0.0),
    ("knot", "m/s"): (1852 / 3600, 0.0),
    ("km/h", "m/s"): (1 / 3.6, 0.0),
    ("ft/s", "m/s"): (0.3048, 0.0),
    ("inHg", "hPa"): (33.86389, 0.0),
    ("mmHg", "hPa"): (1.333224, 0.0),
    ("Pa", "hPa"): (0.01, 0.0),
    ("kPa", "hPa"): (10.0, 0.0),
    ("mbar", "hPa"): (1.0, 0.0),
    ("mile", "km"): (1.609344, 0.0),
    ("m", "km"): (0.001, 0.0),
    ("ft", "m"): (0.3048, 0.0),
    ("inch", "mm"): (25.4, 0.0),
    ("cm", "mm"): (10.0, 0.0),
    ("1", "%"): (100.0, 0.0),
    ("kW", "MW"): (0.001, 0.0),
}


def conversion(unit: str, into: str) -> tuple[float, float]:
    """Factor and offset from `unit` to `into`; (1, 0) where nothing is to do.

    Raises:
        UnknownNameError: a pair that the table does not have; `factor` and `offset` of a reading can say it.

    >>> factor, offset = conversion("degF", "degC")
    >>> round(212 * factor + offset, 6)
    100.0
    """
    if not unit or unit == into:
        return 1.0, 0.0
    if (unit, into) not in CONVERSIONS:
        known = [raw for raw, stored in CONVERSIONS if stored == into]
        raise UnknownNameError(f"unit that becomes '{into}' (else give factor and offset)", unit, [into, *known])
    return CONVERSIONS[unit, into]
