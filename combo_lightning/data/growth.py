"""The growth formulas of the NCI-60 screens and the ALMANAC's modified Bliss.

Percent growth: 100 is growth as without drug, 0 none, -100 all cells dead.
"""

import numpy as np
import numpy.typing as npt

from combo_lightning.errors import InputError

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


def combo_scores(growth_NAB: Floats) -> Floats:
    """Sum the scores of dose matrices' wells: their ComboScores.

    Args:
        growth_NAB: Percent growth, ``[N, A, B]``; the first row and column are the drugs alone.

    Returns:
        ComboScores, ``[N]``; NaN where a well is missing.
    """
    alone = np.broadcast_arrays(growth_NAB[:, 1:, :1], growth_NAB[:, :1, 1:])
    pairs = np.stack([side.reshape(-1) for side in alone], axis=1)
    measured = growth_NAB[:, 1:, 1:]
    expected = np.round(expected_growth(pairs), 3).reshape(measured.shape)
    return np.asarray(score(expected, measured).sum(axis=(1, 2)))


def growth_crossing(
    log10_molar: Floats, growth_percent: Floats, level: float
) -> tuple[float, str]:
    """Find where percent growth falls to a level, as NCI does for GI50, TGI and LC50.

    By a straight line over log10 dose between the two doses around it; repeated doses are
    averaged. Of several crossings the one at the lowest dose counts (own choice: NCI's pages do
    not say).

    Args:
        log10_molar: Doses, finite, in any order.
        growth_percent: Percent growth; NaN is left out.
        level: 50 for GI50, 0 for TGI, -50 for LC50.

    Returns:
        log10 molar, and "inside"; or the highest dose and "above" where growth stays above the
        level, or the lowest dose and "below" where it is at or under it from the start.

    Raises:
        InputError: If there is no finite growth.

    Source:
        NCI DTP, NCI-60 screening methodology.
    """
    there = np.isfinite(growth_percent)
    if not there.any():
        raise InputError("a dose series has no growth; leave it out")
    doses, place = np.unique(log10_molar[there], return_inverse=True)
    growth = np.bincount(place, growth_percent[there]) / np.bincount(place)
    under = np.flatnonzero(growth <= level)
    if not len(under):
        return float(doses[-1]), "above"
    first = int(under[0])
    if first == 0:
        return float(doses[0]), "below"
    fall = (growth[first - 1] - level) / (growth[first - 1] - growth[first])
    return float(doses[first - 1] + fall * (doses[first] - doses[first - 1])), "inside"
