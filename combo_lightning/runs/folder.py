"""The run folder: what a fit leaves behind.

``config.yaml`` (all options, for ``test`` and ``fit --resume``), ``run.json`` (what ran, on what,
with which outcome), ``split.parquet``, ``metrics.csv``, ``checkpoints/best.ckpt`` and
``last.ckpt``, and ``test/`` once it was tested.
"""

import contextlib
import json
import logging
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from combo_lightning import __version__
from combo_lightning.data.datamodule import ComboDataModule
from combo_lightning.data.splits import write_split
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

CONFIG = "config.yaml"
RECORD = "run.json"
SPLIT = "split.parquet"


def new_run_dir(data_path: Path, parent: Path = Path("runs")) -> Path:
    """Name a run folder that does not exist: ``runs/DATA-YYYYMMDD-HHMMSS``."""
    stem = f"{data_path.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    candidate, number = parent / stem, 1
    while candidate.exists():
        number += 1
        candidate = parent / f"{stem}-{number}"
    return candidate


def write_aside(path: Path, text: str) -> None:
    """Write a text file aside and rename it, so that it is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    try:
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def read_record(run_dir: Path) -> dict[str, Any]:
    """Read ``run.json``.

    Raises:
        InputError: If the folder is no run folder.
    """
    file = run_dir / RECORD
    if not file.is_file() or not (run_dir / CONFIG).is_file():
        raise InputError(
            f"{run_dir} is no run folder ({RECORD} or {CONFIG} is missing); name one that fit made"
        )
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return record


class RunRecord(pl.Callback):
    """Keep ``config.yaml``, ``run.json`` and ``split.parquet``.

    The folder is made when data and network stand: what they refuse leaves no trace.

    Hooks:
        on_fit_start, on_train_start, on_fit_end, on_exception: Write the record, on rank 0.

    Args:
        command: The words of the command that runs.
        config: The text of ``config.yaml``.
    """

    def __init__(self, command: list[str], config: str) -> None:
        self._command = command
        self._config = config
        self._record: dict[str, Any] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write down what starts, and keep what earlier starts of the same run wrote."""
        if not trainer.is_global_zero:
            return
        run_dir = Path(trainer.default_root_dir)
        logger.info("run folder: %s", run_dir)
        write_aside(run_dir / CONFIG, self._config)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ComboDataModule)
        if (run_dir / RECORD).is_file():
            self._record = json.loads((run_dir / RECORD).read_text(encoding="utf-8"))
        self._record |= {
            "status": "running",
            "command": self._command,
            "versions": {
                "combo_lightning": __version__,
                "torch": torch.__version__,
                "lightning": version("lightning"),
                "python": platform.python_version(),
            },
            "host": platform.node(),
            "seed": data.seed,
            "data": {"path": str(data.path), "fingerprint": data.catalog.data_fingerprint},
            "rows": {
                "train": len(data.split.train_rows),
                "tournament": len(data.split.tournament_rows),
                "validation": len(data.split.validation_rows),
                "test": len(data.split.test_rows),
            },
            "parameters": sum(p.numel() for p in pl_module.parameters()),
        }
        if data.trainer_group[1] > 1:
            index, count = data.trainer_group
            self._record["trainer_group"] = {
                "index": index,
                "count": count,
                "rows": {
                    "train": len(data.trainer_group_rows.train_rows),
                    "tournament": len(data.trainer_group_rows.tournament_rows),
                },
            }
        self._record.setdefault("starts", []).append({"at": _now(), "step": 0})
        write_split(data.split, data.dataset, run_dir / SPLIT)
        self._write(run_dir)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write down from which step the run goes on: only now has the checkpoint been read."""
        if self._record and trainer.global_step:
            self._record["starts"][-1]["step"] = trainer.global_step
            self._write(Path(trainer.default_root_dir))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write down the outcome."""
        best = getattr(trainer.checkpoint_callback, "best_model_score", None)
        self._finish(trainer, "finished", None if best is None else float(best))

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Write down that the run broke off, and on what."""
        if self._record:
            self._record["exception"] = f"{type(exception).__name__}: {exception}"
            # On a full disk what has happened must still be told, by the one who catches it.
            with contextlib.suppress(OSError):
                self._finish(trainer, "interrupted", None)

    def _finish(self, trainer: pl.Trainer, status: str, best: float | None) -> None:
        if trainer.is_global_zero:
            self._record |= {
                "status": status,
                "ended": _now(),
                "epochs": trainer.current_epoch,
                "steps": trainer.global_step,
                "best_score": best,
            }
            self._write(Path(trainer.default_root_dir))

    def _write(self, run_dir: Path) -> None:
        write_aside(run_dir / RECORD, json.dumps(self._record, indent=2) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
