"""The scores of groups of rows: by cell line, tissue, drug.

Shapes: N rows, G groups.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from combo_lightning.evaluation.scores import Floats, Scores, score


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
