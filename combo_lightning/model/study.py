"""What the study of a row adds to the join.

Shapes: B rows, S studies, W width of a study's vector, H width of the join.
"""

import torch
from torch import Tensor, nn

from combo_lightning.model.layers import MASK_LEVELS, Drawing, Rows
from combo_lightning.model.products import Linear


class StudyTerm(Drawing):
    """z + W e_s: a learned vector a study, zero for a study that is unknown.

    While training, a row's study is dropped at random (the row counts as of an unknown one), so
    that the zero vector stands for the studies' common ground. All vectors begin at zero, and
    those that no training row points to stay there.

    Args:
        num_studies: S.
        rank: W.
        width: H.
        dropout: Probability that a row's study is dropped, in [0, 1).
    """

    def __init__(self, num_studies: int, rank: int, width: int, dropout: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_studies, rank))
        self.projection = Linear(rank, width, bias=False)
        self.dropout = dropout

    def forward(self, study_B: Tensor, rows: Rows | None = None) -> Tensor:
        """Give what is added, ``[B, H]``.

        Args:
            study_B: Study of each row, int64; -1: unknown.
            rows: Where the rows stand among those that masks are drawn for; None: they are all.
        """
        known_B = study_B >= 0
        dropped = min(round(self.dropout * MASK_LEVELS), MASK_LEVELS - 1)
        if self.training and dropped:
            bits_B = self.draw(len(study_B), 1, rows, study_B.device).squeeze(1)
            known_B = known_B & (bits_B >= dropped - MASK_LEVELS // 2)
        vector_BW = self.weight.index_select(0, study_B.clamp(min=0)) * known_B.unsqueeze(1)
        added: Tensor = self.projection(vector_BW)
        return added
