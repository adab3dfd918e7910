"""SIGTERM and SIGUSR1 (Slurm before a time limit): save where training stands, and end."""

import logging
import signal
import threading
from typing import Any

import lightning.pytorch as pl
import torch

from combo_lightning.errors import RunStopped
from combo_lightning.process import early_signal
from combo_lightning.runs.checkpointing import LastCheckpoint

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# Steps between two agreements where several processes train: each costs a small message.
EVERY = 10


class StopOnSignal(pl.Callback):
    """End a fit that is asked to, with a checkpoint to go on from.

    The handler only sets a flag. At the end of a step the processes agree whether any was asked;
    then all save and end together. Lightning saves inside its handler, where one process may be
    in the middle of a step that waits for another.

    Hooks:
        on_train_start: Puts its handlers in the place of Lightning's.
        on_train_batch_end: Agrees, every `EVERY` steps (one process: every step), and saves.
        on_train_epoch_start: Ends where it was agreed at an epoch's end, which is saved by now.
    """

    def __init__(self, last: LastCheckpoint) -> None:
        self._last = last
        self._asked = 0
        # What all processes have agreed on.
        self._agreed = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signals over."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._ask)
        self._asked = self._asked or early_signal()
        # Lightning asks rank 0 before each step whether it was told to end, 0.5 ms on gloo.
        loop: Any = trainer.fit_loop.epoch_loop
        loop._broadcast_sigterm_tensor = _nothing

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End before an epoch where any process was asked to in the last one.

        Raises:
            RunStopped: On all processes together.
        """
        if self._agreed:
            raise RunStopped(self._agreed, trainer.global_step, trainer.default_root_dir)

    def _ask(self, number: int, frame: Any) -> None:
        self._asked = number

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """End where any process was asked to.

        Raises:
            RunStopped: On all processes together.
        """
        if not self._agreed:
            if trainer.world_size > 1 and trainer.global_step % EVERY:
                return
            device = trainer.strategy.root_device
            asked = trainer.strategy.reduce(
                torch.tensor(self._asked, device=device), reduce_op="max"
            )
            self._agreed = int(asked)
        # A validation comes first where it is due, and an epoch's end saves by itself.
        if self._agreed and self._last.save_within_epoch(trainer, batch_idx):
            raise RunStopped(self._agreed, trainer.global_step, trainer.default_root_dir)


def _nothing() -> None:
    """Stand in for Lightning's question before each step."""
