import numpy as np
import pytest
import torch
from torch import Tensor

from combo_lightning.evaluation.metric import ResponseScores
from combo_lightning.evaluation.scores import score


def drawn(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    p, y, w = (torch.randn(rows, generator=generator) for _ in range(3))
    return p, y, w.abs()


def test_batches_give_the_scores_of_the_whole_set() -> None:
    p, y, w = drawn(101)
    metric = ResponseScores()
    for rows in torch.split(torch.arange(101), 16):
        metric.update(p[rows], y[rows], w[rows])
    expected = score(p.numpy(), y.numpy(), w.numpy()).to_plain()
    del expected["rows"]
    assert metric.compute() == pytest.approx(expected, abs=0)


def test_no_weights_are_weights_of_one() -> None:
    p, y, _ = drawn(20)
    metric = ResponseScores()
    metric.update(p, y, None)
    assert metric.compute()["pearson"] == pytest.approx(np.corrcoef(p, y)[0, 1], abs=1e-6)


def test_reset_forgets_what_was_collected() -> None:
    p, y, _ = drawn(20)
    metric = ResponseScores()
    metric.update(p + 100, y, None)
    metric.reset()
    metric.update(y, y, None)
    assert metric.compute()["mse"] == 0


def test_bfloat16_predictions_are_scored_in_float64() -> None:
    p, y, _ = drawn(20)
    metric = ResponseScores()
    metric.update(p.bfloat16(), y, None)
    expected = score(p.bfloat16().double().numpy(), y.numpy()).mse
    assert metric.compute()["mse"] == pytest.approx(expected, rel=1e-12)


def test_collected_predictions_hold_no_graph() -> None:
    p, y, _ = drawn(3)
    metric = ResponseScores()
    metric.update(p.requires_grad_(), y, None)
    assert not metric.prediction[0].requires_grad
