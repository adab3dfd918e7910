"""A callback that writes down which process is in which phase of a fit, for tests that kill it."""

import os
from pathlib import Path
from typing import Any

import lightning.pytorch as pl


class Phases(pl.Callback):
    """Append ``PHASE RANK PID`` to the file that PHASES names, once a phase and process."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def _tell(self, phase: str, trainer: pl.Trainer) -> None:
        if phase not in self._told:
            self._told.add(phase)
            with Path(os.environ["PHASES"]).open("a") as file:
                file.write(f"{phase} {trainer.global_rank} {os.getpid()}\n")

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, index: int) -> None:
        if trainer.global_step == 3:
            self._tell("step", trainer)

    def on_validation_batch_start(self, trainer: Any, *_: Any) -> None:
        self._tell("validation", trainer)

    def on_save_checkpoint(self, trainer: Any, task: Any, checkpoint: Any) -> None:
        if trainer.global_step > 3:
            self._tell("saving", trainer)
