"""Stacks: M networks of equal shape as one, each parameter with a leading member axis; a single network is M = 1.

Models fitted for many stations or targets are small, and a small step is mostly the overhead of its hundred calls:
a stack pays it once for all members. `train` (models/lightning.py) trains the members as if each were alone.
"""

from models.stack.attention import Attention
from models.stack.conv import Conv1d, MaxPool
from models.stack.conv_lstm import ConvLSTM
from models.stack.dropout import Draws, Dropout, drawing
from models.stack.headwise import SLSTM, HeadwiseLSTM
from models.stack.joining import members, size, stacked, take
from models.stack.layers import LayerNorm, Linear
from models.stack.lstm import LSTM
from models.stack.paying import group_size, together_pays
from models.stack.rectified import RectifiedLSTM

__all__ = [
    "LSTM",
    "SLSTM",
    "Attention",
    "Conv1d",
    "ConvLSTM",
    "Draws",
    "Dropout",
    "HeadwiseLSTM",
    "LayerNorm",
    "Linear",
    "MaxPool",
    "RectifiedLSTM",
    "drawing",
    "group_size",
    "members",
    "size",
    "stacked",
    "take",
    "together_pays",
]
