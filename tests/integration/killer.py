"""A callback that kills its own process, once, at a stated point of a fit."""

import os
import signal
from pathlib import Path
from typing import Any, Literal, NoReturn

import lightning.pytorch as pl
import torch


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


class KillAt(pl.Callback):
    """Kill the process at or after a step.

    Args:
        step: The step.
        phase: "step": after the step; "validation": after a validation inside an epoch; "save":
            while a checkpoint is half written; "ask": after the step, with SIGTERM.
        marker: A file that tells that it has killed already.
    """

    def __init__(
        self, step: int, phase: Literal["step", "validation", "save", "ask"], marker: str
    ) -> None:
        self.step, self.phase, self.marker = step, phase, Path(marker)

    def _due(self, trainer: pl.Trainer, phase: str) -> bool:
        if phase != self.phase or trainer.global_step < self.step or self.marker.exists():
            return False
        self.marker.touch()
        return True

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if self._due(trainer, "step"):
            _die()
        if self._due(trainer, "ask"):
            os.kill(os.getpid(), signal.SIGTERM)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_last_batch and self._due(trainer, "validation"):
            _die()

    def on_save_checkpoint(self, trainer: pl.Trainer, *_: Any) -> None:
        if self._due(trainer, "save"):

            def half(checkpoint: Any, file: Any) -> None:
                file.write(b"half a checkpoint")
                file.flush()
                _die()

            torch.save = half  # type: ignore[assignment]  # it never returns
