"""No information crosses from tournament, validation or test rows into training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.datamodule import ComboDataModule
from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.monotone import Harmonize
from combo_lightning.data.splits import Split, SplitConfig
from combo_lightning.data.transforms import TransformConfig
from combo_lightning.model import EncoderConfig, HeadConfig, NetworkConfig
from combo_lightning.optimizer import OptimizerConfig
from combo_lightning.task import ComboTask


def train(
    dataset: ScreenDataset,
    split: SplitConfig,
    monkeypatch: pytest.MonkeyPatch,
    harmonize: Harmonize,
) -> Any:
    """Fit two epochs and give the fitted transforms and the final weights."""
    monkeypatch.setattr("combo_lightning.data.datamodule.read_dataset", lambda _: dataset)
    encoder = EncoderConfig(widths=[16, 8], dropout=0.1, id_embedding=4, normalization="output")
    task = ComboTask(
        network=NetworkConfig(
            cell_encoder=encoder,
            drug_encoder=encoder,
            head=HeadConfig(widths=[16, 8], dropout=0.1),
            join="slots",
            drug_drug_rank=4,
            cell_drug_rank=4,
            table_rank=4,
            study_embedding=0 if harmonize == "none" else 4,
        ),
        optimizer=OptimizerConfig(name="adamw", weight_decay=0.01, table_weight_decay=1.0),
    )
    transform = TransformConfig(
        pca={"microrna": 3}, harmonize=harmonize, harmonize_cells=harmonize
    )
    data = ComboDataModule("memory", split=split, transform=transform, batch_size=128)
    trainer = pl.Trainer(
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        accelerator="cpu",
    )
    trainer.fit(task, data)
    return data.split, task.catalog.to_plain(), task.state_dict(), trainer.callback_metrics


def with_noise(dataset: ScreenDataset, split: Split) -> ScreenDataset:
    """Replace all held-out responses, and the features of entities that only they name."""
    draw = np.random.default_rng(99)
    responses = dataset.responses
    held = np.concatenate([split.tournament_rows, split.validation_rows, split.test_rows])
    response_N = responses.response_N.copy()
    response_N[held] = draw.normal(1000, 500, len(held))
    drugs = responses.drug_NK[split.train_rows]
    changed = []
    for entities, used in (
        (dataset.cells, np.unique(responses.cell_N[split.train_rows])),
        (dataset.drugs, np.unique(drugs[drugs >= 0])),
    ):
        others = np.setdiff1d(np.arange(len(entities)), used)
        blocks = {}
        for name, block in entities.blocks.items():
            values = block.values_EF.copy()
            values[others] = draw.normal(50, 20, values[others].shape)
            blocks[name] = FeatureBlock(
                name, block.feature_names, block.unit, values, block.recipe
            )
        changed.append(replace(entities, blocks=blocks))
    return replace(
        dataset,
        cells=changed[0],
        drugs=changed[1],
        responses=replace(responses, response_N=response_N),
    )


@pytest.mark.parametrize(
    ("kind", "harmonize"),
    [
        *((kind, "none") for kind in ("random", "leave_pair_out", "leave_cell_line_out",
                                      "leave_drug_out", "leave_tissue_out")),
        ("random", "quantile"),
        ("leave_study_out", "mean_variance"),
        ("leave_study_out", "quantile"),
    ],
)  # fmt: skip
def test_noise_in_held_out_rows_leaves_training_bit_identical(
    small_screen: Path,
    merged_studies: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Any,
    harmonize: Any,
) -> None:
    dataset = read_dataset(small_screen if harmonize == "none" else merged_studies)
    config = SplitConfig(
        kind=kind, test_fraction=0.25, validation_fraction=0.2, tournament_fraction=0.1
    )
    split, fitted, weights, scores = train(dataset, config, monkeypatch, harmonize)
    noisy = with_noise(dataset, split)
    _, fitted_again, weights_again, scores_again = train(noisy, config, monkeypatch, harmonize)
    # The noise did reach what may see it.
    assert scores_again["val_mse"] > 10 * scores["val_mse"]
    for key, value in weights.items():
        assert torch.equal(value, weights_again[key]), key
    for name in ("response_scale", "dose_scale", "orders", "studies"):
        np.testing.assert_equal(fitted_again[name], fitted[name])
    for kind_ in ("cells", "drugs"):
        np.testing.assert_equal(fitted_again[kind_]["blocks"], fitted[kind_]["blocks"])
        seen = fitted[kind_]["seen"]
        np.testing.assert_array_equal(
            fitted_again[kind_]["features"][seen], fitted[kind_]["features"][seen]
        )
        if kind == "leave_drug_out" and kind_ == "drugs":
            assert not np.array_equal(
                fitted_again[kind_]["features"][~seen], fitted[kind_]["features"][~seen]
            )
