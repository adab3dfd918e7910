"""Synergy scores of dose matrices: inhibition in excess of what two drugs should do together.

Four answers to what they should do: Bliss (independent), HSA (the better of the two), Loewe (as if
each were a dilution of the other) and ZIP (neither changes the other's potency). Every score is
the mean excess over the wells that hold both drugs, in percentage points of inhibition, and
positive is synergy.

Shapes: N matrices of one size, A and B doses of the two drugs, of which the first is 0.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from combo_lightning.data.hill import INHIBITION, HillBounds, HillFits, fit_hill_padded

Floats = npt.NDArray[np.float64]
SynergyScore = Literal["bliss", "hsa", "loewe", "zip"]

# ZIP's curves rise to 100 whatever the drug: a weak one has its ec50 far beyond its doses.
_TO_THE_END = HillBounds(start=(0.0, 0.0), end=(100.0, 100.0), beyond=4.0)
_BISECTIONS = 60


@dataclass(frozen=True)
class DoseMatrices:
    """Dose matrices of one size.

    Args:
        log10_molar_1: Doses of the first drug, rising, the first -inf, ``[N, A]``.
        log10_molar_2: Doses of the second drug, likewise, ``[N, B]``.
        inhibition: Percent inhibition, ``[N, A, B]``; NaN: no well. The first row and the first
            column are the drugs alone.
    """

    log10_molar_1: Floats
    log10_molar_2: Floats
    inhibition: Floats

    def __post_init__(self) -> None:
        size = (*self.log10_molar_1.shape, self.log10_molar_2.shape[1])
        if self.inhibition.shape != size or len(self.log10_molar_2) != size[0]:
            raise ValueError(f"inhibition has shape {self.inhibition.shape}, doses {size}")
        for doses in (self.log10_molar_1, self.log10_molar_2):
            if not np.isneginf(doses[:, 0]).all() or not (np.diff(doses[:, 1:]) > 0).all():
                raise ValueError("the doses must begin with none (-inf) and rise")


def synergy_scores(matrices: DoseMatrices, score: SynergyScore) -> Floats:
    """Score dose matrices.

    Args:
        matrices: The matrices.
        score: Which score.

    Returns:
        Mean excess over the wells that hold both drugs, ``[N]``; NaN where there is no such well
        with both single drugs beside it, or (Loewe, ZIP) too few doses for a curve.
    """
    excess = synergy_excess(matrices, score)
    there = np.isfinite(excess)
    total = np.where(there, excess, 0.0).sum(axis=(1, 2))
    count = there.sum(axis=(1, 2))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def synergy_excess(matrices: DoseMatrices, score: SynergyScore) -> Floats:
    """Give each well's inhibition beyond the expected one, ``[N, A - 1, B - 1]``.

    For ZIP it is not the measured but the fitted inhibition, by definition.
    """
    first, second = _alone(matrices)
    measured = matrices.inhibition[:, 1:, 1:]
    if score == "bliss":
        return np.asarray(measured - _bliss(first, second))
    if score == "hsa":
        return np.asarray(measured - np.maximum(first, second))
    if score == "loewe":
        return np.asarray(measured - expected_loewe(matrices))
    return _zip(matrices)


def _alone(matrices: DoseMatrices) -> tuple[Floats, Floats]:
    """Give the inhibition under each drug alone, ``[N, A - 1, 1]`` and ``[N, 1, B - 1]``."""
    return matrices.inhibition[:, 1:, :1], matrices.inhibition[:, :1, 1:]


def _bliss(first: Floats, second: Floats) -> Floats:
    return np.asarray(first + second - first * second / 100)


def expected_loewe(matrices: DoseMatrices) -> Floats:
    """Give the inhibition by which d1 / D1(y) + d2 / D2(y) = 1, ``[N, A - 1, B - 1]``.

    D(y) is the dose of a drug alone that inhibits by y, from a Hill curve that starts at 0. Where
    y is more than a drug ever reaches, its D is infinite and only the other counts: so the
    solution is always there, and single.

    Source:
        Loewe 1953; Berenbaum 1989. Where one drug never inhibits so much, it is the stronger
        drug's curve, as in the ``synergy`` package's "delta_HSA"; SynergyFinder takes the larger
        of both curves at the sum of the doses there.
    """
    first, second = _alone(matrices)
    fits = (
        fit_hill_padded(matrices.log10_molar_1[:, 1:], first[:, :, 0], INHIBITION),
        fit_hill_padded(matrices.log10_molar_2[:, 1:], second[:, 0, :], INHIBITION),
    )
    dose_1 = matrices.log10_molar_1[:, 1:, None]
    dose_2 = matrices.log10_molar_2[:, None, 1:]
    shape = np.broadcast_shapes(dose_1.shape, dose_2.shape)
    low, high = np.zeros(shape), np.full(shape, 100.0)
    for _ in range(_BISECTIONS):
        y = (low + high) / 2
        share = _dose_share(fits[0], dose_1, y) + _dose_share(fits[1], dose_2, y)
        more = share > 1
        low, high = np.where(more, y, low), np.where(more, high, y)
    known = np.isfinite(fits[0].end + fits[1].end)[:, None, None]
    return np.where(known, (low + high) / 2, np.nan)


def _dose_share(fits: HillFits, log10_molar: Floats, y: Floats) -> Floats:
    """Give d / D(y): 0 where the drug alone never inhibits by y."""
    end, ec50, slope = (v[:, None, None] for v in (fits.end, fits.log10_ec50, fits.slope))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        needed = ec50 + np.log10(y / (end - y)) / slope
        return np.where(y < end, 10.0 ** (log10_molar - needed), 0.0)


def _zip(matrices: DoseMatrices) -> Floats:
    """Give ZIP's delta, ``[N, A - 1, B - 1]``.

    The drugs alone follow Hill curves from 0 to 100. With the second drug at a fixed dose the
    first's curve starts at what the second does alone, and the other way round; the mean of both
    fits, capped at 100, is compared with the curves of drugs whose potency does not change.

    Source:
        Yadav et al. 2015, doi:10.1016/j.csbj.2015.09.001; their summary is the mean without the
        single drugs.
    """
    first, second = _alone(matrices)
    dose_1, dose_2 = matrices.log10_molar_1[:, 1:], matrices.log10_molar_2[:, 1:]
    alone_1 = fit_hill_padded(dose_1, first[:, :, 0], _TO_THE_END).predict(dose_1)
    alone_2 = fit_hill_padded(dose_2, second[:, 0, :], _TO_THE_END).predict(dose_2)
    both = matrices.inhibition[:, 1:, 1:]
    along_1 = _slices(dose_1, both.transpose(0, 2, 1), alone_2).transpose(0, 2, 1)
    along_2 = _slices(dose_2, both, alone_1)
    fitted = np.minimum((along_1 + along_2) / 2, 100)
    delta = fitted - _bliss(alone_1[:, :, None], alone_2[:, None, :])
    return np.where(np.isfinite(both), delta, np.nan)


def _slices(doses: Floats, inhibition: Floats, start: Floats) -> Floats:
    """Fit a drug's curve at each fixed dose of the other, ``[N, other, doses]``."""
    count, others, size = inhibition.shape
    x = np.repeat(doses, others, axis=0)
    fits = fit_hill_padded(
        x, inhibition.reshape(-1, size), _TO_THE_END, start=start.reshape(count * others)
    )
    return fits.predict(x).reshape(count, others, size)
