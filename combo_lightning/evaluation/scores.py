"""How well predictions fit measurements: one set of scores, weighted, in float64.

Shapes: N rows, G groups.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

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
    # scipy.stats does this too, but takes 0.7 s and 60 MB to import.
    return pd.Series(values).rank().to_numpy(dtype=np.float64)


def _correlation(a: Floats, b: Floats, w: Floats) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan  # a constant; its rounding must not be taken for a signal
    a, b = a - (w * a).sum(), b - (w * b).sum()
    spread = math.sqrt(float((w * a * a).sum())) * math.sqrt(float((w * b * b).sum()))
    return float((w * a * b).sum()) / spread if spread > 0 else math.nan


def scores_by_group(
    prediction_N: Floats,
    response_N: Floats,
    weight_N: Floats | None,
    code_N: npt.NDArray[np.integer[Any]],
    names: Sequence[str],
) -> pd.DataFrame:
    """Score each group of rows on its own.

    Args:
        prediction_N: Predictions.
        response_N: Measurements.
        weight_N: Weights, or None.
        code_N: Group of each row, an index into `names`; -1: of no group.
        names: Names of the groups.

    Returns:
        One row a group that has rows: ``name`` and the scores, the best R2 first.
    """
    order = np.argsort(code_N, kind="stable")
    codes, starts = np.unique(code_N[order], return_index=True)
    rows = []
    for code, members in zip(codes, np.split(order, starts[1:]), strict=True):
        if code >= 0:
            weight = None if weight_N is None else weight_N[members]
            scores = score(prediction_N[members], response_N[members], weight)
            rows.append({"name": names[code], **scores.to_plain()})
    frame = pd.DataFrame(rows, columns=["name", *Scores.__dataclass_fields__])
    return frame.sort_values("r2", ascending=False, ignore_index=True)
