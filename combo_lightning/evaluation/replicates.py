"""What measuring twice says about how well one can predict.

Shapes: N measurements, M pairs of replicates.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.data.dataset import Responses
from combo_lightning.data.identity import Codes, replicate_groups
from combo_lightning.evaluation.scores import score

WHY_NOT_A_CEILING = (
    "Read as pure noise, the replicates' disagreement would cap R2 near the figure above. It does "
    "not bind: the two runs of a pair always stand in opposite order, so they differ by plate "
    "effects, which a model that is told the order predicts."
)


@dataclass(frozen=True)
class ReplicateStatement:
    """What replicates say; every row counts alike, whatever its weight.

    Args:
        pairs: Pairs of rows that measured the same thing, over all parts.
        correlation: Pearson's correlation between the two.
        naive_ceiling_r2: 1 - (half the mean squared difference) / (variance of all responses).
        opposite_order: Share of the pairs whose drugs stand in different order.
        test_rows: Test rows with a replicate.
        other_replicate_pearson: Correlation of their predictions with the other replicate.
        same_replicate_pearson: Correlation of their predictions with the row itself.
    """

    pairs: int
    correlation: float
    naive_ceiling_r2: float
    opposite_order: float
    test_rows: int
    other_replicate_pearson: float
    same_replicate_pearson: float

    def lines(self) -> list[str]:
        """Say it for people."""
        if not self.pairs:
            return ["No combination was measured twice."]
        lines = [
            f"{self.pairs} replicate pairs: correlation {self.correlation:.2f}, naive ceiling of "
            f"R2 {self.naive_ceiling_r2:.2f}.",
        ]
        if np.isfinite(self.other_replicate_pearson):
            lines.append(
                f"Predictions of {self.test_rows} test rows correlate at "
                f"{self.other_replicate_pearson:.2f} with the other replicate, at "
                f"{self.same_replicate_pearson:.2f} with the row itself."
            )
        return lines

    def to_plain(self) -> dict[str, Any]:
        """Give the figures by name."""
        return asdict(self)


def replicate_pairs(responses: Responses) -> tuple[Codes, Codes]:
    """Find rows that measured the same thing: each with the next of its group.

    Returns:
        Two arrays of M rows.
    """
    group_N = replicate_groups(responses)
    order = np.argsort(group_N, kind="stable")
    same = group_N[order][1:] == group_N[order][:-1]
    return order[:-1][same], order[1:][same]


def state_replicates(
    responses: Responses, test_rows: Codes, prediction: npt.NDArray[np.float64]
) -> ReplicateStatement:
    """Say what replicates say.

    Args:
        responses: All measurements.
        test_rows: The test rows.
        prediction: Their predictions, in the response's unit.
    """
    first, second = replicate_pairs(responses)
    y = responses.response_N.astype(np.float64)
    predicted = np.full(len(y), np.nan)
    predicted[test_rows] = prediction
    rows = np.concatenate([first, second])
    others = np.concatenate([second, first])
    tested = np.isfinite(predicted[rows])
    rows, others = rows[tested], others[tested]
    noise = 0.5 * float(np.mean((y[first] - y[second]) ** 2)) if len(first) else np.nan
    variance = float(y.var())
    moved = (responses.drug_NK[first] != responses.drug_NK[second]).any(axis=1)
    return ReplicateStatement(
        pairs=len(first),
        correlation=score(y[first], y[second]).pearson if len(first) else np.nan,
        naive_ceiling_r2=1 - noise / variance if variance > 0 else np.nan,
        opposite_order=float(moved.mean()) if len(first) else np.nan,
        test_rows=len(np.unique(rows)),
        other_replicate_pearson=score(predicted[rows], y[others]).pearson if len(rows) else np.nan,
        same_replicate_pearson=score(predicted[rows], y[rows]).pearson if len(rows) else np.nan,
    )
