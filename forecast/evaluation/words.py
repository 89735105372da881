"""How a report writes numbers down."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import timedelta

NONE = "-"
UNITS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
    (timedelta(seconds=1), "s"),
)


def number(value: float) -> str:
    """Four figures, none of them an exponent where it can be helped.

    >>> number(11069.8), number(264.71), number(0.5), number(0.000012), number(float("nan"))
    ('11070', '264.7', '0.500', '1.20e-05', '-')
    """
    if math.isnan(value):
        return NONE
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e7):
        return f"{value:.2e}"
    return f"{value:.{0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3}f}"


def share(value: float) -> str:
    """A share in per cent."""
    return NONE if math.isnan(value) else f"{100 * value:.1f} %"


def skill(value: float) -> str:
    """With its sign, to three places; a minus in front of nothing is kept, as it decides.

    >>> skill(0.0312), skill(-0.00001), skill(-1.5e9)
    ('+0.031', '-0.000', '-1.50e+09')
    """
    return NONE if math.isnan(value) else f"{value:{'+.3f' if abs(value) < 1e4 else '+.2e'}}" if value else "0"


def count(value: float) -> str:
    """A mean of counts."""
    return f"{value:.1f}".removesuffix(".0")


def p_value(value: float) -> str:
    """
    >>> p_value(0.0004), p_value(0.0312), p_value(float("nan"))
    ('<0.001', '0.031', '-')
    """
    return NONE if math.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def interval(low: float, high: float) -> str:
    """
    >>> interval(-0.1, 0.25)
    '-0.100 to +0.250'
    """
    return NONE if math.isnan(low) or math.isnan(high) else f"{skill(low)} to {skill(high)}"


def spread(values: Sequence[float], word: Callable[[float], str] = number) -> str:
    """Mean and sample deviation, to as many places as the mean.

    >>> spread([181.0, 187.0, 190.0]), spread([1.0])
    ('186.0 ± 4.6', '1.000')
    """
    mean = sum(values) / len(values)
    text = word(mean)
    if len(values) == 1 or math.isnan(mean):
        return text
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    places = len(text.partition(".")[2])
    return f"{text} ± {number(deviation) if 'e' in text else f'{deviation:.{places}f}'}"


def seconds(value: float) -> str:
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def span(step: timedelta) -> str:
    """
    >>> span(timedelta(hours=1)), span(timedelta(days=7)), span(timedelta(minutes=90))
    ('1 h', '7 d', '90 min')
    """
    unit, word = next(((u, w) for u, w in UNITS if not step % u), UNITS[-1])
    return f"{step / unit:g} {word}"


def listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names) if len(names) <= most else f"{len(names)} of them, {names[0]} to {names[-1]}"
