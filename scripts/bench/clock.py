"""A callback that writes down when training steps and epochs began and ended."""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

FILE = "clock.json"


class Clock(pl.Callback):
    """Write ``clock.json`` into the run folder: seconds since the process's start.

    Hooks:
        on_train_batch_end: Notes the first step.
        on_validation_start, on_train_end: Note the end of the epoch's steps, and of all.
    """

    def __init__(self) -> None:
        self._marks: dict[str, float] = {}

    def _mark(self, name: str) -> None:
        self._marks.setdefault(name, time.clock_gettime(time.CLOCK_BOOTTIME) - _started())

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note it."""
        self._mark("train_start")

    def on_train_batch_end(self, *_: Any) -> None:
        """Note the end of the first step."""
        self._mark("first_step")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the end of the epoch's steps, and the most memory that they took."""
        self._mark("steps_end")
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        high = re.search(r"VmHWM:\s*(\d+)", status)
        assert high is not None
        self._marks.setdefault("steps_peak_mb", int(high[1]) / 1024)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the end, with the steps taken, and write."""
        self._mark("train_end")
        self._marks["steps"] = trainer.global_step
        if trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / FILE
            path.write_text(json.dumps(self._marks), encoding="utf-8")


def _started() -> float:
    """Seconds from the machine's start to this process's."""
    words = Path("/proc/self/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return int(words[19]) / os.sysconf("SC_CLK_TCK")
