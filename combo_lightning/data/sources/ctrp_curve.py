"""The curves that CTRP v2 fits to viability: their value, their area, where they cross a half.

viability(x) = b + h / (1 + exp(-(x - a) / s)), with x = log2 of micromolar, a = ``p1_center``,
s = ``p2_slope`` (below 0 where the drug kills), h = ``p3_total_decline``, b = ``p4_baseline``.
Source: sig3upper.m of the authors' reference code (remontoire-pac/ctrp-reference): h = 1 - b.

Shapes: N curves.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# log2(uM) to log10(M).
_LOG10_2 = np.log10(2)


@dataclass(frozen=True)
class Curves:
    """Fitted curves.

    Args:
        center_N: a, in log2 of micromolar.
        slope_N: s, in log2 units.
        decline_N: h, as a fraction.
        baseline_N: b, as a fraction.
    """

    center_N: Floats
    slope_N: Floats
    decline_N: Floats
    baseline_N: Floats

    def viability(self, log2_N: Floats) -> Floats:
        """Give the viability at a concentration, as a fraction."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            fall_N = 1 / (1 + np.exp(-(log2_N - self.center_N) / self.slope_N))
            return np.asarray(self.baseline_N + self.decline_N * fall_N)

    def area(self, low_N: Floats, high_N: Floats) -> Floats:
        """Integrate the viability over log2 of the concentration."""

        def below(log2_N: Floats) -> Floats:
            rise_N = np.logaddexp(0, (log2_N - self.center_N) / self.slope_N)
            return np.asarray(self.baseline_N * log2_N + self.decline_N * self.slope_N * rise_N)

        with np.errstate(divide="ignore", invalid="ignore"):
            return below(high_N) - below(low_N)

    def half(self) -> Floats:
        """Give log2 of the micromolar at which the viability is a half; NaN: it never is."""
        with np.errstate(divide="ignore", invalid="ignore"):
            fall_N = (0.5 - self.baseline_N) / self.decline_N
            crosses_N = (fall_N > 0) & (fall_N < 1)
            odds_N = np.log(np.where(crosses_N, fall_N / (1 - fall_N), np.nan))
            return np.asarray(self.center_N + self.slope_N * odds_N)


def log10_molar(log2_micromolar: Floats) -> Floats:
    """Convert log2(uM) to log10(M)."""
    return np.asarray(log2_micromolar * _LOG10_2 - 6)
