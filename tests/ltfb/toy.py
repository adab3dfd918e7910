"""A small LightningModule that knows nothing of drugs, and a run of it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from combo_lightning.ltfb import LTFB
from combo_lightning.ltfb.place import GroupPlace

ROWS, HELD_OUT, BATCH = 256, 64, 32
# Steps between two rounds.
EVERY = 10


class Batches:
    """Batches in their order, from where a checkpoint says: else no loader resumes exactly.

    Args:
        x: Inputs.
        y: Responses.
    """

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.parts = list(zip(x.split(BATCH), y.split(BATCH), strict=True))
        self.position = 0

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for index in range(self.position % len(self), len(self)):
            self.position = index + 1
            yield self.parts[index]

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.position = state["position"]


class Toy(pl.LightningModule):
    """Linear regression of four inputs.

    Args:
        learning_rate: Of Adam.
        seed: Of the initial weights, and of the order of rows.
        width: Units of the hidden layer.
    """

    def __init__(self, learning_rate: float = 0.05, seed: int = 0, width: int = 8) -> None:
        super().__init__()
        self.learning_rate, self.seed = learning_rate, seed
        torch.manual_seed(seed)
        self.layers = nn.Sequential(
            nn.Linear(4, width), nn.Tanh(), nn.Dropout(0.1), nn.Linear(width, 1)
        )
        draw = torch.Generator().manual_seed(77)
        self.x = torch.randn(ROWS + HELD_OUT, 4, generator=draw)
        self.y = self.x.prod(dim=1, keepdim=True) + self.x[:, :1]
        self.slow = 0.0

    def loss(self, batch: Sequence[Tensor]) -> Tensor:
        error: Tensor = self.layers(batch[0]) - batch[1]
        return error.square().squeeze(1)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        time.sleep(self.slow)
        torch.manual_seed(1000 * self.seed + self.global_step)
        return self.loss(batch).mean()

    def tournament_scores(self, batch: Any) -> Mapping[str, Tensor]:
        return {"mse": self.loss(batch)}

    def train_dataloader(self) -> Any:
        # In an order of the group's own.
        return Batches(self.x[:ROWS].roll(self.seed, 0), self.y[:ROWS].roll(self.seed, 0))

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
    data: pl.LightningDataModule | None = None,
    resume: Path | None = None,
    width: int = 8,
) -> dict[str, Any]:
    """Train this process's group of toys.

    Args:
        folder: The run folder of all groups.
        rates: Learning rate of each group.
        steps: Training steps.
        options: Of `LTFB`; and ``slow``, seconds that each step takes longer.
        callbacks: Further callbacks.
        data: In the place of the module's own rows.
        resume: A checkpoint to go on from.
        width: Units of the hidden layer.
    """
    place = GroupPlace.from_environment()
    assert place is not None
    toy = Toy(rates[place.group % len(rates)], place.group, width)
    more = dict(options)
    toy.slow = more.pop("slow", 0.0)
    ltfb = LTFB(**more)
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
    trainer.fit(toy, datamodule=data, ckpt_path=resume and str(resume))
    return {
        "weights": {n: p.detach().clone() for n, p in toy.named_parameters()},
        "moments": trainer.optimizers[0].state_dict()["state"],
        "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
        "rounds": ltfb.round_index,
        "champion": ltfb.champion,
    }


def options(**more: Any) -> dict[str, Any]:
    """Give options of `LTFB` for a short run."""
    return {"every_n_train_steps": EVERY, "save_every_n_rounds": 0, **more}
