"""The scores as a torchmetrics metric: collected batch by batch, computed once over all rows."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from combo_lightning.evaluation.scores import score

# What `ResponseScores` computes, in the order of `Scores`.
SCORE_NAMES = ("mse", "rmse", "mae", "r2", "pearson", "spearman")


class ResponseScores(Metric):
    """MSE, RMSE, MAE, R2, Pearson and Spearman over a whole set of rows.

    A batch only appends tensors; nothing is computed or moved until the end. See
    `evaluation.scores.score` for the formulas. Where processes share the rows, `merge` brings all
    of them together, in float64 and in their order, before anything is computed: the scores are
    those of one process.

    Args:
        options: Those of `torchmetrics.Metric`.

    Example:
        >>> scores = ResponseScores()
        >>> scores.update(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]), None)
        >>> scores.compute()["mse"]
        2.0
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = None

    prediction: list[Tensor]
    response: list[Tensor]
    weight: list[Tensor]

    def __init__(self, **options: Any) -> None:
        # torchmetrics would merge over the whole world, tensor-parallel processes included.
        super().__init__(sync_on_compute=False, **options)
        self.merge: Callable[[Tensor], Tensor] = _alone
        for name in ("prediction", "response", "weight"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, prediction_B: Tensor, response_B: Tensor, weight_B: Tensor | None) -> None:
        """Collect a batch.

        Args:
            prediction_B: Predictions, in the response's unit.
            response_B: Measurements.
            weight_B: Weights; None: all 1.
        """
        self.prediction.append(prediction_B.detach())
        self.response.append(response_B.detach())
        self.weight.append(torch.ones_like(response_B) if weight_B is None else weight_B)

    def compute(self) -> dict[str, float]:
        """Compute ``mse``, ``rmse``, ``mae``, ``r2``, ``pearson`` and ``spearman``."""
        prediction, response, weight = (
            self.merge(dim_zero_cat(state).double()).cpu().numpy()
            for state in (self.prediction, self.response, self.weight)
        )
        scores = score(prediction, response, weight).to_plain()
        return {name: scores[name] for name in SCORE_NAMES}


def _alone(values: Tensor) -> Tensor:
    return values
