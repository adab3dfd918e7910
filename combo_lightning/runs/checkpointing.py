"""Checkpoints that are whole or not there, and the one that a killed run goes on from."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint

from combo_lightning.checkpoint import (
    PARTIAL,
    load_checkpoint,
    shards_named_by,
    write_checkpoint,
)
from combo_lightning.errors import InputError
from combo_lightning.parallel.shards import SUFFIX
from combo_lightning.resuming import resumes_exactly

logger = logging.getLogger(__name__)

BEST = "best.ckpt"
LAST = "last.ckpt"


def validates(trainer: pl.Trainer) -> bool:
    """Tell whether a fit has validation batches."""
    return sum(trainer.num_val_batches or [0]) > 0


def remove_broken_off(folder: Path) -> None:
    """Remove what a killed save has left: files aside, and shards that no checkpoint names.

    The next save of the same checkpoint would do so too, but may never come, or need the room.

    Args:
        folder: The folder of the checkpoints, in which nothing is being saved.
    """
    for aside in folder.glob(f".*.ckpt{PARTIAL}"):
        aside.unlink()
    shards = list(folder.glob(f".*.ckpt.*{SUFFIX}"))
    if not shards:
        return
    try:
        named = {shards_named_by(path) for path in folder.glob("*.ckpt")}
    except InputError as error:
        logger.warning("the shards in %s are left as they are: %s", folder, error)
        return
    for orphan in shards:
        if orphan.name not in named:
            shutil.rmtree(orphan, ignore_errors=True)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Save straight to a file aside, then rename; load tensors and plain values only.

    A process killed while saving leaves the previous checkpoint as it was. Lightning's own way
    holds a copy of the whole file in memory.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; on any error the file aside is removed."""
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = None,  # noqa: FBT001  Lightning's signature
    ) -> dict[str, Any]:
        """Load a checkpoint on the CPU, always with ``weights_only=True``."""
        return load_checkpoint(Path(path))


class BestCheckpoint(ModelCheckpoint):
    """Keep ``checkpoints/best.ckpt``: the lowest ``val_mse``; without validation rows the last.

    Args:
        folder: The folder of the checkpoints.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(
            dirpath=folder, filename="best", monitor="val_mse", enable_version_counter=False
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave an epoch without validation alone: there is no score to judge it by."""
        if validates(trainer):
            super().on_train_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the end of training where nothing validated."""
        if not validates(trainer):
            trainer.save_checkpoint(Path(str(self.dirpath)) / BEST)


class LastCheckpoint(Checkpoint):
    """Keep ``checkpoints/last.ckpt``: where ``fit --resume`` goes on, bit for bit.

    Hooks:
        setup: Has a fit with `max_steps` go on from an epoch's end as one with `max_epochs` does.
        on_train_batch_end: Saves every `every_n_train_steps` steps.
        on_train_epoch_end: Saves after the epoch's validation and after every other callback.
        on_train_start: Stops again where early stopping had already decided to; on rank 0 removes
            what a killed save has left.

    Limits:
        It never saves between a step and the validation that is due after it: Lightning would
        skip that validation on resuming. The save waits for the next step.

    Args:
        every_n_train_steps: Steps between two saves within an epoch; 0: only at its end.
    """

    def __init__(self, every_n_train_steps: int = 1000) -> None:
        super().__init__()
        self.every_n_train_steps = every_n_train_steps
        self._saved_at = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Have an epoch that was saved at its end taken for done.

        With `max_steps` Lightning (2.6) takes it for broken off, ends it once more without a
        batch, and counts an epoch too many: each later epoch then has another order of its rows.
        """
        loop: Any = trainer.fit_loop
        loop._iteration_based_training = _by_epochs

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take up early stopping's decision, which Lightning forgets on resuming; tidy up."""
        self._saved_at = trainer.global_step
        if trainer.is_global_zero:
            remove_broken_off(Path(trainer.default_root_dir) / "checkpoints")
        for callback in trainer.early_stopping_callbacks:
            if isinstance(callback, EarlyStopping) and callback.wait_count >= callback.patience:
                trainer.should_stop = True

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save where it is time and neither a validation nor the epoch's end is due."""
        if not self.every_n_train_steps:
            return
        if trainer.global_step - self._saved_at >= self.every_n_train_steps:
            self.save_within_epoch(trainer, batch_idx)

    def save_within_epoch(self, trainer: pl.Trainer, batch_idx: int) -> bool:
        """Save after a step, unless a validation or the epoch's end is due; tell whether."""
        if not resumes_exactly(trainer, batch_idx):
            return False
        self._save(trainer)
        return True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the finished epoch."""
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / LAST)
        self._saved_at = trainer.global_step


def _by_epochs() -> bool:
    """Answer Lightning's question whether training counts steps alone."""
    return False
