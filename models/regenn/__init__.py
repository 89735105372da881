"""ReGENN: forecasts of several variables of many series by a graph of the variables that evolves as it is learnt."""

from models.regenn.evolution import GraphSoftEvolution
from models.regenn.forecaster import RegennForecaster
from models.regenn.graph import cooccurrence, cosine
from models.regenn.network import ReGENN, Switches
from models.regenn.shadow import Shadow
from models.regenn.sight import Sight

__all__ = [
    "GraphSoftEvolution",
    "ReGENN",
    "RegennForecaster",
    "Shadow",
    "Sight",
    "Switches",
    "cooccurrence",
    "cosine",
]
