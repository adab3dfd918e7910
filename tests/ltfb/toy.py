"""A small LightningModule that knows nothing of drugs, and a run of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from combo_lightning.ltfb import LTFB
from combo_lightning.ltfb.groups import GroupPlace

ROWS, HELD_OUT, BATCH = 256, 64, 32


class Toy(pl.LightningModule):
    """Linear regression of four inputs.

    Args:
        learning_rate: Of Adam.
        seed: Of the initial weights, and of the order of rows.
    """

    def __init__(self, learning_rate: float = 0.05, seed: int = 0) -> None:
        super().__init__()
        self.learning_rate, self.seed = learning_rate, seed
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1))
        draw = torch.Generator().manual_seed(77)
        self.x = torch.randn(ROWS + HELD_OUT, 4, generator=draw)
        self.y = self.x.prod(dim=1, keepdim=True) + self.x[:, :1]
        self.weights_after: list[list[Tensor]] = []

    def loss(self, batch: Sequence[Tensor]) -> Tensor:
        error: Tensor = self.layers(batch[0]) - batch[1]
        return error.square().squeeze(1)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.loss(batch).mean()

    def tournament_scores(self, batch: Any) -> Mapping[str, Tensor]:
        return {"mse": self.loss(batch)}

    def train_dataloader(self) -> Any:
        order = torch.Generator().manual_seed(self.seed)
        rows = TensorDataset(self.x[:ROWS], self.y[:ROWS])
        return DataLoader(rows, BATCH, shuffle=True, generator=order)

    def tournament_dataloader(self) -> Any:
        return DataLoader(TensorDataset(self.x[ROWS:], self.y[ROWS:]), BATCH)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


def train(
    folder: Path,
    rates: Sequence[float],
    steps: int,
    options: Mapping[str, Any],
    callbacks: Sequence[pl.Callback] = (),
) -> dict[str, Any]:
    """Train this process's group of toys.

    Args:
        folder: The run folder of all groups.
        rates: Learning rate of each group.
        steps: Training steps.
        options: Of `LTFB`.
        callbacks: Further callbacks.
    """
    place = GroupPlace.from_environment()
    assert place is not None
    toy = Toy(rates[place.group % len(rates)], place.group)
    ltfb = LTFB(**options)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        max_epochs=-1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=place.group_folder,
        callbacks=[ltfb, *callbacks],
    )
    trainer.fit(toy)
    return {
        "weights": {n: p.detach().clone() for n, p in toy.named_parameters()},
        "moments": trainer.optimizers[0].state_dict()["state"],
        "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
        "rounds": ltfb.round_index,
        "champion": ltfb.champion,
    }
