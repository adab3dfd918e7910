"""Checkpoints of untrained networks, made without a fit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from combo_lightning.checkpoint import build_network, pack_content
from combo_lightning.data.datamodule import ComboDataModule
from combo_lightning.data.simulator import preset_config, simulate, write_simulation
from combo_lightning.data.transforms import TransformConfig
from combo_lightning.ensemble import write_ensemble
from combo_lightning.model import EncoderConfig, HeadConfig, NetworkConfig


def make_data(out: Path, **changes: Any) -> Path:
    """Simulate a small screen."""
    return write_simulation(simulate(preset_config("small", **changes)), out, {})


def make_checkpoint(
    data: Path,
    out: Path,
    features_folder: Path | None = None,
    seed: int = 7,
    transform: TransformConfig = TransformConfig(),
    **options: Any,
) -> Path:
    """Write a checkpoint of a random network on a data set."""
    module = ComboDataModule(str(data), transform=transform)
    module.features_folder = features_folder
    module.setup()
    encoder = EncoderConfig(widths=[24, 16], id_embedding=4)
    config = NetworkConfig(
        cell_encoder=encoder, drug_encoder=encoder, head=HeadConfig(widths=[32, 16]), **options
    )
    torch.manual_seed(seed)
    network = build_network(config, module.catalog)
    with torch.no_grad():  # responses that differ: the initial weights are small
        for parameter in network.parameters():
            parameter.mul_(2.0)
        if network.study is not None:
            network.study.weight.normal_()
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    content = pack_content(config, module.catalog)
    torch.save({"state_dict": weights, "combo_lightning": content}, out)
    return out


def make_members(data: Path, folder: Path, seeds: Sequence[int], **options: Any) -> list[Path]:
    """Write checkpoints of networks that differ in their weights."""
    return [
        make_checkpoint(data, folder / f"member-{place}.ckpt", seed=seed, **options)
        for place, seed in enumerate(seeds)
    ]


def make_ensemble(
    data: Path, folder: Path, seeds: Sequence[int], **options: Any
) -> tuple[Path, list[Path]]:
    """Write an ensemble's checkpoint; give it and its members'."""
    members = make_members(data, folder, seeds, **options)
    out = folder / "ensemble.ckpt"
    write_ensemble(members, out, [f"group_{place}" for place in range(len(members))])
    return out, members
