"""The progress bar, at a rate that eyes can follow."""

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar

# Seconds between two updates. Lightning's bar updates after every step, which costs 0.3 ms and,
# with the loss shown, waits for the device each time.
INTERVAL = 0.2


class RunProgressBar(RichProgressBar):
    """Lightning's rich bar, updated five times a second, with the loss of the last step."""

    def __init__(self) -> None:
        super().__init__()
        self._shown_at = 0.0
        self._loss: Any = None

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Give what Lightning shows, and the loss of the last step."""
        items = super().get_metrics(trainer, pl_module)
        if self._loss is not None:
            items["loss"] = float(self._loss)
        return items

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Update where the last update is long ago, and at the epoch's end."""
        now = time.monotonic()
        if now - self._shown_at < INTERVAL and not trainer.is_last_batch:
            return
        self._shown_at = now
        self._loss = outputs["loss"].detach()
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
