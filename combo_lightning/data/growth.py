"""The growth formulas of the NCI-60 screens and the ALMANAC's modified Bliss.

Percent growth: 100 is growth as without drug, 0 none, -100 all cells dead.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def percent_growth(treated: Floats, control: Floats, time_zero: Floats) -> Floats:
    """Compute percent growth from optical densities.

    Args:
        treated: T, with drug at the end.
        control: C, without drug at the end.
        time_zero: Tz, at the start.

    Returns:
        100 (T - Tz) / (C - Tz) where T >= Tz, else 100 (T - Tz) / Tz.

    Source:
        NCI DTP, NCI-60 screening methodology.
    """
    gain = treated - time_zero
    return np.asarray(100 * gain / np.where(gain >= 0, control - time_zero, time_zero))


def expected_growth(growth_NK: Floats) -> Floats:
    """Compute the growth expected of drugs that do not interact: modified Bliss.

    With growth fractions y truncated at 1: the least where it is 0 or less, else their product.

    Args:
        growth_NK: Percent growth under each drug alone, ``[N, K]``.

    Returns:
        Expected percent growth, ``[N]``.

    Source:
        Holbeck et al. 2017, doi:10.1158/0008-5472.CAN-17-0489.
    """
    y = np.minimum(growth_NK / 100, 1)
    least = y.min(axis=1)
    return np.asarray(100 * np.where(least <= 0, least, y.prod(axis=1)))


def score(expected: Floats, measured: Floats) -> Floats:
    """Score one well: expected minus measured growth, rounded half away from zero.

    Positive is synergy. The sum over a block's nine doses is its ComboScore.

    Args:
        expected: Expected percent growth, with the file's three decimals.
        measured: Measured percent growth, likewise.

    Source:
        SCORE of ComboDrugGrowth; exact in all 1,368 wells of the sample.
    """
    # The file's numbers have three decimals; without this 0.5 comes out as 0.49999999.
    difference = np.rint((expected - measured) * 1000) / 1000
    return np.asarray(np.sign(difference) * np.floor(np.abs(difference) + 0.5))
