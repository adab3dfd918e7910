"""A test never stands alone: its figures appear beside the naive baselines'."""

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch

from combo_lightning.data.datamodule import ComboDataModule
from combo_lightning.runs.folder import write_aside
from combo_lightning.task import ComboTask

if TYPE_CHECKING:
    from combo_lightning.evaluation.comparison import Comparison

logger = logging.getLogger(__name__)

SCORES = "scores.json"


class TestComparison(pl.Callback):
    """After `test`: fit the baselines, print the table, write ``test/`` in the run folder.

    ``scores.json`` (all figures; by line, tissue and drug), ``predictions.parquet`` and
    ``predicted_vs_measured.png``.

    Hooks:
        on_test_end: All of it, on rank 0.
    """

    __test__ = False  # not a test of pytest's

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare, print and write."""
        # Imported here: a fit needs none of it, and it would take 80 MB of the fit's memory.
        from combo_lightning.evaluation.comparison import compare, rows_frame
        from combo_lightning.report.figures import hexbin

        if not trainer.is_global_zero or not isinstance(pl_module, ComboTask):
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ComboDataModule)
        predictions, members = (
            {name: torch.cat(parts).numpy() for name, parts in kept.items()}
            for kept in (pl_module.test_predictions, pl_module.member_predictions)
        )
        comparison = compare(data.dataset, data.split, predictions, members)
        show_comparison(comparison)
        folder = Path(trainer.default_root_dir) / "test"
        folder.mkdir(parents=True, exist_ok=True)
        write_aside(folder / SCORES, json.dumps(comparison.to_plain(), indent=2) + "\n")
        frame = rows_frame(data.dataset, data.split.test_rows, predictions, members)
        aside = folder / ".predictions.parquet.partial"
        frame.to_parquet(aside, index=False)
        os.replace(aside, folder / "predictions.parquet")
        picture = folder / "predicted_vs_measured.png"
        weight_N = data.dataset.responses.weight_N
        hexbin(
            predictions["model"],
            frame["response"].to_numpy(),
            comparison.unit,
            picture,
            weight_N=None if weight_N is None else weight_N[data.split.test_rows],
        )
        logger.info("wrote %s, predictions.parquet and %s", folder / SCORES, picture.name)


def show_comparison(comparison: "Comparison") -> None:
    """Print the tables and what they mean."""
    from rich.console import Console

    from combo_lightning.report.table import comparison_table, part_tables

    console = Console()
    console.print(comparison_table(comparison))
    for table in part_tables(comparison):
        console.print(table)
    for line in comparison.lines():
        console.print(line, highlight=False)
