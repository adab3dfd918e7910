"""Checkpoints of untrained networks, made without a fit."""

from pathlib import Path
from typing import Any

import torch

from combo_lightning.checkpoint import build_network, pack_content
from combo_lightning.data.datamodule import ComboDataModule
from combo_lightning.data.simulator import preset_config, simulate, write_simulation
from combo_lightning.model import EncoderConfig, HeadConfig, NetworkConfig


def make_data(out: Path, **changes: Any) -> Path:
    """Simulate a small screen."""
    return write_simulation(simulate(preset_config("small", **changes)), out, {})


def make_checkpoint(
    data: Path, out: Path, features_folder: Path | None = None, **options: Any
) -> Path:
    """Write a checkpoint of a random network on a data set."""
    module = ComboDataModule(str(data))
    module.features_folder = features_folder
    module.setup()
    encoder = EncoderConfig(widths=[24, 16], id_embedding=4)
    config = NetworkConfig(
        cell_encoder=encoder, drug_encoder=encoder, head=HeadConfig(widths=[32, 16]), **options
    )
    torch.manual_seed(7)
    network = build_network(config, module.catalog)
    with torch.no_grad():  # responses that differ: the initial weights are small
        for parameter in network.parameters():
            parameter.mul_(2.0)
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    content = pack_content(config, module.catalog)
    torch.save({"state_dict": weights, "combo_lightning": content}, out)
    return out
