"""A callback that slows a process down, or ends it, as machines do."""

import os
import signal
import time
from typing import Any

import lightning.pytorch as pl


class Slow(pl.Callback):
    """Sleep after each step.

    Args:
        seconds: How long.
        rank: On which process; None: on all.
    """

    def __init__(self, seconds: float, rank: int | None = None) -> None:
        self.seconds, self.rank = seconds, rank

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Sleep."""
        if self.rank in (None, trainer.global_rank):
            time.sleep(self.seconds)


class Die(pl.Callback):
    """Be killed after the first step of every start, as by a lack of memory."""

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)
