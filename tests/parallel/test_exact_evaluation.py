"""Scores over several processes are those of one: every row once, in its order."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from combo_lightning.evaluation.scores import score
from combo_lightning.parallel.layout import data_parallel_layout, share
from tests.parallel.ranks import Run, assert_scores_equal, fit, run_on_ranks, validate

pytestmark = pytest.mark.slow

ROWS, BATCH = 1003, 50


def _rows() -> torch.Tensor:
    """Draw predictions with ties, responses and weights, ``[1003, 3]``."""
    draw = np.random.default_rng(3)
    response = draw.normal(40, 60, ROWS)
    prediction = np.round(0.5 * response + draw.normal(0, 30, ROWS))
    weight = draw.integers(0, 4, ROWS) / 2
    return torch.from_numpy(np.stack([prediction, response, weight], axis=1))


def _merged() -> torch.Tensor:
    """Merge what this process holds of each batch, through gloo."""
    dist.init_process_group("gloo")
    layout = data_parallel_layout()
    batches = _rows().split(BATCH)
    totals = [len(batch) for batch in batches]
    mine = torch.cat([batch[slice(*share(len(batch), layout.data_rank, 4))] for batch in batches])
    return torch.stack([layout.merge(column, totals) for column in mine.T], dim=1)


def test_given_predictions_score_as_in_one_process(tmp_path: Path) -> None:
    expected = score(*_rows().numpy().T)
    for merged in run_on_ranks(4, tmp_path, _merged):
        assert torch.equal(merged, _rows())
        found = score(*merged.numpy().T)
        assert found.to_plain() == pytest.approx(expected.to_plain(), rel=1e-9)


def test_validation_of_the_same_weights_scores_as_in_one_process(
    small_screen: Path, tmp_path: Path
) -> None:
    fraction = 0.879
    one = Run(
        str(small_screen), "one", 1, 3, str(tmp_path / "one"), save_at=2,
        validation_fraction=fraction,
    )  # fmt: skip
    run_on_ranks(1, tmp_path / "one", fit, one)
    checkpoint = str(tmp_path / "one" / "mid.ckpt")
    expected: dict[str, float] = {}
    for layout, world in {"one": 1, "ddp": 4, "fsdp": 2, "tp": 2, "tp_fsdp": 4}.items():
        run = Run(
            str(small_screen), layout, world, 3, str(tmp_path / layout), resume=checkpoint,
            validation_fraction=fraction,
        )  # fmt: skip
        for scores in run_on_ranks(world, tmp_path / layout, validate, run):
            expected = expected or scores
            assert scores["rows"] % 4
            assert_scores_equal(scores, expected, 1e-6)
