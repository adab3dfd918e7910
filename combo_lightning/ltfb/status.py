"""Where a group stands, for whoever watches: ``group_K/status.json``, rewritten as it trains."""

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from combo_lightning.ltfb.population import write_json

STATUS = "status.json"
EVERY_SECONDS = 2.0


class StatusFile:
    """A group's status; its first process writes it.

    Args:
        folder: The group's run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATUS
        self._written_at = 0.0
        self._last_step = 0
        self._facts: dict[str, Any] = {}

    def note(self, **facts: Any) -> None:
        """Keep something to say with the next writing."""
        self._facts |= facts

    def write(self, trainer: pl.Trainer) -> None:
        """Write the status where the last one is old enough."""
        now = time.monotonic()
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
            "time": time.time(),
            **self._facts,
        }
        write_json(self._path, content)
