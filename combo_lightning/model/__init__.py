"""The Combo network in plain torch, written for one device."""

from combo_lightning.model.combo import ComboModel, InputSizes
from combo_lightning.model.config import EncoderConfig, HeadConfig, NetworkConfig
from combo_lightning.model.encoder import EntityTable

__all__ = [
    "ComboModel",
    "EncoderConfig",
    "EntityTable",
    "HeadConfig",
    "InputSizes",
    "NetworkConfig",
]
