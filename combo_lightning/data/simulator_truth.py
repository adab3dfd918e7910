"""The true function of a simulated screen: Hill curves and a planted interaction.

Shapes: C cell lines, D drugs, N rows, K drug slots, Q effects of a pair.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from combo_lightning.data.growth import expected_growth

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """The true function of cell lines, drugs and doses.

    Args:
        middle_D: Middle dose of each drug, log10 molar.
        log_ic50_DC: Dose of half effect of each drug in each line, log10 molar.
        floor_D: Growth fraction under a saturating dose.
        line_CQ: What turns a pair's effects on: 1, then the line's latent features.
        pair_QDD: Effect of each pair of drugs, for each of these; symmetric.
    """

    middle_D: Floats
    log_ic50_DC: Floats
    floor_D: Floats
    line_CQ: Floats
    pair_QDD: Floats

    @classmethod
    def draw(cls, drug_DQ: Floats, cell_CQ: Floats, draw: np.random.Generator) -> "Truth":
        """Draw the function for given latent features."""
        width, cell_width = drug_DQ.shape[1], cell_CQ.shape[1]
        potency = np.tanh(drug_DQ @ draw.normal(size=width) / np.sqrt(width))
        selective = drug_DQ @ draw.normal(size=(width, cell_width)) / np.sqrt(width)
        middle_D = np.round(-6 + potency, 1)
        shift_DC = selective @ cell_CQ.T / np.sqrt(cell_width)
        weak = np.tanh(drug_DQ @ draw.normal(size=width) / np.sqrt(width))
        return cls(
            middle_D,
            middle_D[:, None] + 0.4 * shift_DC,
            0.1 + 0.4 * weak,
            np.concatenate([np.ones((len(cell_CQ), 1)), cell_CQ], axis=1),
            _draw_pair_effects(drug_DQ, 1 + cell_width, draw),
        )

    def interaction(self, cell_N: Codes, first_N: Codes, second_N: Codes) -> Floats:
        """Give the strength of the synergy of two drugs in a line; equal in either order."""
        total = np.zeros(len(cell_N))
        for pair_DD, line_C in zip(self.pair_QDD, self.line_CQ.T, strict=True):
            total += pair_DD[first_N, second_N] * line_C[cell_N]
        return 0.6 * np.tanh(total)

    def growth(self, cell_N: Codes, drug_NK: Codes, dose_NK: Floats) -> tuple[Floats, Floats]:
        """Give true and expected percent growth.

        Args:
            cell_N: Cell lines.
            drug_NK: Drugs; -1: empty slot.
            dose_NK: log10 molar doses.

        Returns:
            Percent growth, and what modified Bliss expects of drugs that do not interact.
        """
        present = drug_NK >= 0
        log_ic50 = self.log_ic50_DC[drug_NK, cell_N[:, None]]
        bound = np.where(present, 1 / (1 + 10.0 ** np.clip(log_ic50 - dose_NK, -8, 8)), 0)
        alone = 100 * (1 - (1 - self.floor_D[drug_NK]) * bound)
        expected = expected_growth(alone)
        synergy = np.zeros(len(cell_N))
        for k, m in combinations(range(drug_NK.shape[1]), 2):
            strength = self.interaction(cell_N, drug_NK[:, k], drug_NK[:, m])
            synergy += 100 * strength * bound[:, k] * bound[:, m]
        return expected - synergy, expected


def _draw_pair_effects(drug_DQ: Floats, count: int, draw: np.random.Generator) -> Floats:
    """Draw symmetric effects of pairs of drugs, smooth in the drugs' features.

    The first holds in every line: what drugs bring along, and what the pair does together. It is
    what identities can tell. The others hold in the light of a line's features only: the three-way
    part, more than half of the variance, which takes a model of features.
    """
    upper = np.triu_indices(len(drug_DQ), 1)
    effects = []
    for q in range(count):
        a, b = draw.normal(size=(2, drug_DQ.shape[1]))
        own = np.tanh(drug_DQ @ a)
        pair_DD = np.outer(own, own)
        if not q:
            alone = np.tanh(drug_DQ @ b)
            pair_DD = pair_DD / pair_DD[upper].std() + 0.7 * (alone[:, None] + alone[None, :])
        pair_DD = pair_DD - pair_DD[upper].mean()
        share = 0.4 if not q else 0.6 / (count - 1)
        effects.append(pair_DD / pair_DD[upper].std() * np.sqrt(share))
    return np.stack(effects)
