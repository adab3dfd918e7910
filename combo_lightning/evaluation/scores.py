"""How well predictions fit measurements: one set of scores, weighted, in float64.

Shapes: N rows.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Scores:
    """Scores over a set of rows; NaN where one is not defined.

    Args:
        rows: Number of rows with a weight above 0; others count nowhere.
        mse: Mean squared error, in the response's unit squared.
        rmse: Its root, in the response's unit.
        mae: Mean absolute error, in the response's unit.
        r2: 1 - (squared error) / (squared deviation from the rows' own mean).
        pearson: Pearson's correlation.
        spearman: Weighted Pearson's correlation of the ranks. The ranks themselves are not
            weighted; ties get their mean rank.
    """

    rows: int
    mse: float
    rmse: float
    mae: float
    r2: float
    pearson: float
    spearman: float

    def to_plain(self) -> dict[str, float]:
        """Give the scores by name."""
        return asdict(self)


def score(prediction_N: Floats, response_N: Floats, weight_N: Floats | None = None) -> Scores:
    """Score predictions; every mean is weighted, moments are taken about the means.

    Args:
        prediction_N: Predictions.
        response_N: Measurements, in the same unit.
        weight_N: Weights, at least 0; None: all 1.

    Returns:
        The scores. R2 is NaN where the response is constant, correlations where either side is;
        all are NaN without rows. A prediction that is not finite gives NaN or infinity, and no
        warning.
    """
    p = np.asarray(prediction_N, dtype=np.float64)
    y = np.asarray(response_N, dtype=np.float64)
    w = np.ones_like(y) if weight_N is None else np.asarray(weight_N, dtype=np.float64)
    counted = w > 0
    if not counted.all():
        p, y, w = p[counted], y[counted], w[counted]  # weight 0 must not shift ranks either
    if not len(y):
        return Scores(0, *[math.nan] * 6)
    w = w / w.sum()
    with np.errstate(all="ignore"):
        error = p - y
        mse = float((w * error**2).sum())
        variance = float((w * (y - (w * y).sum()) ** 2).sum())
        return Scores(
            rows=len(y),
            mse=mse,
            rmse=math.sqrt(mse),
            mae=float((w * np.abs(error)).sum()),
            r2=1 - mse / variance if np.ptp(y) > 0 and variance > 0 else math.nan,
            pearson=_correlation(p, y, w),
            spearman=_correlation(_ranks(p), _ranks(y), w),
        )


def _ranks(values: Floats) -> Floats:
    """Rank from 1, ties by their mean rank; NaN stays NaN.

    Written here because a fit scores its validations, and importing pandas (0.3 s, 40 MB) or
    scipy.stats (0.7 s, 60 MB) for it would make each of them heavier.
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2
    ranks: Floats = np.where(np.isnan(values), np.nan, mean_rank[place])
    return ranks


def _correlation(a: Floats, b: Floats, w: Floats) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan  # a constant; its rounding must not be taken for a signal
    a, b = a - (w * a).sum(), b - (w * b).sum()
    spread = math.sqrt(float((w * a * a).sum())) * math.sqrt(float((w * b * b).sum()))
    return float((w * a * b).sum()) / spread if spread > 0 else math.nan
