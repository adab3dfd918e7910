"""Where a fit of one model stands, for whoever watches."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from combo_lightning.ltfb.status import StatusFile


class RunStatus(pl.Callback):
    """Keep ``status.json`` in the run folder; trainer groups write their own.

    Hooks:
        on_train_start, on_train_batch_end: Write it where the last is old enough, on rank 0.
    """

    def __init__(self) -> None:
        self._file: StatusFile | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say that training begins."""
        if trainer.is_global_zero:
            self._file = StatusFile(Path(trainer.default_root_dir))
            self._file.write(trainer)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Say where it stands."""
        if self._file is not None:
            self._file.write(trainer)
