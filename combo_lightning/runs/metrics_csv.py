"""The run's log: one row of ``metrics.csv`` for each validation."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import Strategy
from lightning.pytorch.trainer.states import TrainerFn

from combo_lightning.runs.checkpointing import validates

METRICS = "metrics.csv"


class MetricsCsv(pl.Callback):
    """Write epoch, step, learning rate, mean training loss and all validation scores.

    The number of rows is part of the checkpoint: a resumed run first drops the rows that were
    written after it, so that the file has no double row and no hole.

    ``train_loss``, the mean since the last row, is logged too, for early stopping.

    Hooks:
        on_train_batch_end: Adds the loss up on the device, without waiting for it.
        on_validation_epoch_end: Logs ``train_loss``.
        on_validation_end: Writes a row (without validation rows: on_train_epoch_end).
    """

    def __init__(self) -> None:
        self._path = Path()
        self._strategy: Strategy | None = None
        self._rows = 0
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._steps = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Start an empty file; resuming restores the kept rows afterwards."""
        self._path = Path(trainer.default_root_dir) / METRICS
        self._strategy = trainer.strategy

    def state_dict(self) -> dict[str, Any]:
        """Give the rows written so far and the loss summed since the last one."""
        return {"rows": self._rows, "loss_sum": self._total(), "steps": self._steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state up again."""
        self._rows = int(state_dict["rows"])
        self._loss_sum = torch.tensor(state_dict["loss_sum"], dtype=torch.float64)
        self._steps = int(state_dict["steps"])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the first rows of a file that is there, as many as the checkpoint counts."""
        if not trainer.is_global_zero or not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = lines[: self._rows + 1] if self._rows else []
        aside = self._path.with_name(f".{METRICS}.partial")
        aside.write_text("".join(kept), encoding="utf-8")
        os.replace(aside, self._path)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add the step's loss."""
        loss = outputs["loss"].detach()
        if self._loss_sum.device != loss.device:
            self._loss_sum = self._loss_sum.to(loss.device)
        self._loss_sum += loss
        self._steps += 1

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the mean training loss beside the validation scores."""
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._log(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write a row."""
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._write(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write a row where no validation does."""
        if not validates(trainer):
            self._log(pl_module)
            self._write(trainer)

    def _log(self, pl_module: pl.LightningModule) -> None:
        pl_module.log("train_loss", self._mean(), logger=False)

    def _total(self) -> float:
        """Sum the steps' losses; a step's is the mean over the processes that share its batch."""
        if self._strategy is None:
            return float(self._loss_sum)
        return float(self._strategy.reduce(self._loss_sum.clone(), reduce_op="mean"))

    def _mean(self) -> float:
        return self._total() / max(1, self._steps)

    def _write(self, trainer: pl.Trainer) -> None:
        row: dict[str, Any] = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "train_loss": self._mean(),
        }
        scores = trainer.callback_metrics
        row |= {name: float(scores[name]) for name in sorted(scores) if name.startswith("val_")}
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._steps = 0
        self._rows += 1
        if not trainer.is_global_zero:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, row, lineterminator="\n")
        if self._rows == 1:
            writer.writeheader()
        writer.writerow(row)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
