"""How good is a detector? False alarms on errors that do not change, delay on errors that do.

The errors are simulated, one step an hour, with mean 1: a threshold found here is in units of the usual error, so
divide a real error by its reference. After each alarm the stream begins anew with the reference it had: nothing is
retrained, the error stays high, and only the first alarm after a shift is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.detect.base import Detector
from forecast.detect.signal import DRIFT, Signals, signals
from forecast.detect.state import Floats, State

Simulator = Callable[[int, int, int], Floats]  # seed, steps T, streams S -> (T, S)


@dataclass(frozen=True)
class Trial:
    """What a detector is tried on.

    simulate : the errors, (seed, steps, streams) -> (T, S).
    seed, streams : of the simulation.
    warm_up : steps whose mean is each stream's reference; alarms in them are not counted.
    calm : steps without change in which alarms are false.
    horizon : steps after a shift within which the alarm must come.
    shifts : growth of the error, 0.5 is +50 %.
    from_start : the shift begins with the detector's new start after a training, instead of in the midst of calm.
    """

    simulate: Simulator
    seed: int = 0
    streams: int = 200
    warm_up: int = 72
    calm: int = 2_000
    horizon: int = 200
    shifts: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0, 2.0)
    from_start: bool = False


@dataclass(frozen=True)
class Quality:
    """What a detector achieved in a trial.

    false_alarms : per 1,000 steps of one stream.
    delay : mean steps from each shift to its alarm; a missed one counts as the horizon.
    missed : share of streams without an alarm within the horizon, per shift.
    """

    false_alarms: float
    delay: dict[float, float]
    missed: dict[float, float]

    def mean_delay(self, smallest: float = 0.5) -> float:
        """Mean delay in steps over the shifts of at least `smallest`."""
        return float(np.mean([delay for shift, delay in self.delay.items() if shift >= smallest]))


class EveryK(Detector):
    """Alarms at each `period`-th error, whatever it is: a dummy with 1,000 / period false alarms per 1,000 steps."""

    def __init__(self, period: int = 200) -> None:
        self.period = period

    def _rules(self) -> dict[str, bool]:
        return {"period must be >= 1": self.period >= 1}

    def _empty(self, count: int) -> State:
        return {"seen": np.zeros(count, np.int64)}

    def _step(self, state: State, error: Floats) -> Signals:
        state["seen"] += 1
        return signals(state["seen"] == self.period)

    def _level(self, state: State) -> Floats:
        return np.full(len(state["seen"]), np.nan)  # (S,)


def weather_like(seed: int, steps: int, streams: int) -> Floats:
    """Errors like the hourly MAE of a weather nowcast, (T, S), mean 1.

    On the log scale a daily cycle (amplitude 0.3, each stream with its own phase) and AR(1) noise (0.8 an hour,
    standard deviation 0.4); 1 % of the hours are heavy-tailed (times 1 + Pareto(3)).
    """
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(steps, streams)) * 0.4  # (T, S)
    for now, before in zip(noise[1:], noise[:-1], strict=True):
        now *= np.sqrt(1 - 0.8**2)
        now += 0.8 * before
    hours = np.arange(steps)[:, None] + rng.uniform(0, 24, streams)  # (T, S)
    spike = np.where(rng.random((steps, streams)) < 0.01, rng.pareto(3, (steps, streams)), 0.0)
    cycle = 0.3 * np.sin(2 * np.pi * hours / 24)
    error = np.exp(cycle + noise) * (1 + spike)
    return error / (np.exp(0.4**2 / 2) * np.i0(0.3) * 1.005)  # the mean of each factor


def white(seed: int, steps: int, streams: int) -> Floats:
    """Independent Gaussian errors, (T, S), mean 1, standard deviation 0.25, cut off at 0."""
    return np.maximum(np.random.default_rng(seed).normal(1, 0.25, (steps, streams)), 0)


def alarms(detector: Detector, error: Floats, warm_up: int, from_start: bool = False) -> npt.NDArray[np.bool_]:
    """Where the detector says DRIFT on errors (T, S), after a warm-up whose mean is the reference; (T - warm_up, S).

    `from_start`: it forgets the warm-up but for the reference.
    """
    reference = error[:warm_up].mean(axis=0)  # (S,)
    detector.reset(reference=reference)
    drift = np.zeros(error.shape, bool)  # (T, S)
    for t, values in enumerate(error):
        if from_start and t == warm_up:
            detector.reset(None, reference)
        drift[t] = detector.update(values) == DRIFT
        if drift[t].any():
            detector.reset(drift[t], reference)
    return drift[warm_up:]


def judge(detector: Detector, trial: Trial) -> Quality:
    """Try unused copies of a detector on errors that stay as they are, and on errors that shift."""
    length = trial.warm_up + trial.calm
    quiet = alarms(_unused(detector), trial.simulate(trial.seed, length, trial.streams), trial.warm_up)
    delays = dict(zip(trial.shifts, _delays(_unused(detector), trial), strict=True))
    return Quality(
        false_alarms=float(1_000 * quiet.mean()),
        delay={shift: float(np.minimum(late, trial.horizon).mean()) for shift, late in delays.items()},
        missed={shift: float((late > trial.horizon).mean()) for shift, late in delays.items()},
    )


def _unused(detector: Detector) -> Detector:
    return type(detector)(**detector.state()["parameters"])


def _delays(detector: Detector, trial: Trial) -> npt.NDArray[np.int64]:
    """Steps from each shift to the first alarm after it, (shifts, S): 1 at the shift itself, horizon + 1 if missed."""
    shape = (len(trial.shifts), trial.streams)
    calm = 0 if trial.from_start else 200
    start = calm + np.random.default_rng(trial.seed).integers(0, 48, trial.streams) * bool(calm)  # (S,)
    error = trial.simulate(trial.seed + 1, trial.warm_up + 248 + trial.horizon, trial.streams)  # (T, S)
    since = np.arange(len(error))[:, None] - trial.warm_up - start  # (T, S)
    factor = np.where(since[:, None, :] >= 0, 1 + np.array(trial.shifts)[:, None], 1)  # (T, shifts, S)
    shifted = (error[:, None, :] * factor).reshape(len(error), -1)
    drift = alarms(detector, shifted, trial.warm_up, trial.from_start).reshape(-1, *shape)  # (T - warm_up, shifts, S)
    since = since[trial.warm_up :, None, :]
    late = drift & (since >= 0) & (since < trial.horizon)
    first = late.argmax(axis=0) - start + 1  # (shifts, S)
    return np.where(late.any(axis=0), first, trial.horizon + 1)


def best(tried: Sequence[tuple[Detector, Quality]], most_false_alarms: float = 5.0) -> tuple[Detector, Quality]:
    """The smallest mean delay over shifts of +50 % and more, among those with few enough false alarms per 1,000 steps.

    If none has, the one with the fewest false alarms.
    """
    calm = [pair for pair in tried if pair[1].false_alarms <= most_false_alarms]
    if not calm:
        return min(tried, key=lambda pair: pair[1].false_alarms)
    return min(calm, key=lambda pair: pair[1].mean_delay())
