"""The poster's data set (simulated, 305,626 rows of 921 + 2 x 3,829 features) in memory."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import torch
from lightning_utilities.core.apply_func import apply_to_collection

from combo_lightning.checkpoint import build_network
from combo_lightning.cli.main import run_program
from combo_lightning.data.batches import Batch
from combo_lightning.data.datamodule import ComboDataModule
from combo_lightning.model import ComboModel, EntityTable, NetworkConfig

Mode = Literal["per_sample", "per_entity"]
MODES: tuple[Mode, ...] = ("per_sample", "per_entity")


class PosterScreen:
    """The data set through the product's own data module.

    Args:
        path: Where it is, or is simulated to.
        device: Where the tables go.
    """

    def __init__(self, path: Path, device: str = "cpu") -> None:
        if not path.exists():
            run_program(["simulate", "--preset", "poster", "--out", str(path)])
        self.path = path
        self.device = device
        self.data = ComboDataModule(str(path))
        self.data.setup()
        self.catalog = self.data.catalog
        self.cells, self.drugs = (
            EntityTable(
                torch.from_numpy(known.features_EG).to(device),
                torch.arange(len(known.ids), device=device),
            )
            for known in (self.catalog.cells, self.catalog.drugs)
        )

    @property
    def training_rows(self) -> int:
        """Rows of an epoch."""
        return len(self.data.split.train_rows)

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """Give shuffled training batches without end; only full ones."""
        epoch = 0
        while True:
            self.data.batch_size = batch_size
            loader = self.data.train_dataloader()
            loader.set_epoch(epoch)
            for batch in loader:
                if batch.total == batch_size:
                    yield self._moved(batch)
            epoch += 1

    def test_batches(self, batch_size: int, rows: int) -> list[Batch]:
        """Give the first test rows in batches."""
        self.data.eval_batch_size = batch_size
        loader = self.data.test_dataloader()
        return [self._moved(b) for b in islice(loader, -(-rows // batch_size))]

    def all_training_rows(self) -> Batch:
        """Give all training rows as one batch."""
        return next(self.batches(self.training_rows))

    def network(self, mode: Mode) -> ComboModel:
        """Build the published network in a dropout mode."""
        return build_network(NetworkConfig(dropout_mode=mode), self.catalog).to(self.device)

    def _moved(self, batch: Batch) -> Batch:
        moved: Batch = apply_to_collection(batch, torch.Tensor, lambda x: x.to(self.device))
        return moved
