"""Callbacks of fits that tests kill: which process is in which phase, and a save that is held."""

import os
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl


def tell(phase: str, rank: int) -> None:
    """Append a line to the file that PHASES names."""
    with Path(os.environ["PHASES"]).open("a") as file:
        file.write(f"{phase} {rank} {os.getpid()}\n")


class Phases(pl.Callback):
    """Append ``PHASE RANK PID`` to the file that PHASES names, once a phase and process."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def _tell(self, phase: str, trainer: pl.Trainer) -> None:
        if phase not in self._told:
            self._told.add(phase)
            tell(phase, trainer.global_rank)

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, index: int) -> None:
        if trainer.global_step == 3:
            self._tell("step", trainer)

    def on_validation_batch_start(self, trainer: Any, *_: Any) -> None:
        self._tell("validation", trainer)

    def on_save_checkpoint(self, trainer: Any, task: Any, checkpoint: Any) -> None:
        if trainer.global_step > 3:
            self._tell("saving", trainer)


class Hold(pl.Callback):
    """Hold the process that publishes ``last.ckpt``, beside its rename, until it is killed.

    HOLD names the moment and which publication of the run: ``written 2`` is before the second
    rename, with the new file whole and beside its shards; ``renamed 2`` is after it, with the
    old shards still there. The rename itself is the real one.
    """

    def on_train_start(self, trainer: pl.Trainer, task: Any) -> None:
        moment, number = os.environ.get("HOLD", "never 0").split()
        rename, published = os.replace, 0

        def held(source: Any, target: Any) -> None:
            nonlocal published
            published += Path(target).name == "last.ckpt"
            here = Path(target).name == "last.ckpt" and published == int(number)
            if here and moment == "written":
                wait()
            rename(source, target)
            if here and moment == "renamed":
                wait()

        def wait() -> None:
            tell("held", trainer.global_rank)
            time.sleep(600)

        # Without directory descriptors, which nobody gives.
        os.replace = held  # type: ignore[assignment]
