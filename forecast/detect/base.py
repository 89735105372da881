"""Detector: watches the errors of S forecasts, one new value per stream and update, and says when they have changed.

All streams are independent and are updated together, so that thousands of them cost a few array operations.
A subclass is pure arithmetic on a dict of arrays whose first axis is the stream; this class owns all the rest:
checks, missing news, new starts, and the state as JSON.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt

from forecast.detect.signal import DRIFT, Signal, Signals
from forecast.detect.state import Floats, State, decode, encode, put
from forecast.errors import NotFittedError, SchemaError


class Detector(ABC):
    """Base of all drift detectors, vectorised over S streams.

    The constructor only stores parameters; they are checked, and S is fixed, at the first `update`.
    Public methods are final; a subclass writes `_rules`, `_empty`, `_step` and `_level`.
    """

    starts_over: ClassVar[bool] = True  # after DRIFT a stream begins anew at its next value, as in River
    signed: ClassVar[bool] = True  # whether errors below zero make sense
    _state: State | None = None
    _referenced = False  # whether any stream was ever given a reference

    @final
    def update(self, error: npt.ArrayLike) -> Signals:
        """Take the newest error of each stream and return one `Signal` each, int8.

        Parameters
        ----------
        error : (S,), in the loss's own unit. NaN means no news: that stream's state stays as it is, its signal is CALM.

        Raises
        ------
        SchemaError : wrong shape, infinite values, or values below zero where the detector compares losses.
        """
        error, news = self._checked(error)
        state = self._begun(len(error))
        if news.all():
            return self._advance(state, error)
        silent = ~news  # (S,): put aside, stepped with the others for speed, and put back
        aside = {name: values[silent] for name, values in state.items()}
        signal = self._advance(state, np.where(news, error, 0.0))
        put(state, silent, aside)
        signal[silent] = Signal.CALM
        return signal

    @final
    def reset(self, streams: npt.ArrayLike | None = None, reference: npt.ArrayLike | None = None) -> None:
        """Forget the past of some streams, as after a retraining.

        Parameters
        ----------
        streams : (S,) bool, the streams to begin anew; all if None.
        reference : float or (S,), the loss to compare with from now on; None: learn it again (`Ratio`, `PageHinkley`).
            The other detectors ignore it.

        Raises
        ------
        SchemaError : wrong shapes, or one number while the number of streams is not yet known.
        """
        if self._state is None:
            if streams is None and reference is None:
                return
            known = next((np.asarray(a) for a in (reference, streams) if a is not None and np.ndim(a) == 1), None)
            if known is None:
                raise SchemaError(f"{self} does not know how many streams there are: give one reference per stream.")
            self._begun(len(known))
        state = self._known()
        count = len(state["over"])
        chosen = np.ones(count, bool) if streams is None else np.asarray(streams)  # (S,)
        if chosen.shape != (count,) or chosen.dtype != bool:
            raise SchemaError(f"streams must be {count} booleans, given {chosen.dtype} of shape {chosen.shape}.")
        given = np.asarray(np.nan if reference is None else reference, float)
        if given.shape not in ((), (count,)):
            raise SchemaError(f"reference must be one number or {count}, given shape {given.shape}.")
        put(state, chosen, self._fresh(int(chosen.sum())))
        state["reference"][chosen] = np.broadcast_to(given, count)[chosen]
        self._referenced = not np.isnan(state["reference"]).all()

    @property
    @final
    def level(self) -> Floats:
        """The current loss of each stream, L_now, (S,); NaN where not yet known."""
        return self._level(self._known())

    @property
    @final
    def reference(self) -> Floats:
        """The loss each stream is compared with, L_ref, (S,); NaN where there is none."""
        return self._known()["reference"].copy()

    @final
    def state(self) -> dict[str, Any]:
        """Everything needed to go on later, fit for strict JSON; floats come back bit for bit."""
        arrays = {name: encode(values) for name, values in (self._state or {}).items()}
        return {"detector": type(self).__name__, "parameters": self._parameters(), "arrays": arrays}

    @final
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state()` of an equal detector.

        Raises
        ------
        SchemaError : the state is of another class, of other parameters, or incomplete.
        """
        mine = {"detector": type(self).__name__, "parameters": self._parameters()}
        given = {name: state.get(name) for name in mine}
        if mine != given:
            raise SchemaError(f"the state is of {given}, this detector is {mine}: use equal ones, or start anew.")
        arrays = {name: decode(values) for name, values in state["arrays"].items()}
        if arrays:
            self._check_rules()
            fresh = self._fresh(len(next(iter(arrays.values()))))
            layout, wanted = ({n: (a.dtype.str, a.shape) for n, a in s.items()} for s in (arrays, fresh))
            if layout != wanted:
                raise SchemaError(f"the state of {self} must hold {wanted}, given {layout}: start anew.")
        self._state = arrays or None
        self._referenced = bool(arrays) and not np.isnan(arrays["reference"]).all()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._parameters().items())})"

    @abstractmethod
    def _rules(self) -> dict[str, bool]:
        """What the parameters must obey, in words, and whether they do."""

    @abstractmethod
    def _empty(self, count: int) -> State:
        """The state of `count` streams that have seen nothing."""

    @abstractmethod
    def _step(self, state: State, error: Floats) -> Signals:
        """Change `state` in place by one finite error (S,) per stream; return the signals (S,)."""

    @abstractmethod
    def _level(self, state: State) -> Floats:
        """L_now (S,), NaN where not known."""

    def _advance(self, state: State, error: Floats) -> Signals:
        if not self.starts_over:
            return self._step(state, error)
        over = state["over"]  # (S,)
        if over.any():
            put(state, over, self._empty(int(over.sum())))
        signal = self._step(state, error)
        np.equal(signal, DRIFT, out=over)
        return signal

    def _checked(self, error: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.bool_]]:
        values = np.asarray(error, float)
        if values.ndim != 1 or (self._state is not None and values.shape != self._state["over"].shape):
            wanted = "(streams,)" if self._state is None else f"{self._state['over'].shape}, as at the first update"
            raise SchemaError(f"error must have shape {wanted}, given {values.shape}.")
        finite = np.isfinite(values)  # (S,)
        bad = np.zeros(0, int) if finite.all() else np.flatnonzero(np.isinf(values))
        if not self.signed and not bad.size and (values < 0).any():
            bad = np.flatnonzero(values < 0)
        if bad.size:
            shown = ", ".join(f"stream {i}: {values[i]}" for i in bad[:5])
            allowed = "finite" if self.signed else "finite and >= 0"
            raise SchemaError(f"{bad.size} errors are not {allowed} ({shown}). Give NaN where there is no news.")
        return values, finite

    def _begun(self, count: int) -> State:
        if self._state is None:
            self._check_rules()
            self._state = self._fresh(count)
        return self._state

    def _known(self) -> State:
        if self._state is None:
            raise NotFittedError(f"{self} has seen no errors yet: call update first.")
        return self._state

    def _check_rules(self) -> None:
        broken = [rule for rule, kept in self._rules().items() if not kept]
        if broken:
            raise SchemaError(f"{self}: {'; '.join(broken)}.")

    def _fresh(self, count: int) -> State:
        return {"over": np.zeros(count, bool), "reference": np.full(count, np.nan), **self._empty(count)}

    def _parameters(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}
