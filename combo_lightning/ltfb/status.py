"""Where a fit stands, for whoever watches: ``status.json``, rewritten as it trains."""

import contextlib
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from combo_lightning.ltfb.population import write_json

STATUS = "status.json"
EVERY_SECONDS = 2.0


class StatusFile:
    """A fit's status; its first process writes it.

    Args:
        folder: The run folder; with trainer groups the group's own.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATUS
        self._written_at = 0.0
        self._last_step = 0
        self._called_at = time.monotonic()
        self._longest_pause = 0.0
        self._facts: dict[str, Any] = {}

    def note(self, **facts: Any) -> None:
        """Keep something to say with the next writing."""
        self._facts |= facts

    def write(self, trainer: pl.Trainer) -> None:
        """Write the status where the last one is old enough; called after each step."""
        now = time.monotonic()
        # Validations, rounds and saves lie between two steps.
        self._longest_pause = max(self._longest_pause, now - self._called_at)
        self._called_at = now
        since = now - self._written_at
        if since < EVERY_SECONDS:
            return
        step = trainer.global_step
        rate = (step - self._last_step) / since if self._written_at else None
        self._written_at, self._last_step = now, step
        limits = [trainer.max_steps] if trainer.max_steps > 0 else []
        if trainer.max_epochs and trainer.max_epochs > 0:
            limits.append(trainer.max_epochs * int(trainer.num_training_batches))
        content = {
            "step": step,
            "max_steps": min(limits, default=None),
            "epoch": trainer.current_epoch,
            "steps_per_second": rate,
            "longest_pause_seconds": self._longest_pause,
            "time": time.time(),
            **self._facts,
        }
        # On a full disk the checkpoints say so; training does not end for want of a status.
        with contextlib.suppress(OSError):
            write_json(self._path, content)
