"""ReGENN: variables mixed by an evolving graph, encoded, carried ahead by a recurrence, mixed again; a line beside."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor, nn

from forecast.errors import SchemaError, UnknownNameError
from models.regenn.directions import GATES, KINDS, Directions
from models.regenn.dropout import Dropout
from models.regenn.encoder import Encoder
from models.regenn.evolution import GraphSoftEvolution, fitting, whole, xavier, zeros

ATTEND = ("series", "variables")
OUTPUTS = ("identity", "relu")
FLAGS = ("bidirectional_gate", "bidirectional_sequencer", "encoder", "autoregression", "time_dot", "bias")


@dataclass(frozen=True)
class Switches:
    """What a ReGENN is made of; by default all of the paper's parts.

    Args:
        gate: recurrence of the time gate: rnn, gru, lstm, headwise or slstm. sequencer: of the variable sequencer.
        bidirectional_gate: the time gate reads both ways. bidirectional_sequencer: the sequencer does.
        encoder: with the Transformer layer. feedforward: its hidden width.
        autoregression: with the linear shadow. time_dot: with W_t in the first graph layer.
        bias: with additive terms, everywhere; headwise and slstm cannot be without.
        attend_over: what the encoder's attention runs across: the `series` of a window, as in the paper, so that a
            forecast depends on which series are asked together; or the `variables`, each series by itself.
        dropout: share. output: identity, or relu for what cannot be negative (the authors').
        heads: of gate and sequencer where they are headwise or slstm.

    Raises:
        UnknownNameError, SchemaError: what is not allowed, in words.

    >>> Switches(gate="GRU").gate
    'gru'
    """

    gate: str = "lstm"
    sequencer: str = "lstm"
    bidirectional_gate: bool = True
    bidirectional_sequencer: bool = True
    encoder: bool = True
    feedforward: int = 2048
    autoregression: bool = True
    time_dot: bool = True
    bias: bool = True
    attend_over: str = "series"
    dropout: float = 0.1
    output: str = "identity"
    heads: int = 1

    def __post_init__(self) -> None:
        for name in ("gate", "sequencer"):
            object.__setattr__(self, name, str(getattr(self, name)).lower())
        for name, known in (
            ("gate", KINDS), ("sequencer", KINDS), ("attend_over", ATTEND), ("output", OUTPUTS),
        ):  # fmt: skip
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), known)
        for name in FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise SchemaError(f"{name} is {getattr(self, name)!r}: it must be true or false")
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise SchemaError(f"dropout is {self.dropout}: it is a share in [0, 1)")
        whole(feedforward=self.feedforward, heads=self.heads)
        headed = {self.gate, self.sequencer} - GATES.keys()
        if self.heads > 1 and not headed:
            raise SchemaError(f"heads is {self.heads}: gate {self.gate} and sequencer {self.sequencer} have one head")
        if headed and not self.bias:
            raise SchemaError(f"bias is false: {' and '.join(sorted(headed))} cannot be without, rnn, gru and lstm can")


PAPER = Switches()


class ReGENN(nn.Module):
    """Recurrent Graph Evolution Neural Network: W steps of V variables of S series to the next Z.

        x'', H = GSE_source(x, A)
        e = encoder(x'')                        attention across the series
        t = gate(e)                             recurrence over the variables, from W numbers to Z
        q = sequencer(t) + t                    recurrence over the Z steps, of V numbers
        y = GSE_target(q, H) + W_ar' x + b_ar

    Args:
        window: W steps seen. stride: Z steps ahead. variables: V.
        switches: what it is made of; `changes` are switches by name.

    Raises:
        UnknownNameError, SchemaError: of an unknown switch, or one that is not allowed; sizes that are not whole
            numbers from 1 on. SchemaError: from `forward`, values or a graph of other sizes, or not finite.

    Source: Spadon et al., "Pay attention to evolution: time series forecasting with deep graph-evolution learning",
    TPAMI 44(9), 2022, arXiv 2008.12833, section 4.

    >>> import torch
    >>> net = ReGENN(7, 14, 3)
    >>> sum(weights.numel() for weights in net.parameters())
    33975
    >>> net(torch.zeros(188, 7, 3), torch.ones(3, 3)).shape
    torch.Size([188, 14, 3])
    """

    def __init__(self, window: int, stride: int, variables: int, switches: Switches = PAPER, **changes: Any) -> None:
        super().__init__()
        for name in changes.keys() - {field.name for field in fields(Switches)}:
            raise UnknownNameError("switch of ReGENN", name, [field.name for field in fields(Switches)])
        if not isinstance(switches, Switches):
            raise SchemaError(f"switches is {switches!r}: give Switches(...), or each switch by its name")
        whole(window=window, stride=stride, variables=variables)
        self.window, self.variables = window, variables
        self.switches = on = replace(switches, **changes)
        steps = window if on.time_dot else None
        self.source = GraphSoftEvolution(variables, steps, dropout=on.dropout, bias=on.bias)
        self.encoder = Encoder(window, on.feedforward, on.dropout, on.bias) if on.encoder else None
        self.gate = Directions(on.gate, window, stride, on.bidirectional_gate, on.bias, on.heads)
        self.sequencer = Directions(on.sequencer, variables, variables, on.bidirectional_sequencer, on.bias, on.heads)
        self.dropout = Dropout(on.dropout)
        self.target = GraphSoftEvolution(variables, bias=on.bias)
        self.w_ar = xavier(window, stride) if on.autoregression else None  # (W, Z)
        self.b_ar = zeros(stride, 1) if on.autoregression and on.bias else None  # (Z, 1)

    def forward(self, x: Tensor, graph: Tensor) -> Tensor:
        """Forecasts (..., S, Z, V) from values (..., S, W, V) and their graph (V, V).

        Axes in front are windows of the same series: none of them sees another. Computed in the weights' precision.
        """
        x, graph = self._checked(x, graph)
        mixed, evolved = self.source(x, graph)  # (..., S, W, V), (V, V)
        encoded = self._encoded(mixed.mT)  # (..., S, V, W)
        ahead = self.gate(encoded.flatten(0, -3)).mT  # (R, Z, V), R all windows' series
        ahead = self.dropout(ahead)
        ahead = self.dropout(self.sequencer(ahead)) + ahead  # (R, Z, V)
        y = self.target(ahead, evolved)[0].view(*x.shape[:-2], *ahead.shape[1:])  # (..., S, Z, V)
        if self.w_ar is not None:
            y = y + self.w_ar.T @ x
        if self.b_ar is not None:
            y = y + self.b_ar
        return y.relu() if self.switches.output == "relu" else y

    def _checked(self, x: Tensor, graph: Tensor) -> tuple[Tensor, Tensor]:
        fitting(x, graph, self.window, self.variables)
        if x.dim() < 3:
            raise SchemaError(
                f"the values have shape {tuple(x.shape)}: give (series, steps, variables), or more in front"
            )
        if not (x.isfinite().all() and graph.isfinite().all()):
            raise SchemaError(
                "values or graph are not finite: attention would carry a gap to every series, fill it first"
            )
        weight = self.source.w_a
        return x.to(weight.dtype), graph.to(weight.dtype)

    def _encoded(self, x: Tensor) -> Tensor:
        """Each variable of each series as W numbers, (..., S, V, W), through the encoder."""
        if self.encoder is None:
            return x
        if self.switches.attend_over == "variables":
            return self.encoder(x.flatten(0, -3)).view(x.shape)
        tokens = x.transpose(-3, -2)  # (..., V, S, W)
        return self.encoder(tokens.flatten(0, -3)).view(tokens.shape).transpose(-3, -2)

    def evolved(self, graph: Tensor) -> Tensor:
        """The graph (V, V) after both evolutions."""
        return self.target.evolved(self.source.evolved(graph)).detach()
