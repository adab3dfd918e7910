"""A callback that slows a process down, or ends it, as machines do."""

import os
import signal
import time
from pathlib import Path
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


class Grow(pl.Callback):
    """Ask for more and more memory, once.

    Args:
        step: At which step.
        marker: A file that says it has done so.
    """

    def __init__(self, step: int, marker: str) -> None:
        self.step, self.marker = step, Path(marker)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Grow until killed."""
        if trainer.global_rank == 1 and trainer.global_step == self.step:
            if self.marker.exists():
                return
            self.marker.touch()
            held = []
            for _ in range(60):
                held.append(bytearray(os.urandom(1 << 20) * 50))
                time.sleep(0.5)
