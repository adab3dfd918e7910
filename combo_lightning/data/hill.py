"""Hill curves fitted to dose series, many at once, with their quality.

Response over x = log10 molar: start + (end - start) / (1 + 10 ** (slope * (ec50 - x))), with slope
above 0: `start` is the response without drug, `end` at an infinite dose, `ec50` the dose half way.

Fits are by least squares: a grid over ec50 and slope, where start and end follow linearly, then
Levenberg-Marquardt within bounds, for all series together.

Shapes: S series, P points of the longest series, G grid points.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_SLOPES = (0.1, 8.0)
_GRID_SLOPES = (0.3, 0.7, 1.2, 2.0, 4.0)
_GRID_DOSES = 24
_ITERATIONS = 60
# Series fitted at a time: about 60 MB.
_CHUNK = 4096
_TINY = 1e-12


@dataclass(frozen=True)
class HillBounds:
    """What is known of the curves before they are fitted, in the unit of the responses.

    Args:
        start: Lowest and highest response without drug; equal: it is fixed.
        end: Lowest and highest response at an infinite dose; equal: it is fixed.
        beyond: How far ec50 may lie from the tested doses, in log10. With a free end the data do
            not tell it apart much farther.
    """

    start: tuple[float, float] = (100.0, 100.0)
    end: tuple[float, float] = (0.0, 100.0)
    beyond: float = 1.0


# Viability in percent: three parameters, no effect without drug.
VIABILITY = HillBounds()
# Four parameters: what untreated wells read is fitted too.
VIABILITY_FREE = HillBounds((80.0, 120.0), (0.0, 100.0))
INHIBITION = HillBounds((0.0, 0.0), (0.0, 100.0))


@dataclass(frozen=True)
class HillFits:
    """Fitted curves; what could not be fitted (fewer than 3 doses) is NaN.

    Args:
        start: Response without drug, ``[S]``.
        end: Response at an infinite dose, ``[S]``.
        log10_ec50: Dose half way between them, the relative IC50, ``[S]``.
        slope: Hill slope, ``[S]``.
        r2: Share of the variance explained, ``[S]``; NaN where the responses are all equal.
        rmse: Root of the mean squared residual, in the responses' unit, ``[S]``.
        lowest: Lowest dose tested, log10 molar, ``[S]``.
        highest: Highest dose tested, log10 molar, ``[S]``.
    """

    start: Floats
    end: Floats
    log10_ec50: Floats
    slope: Floats
    r2: Floats
    rmse: Floats
    lowest: Floats
    highest: Floats

    def __len__(self) -> int:
        return len(self.start)

    def predict(self, log10_molar_SP: Floats) -> Floats:
        """Give the curves' responses at doses, ``[S, P]``; -inf is no drug."""
        parameters = (self.start, self.end, self.log10_ec50, self.slope)
        return _hill(log10_molar_SP, *(p[:, None] for p in parameters))

    def predict_one(self, row: int, log10_molar: Floats) -> Floats:
        """Give one curve's responses at doses."""
        curve = (self.start, self.end, self.log10_ec50, self.slope)
        return _hill(log10_molar, *(parameter[row] for parameter in curve))

    def log10_ic50(self, level: float = 50.0) -> Floats:
        """Find the dose at which the curves reach a level: the absolute IC50.

        Unlike the relative one, it is the dose with half the cells left, whatever the drug's
        highest effect; NaN where the curve does not reach the level at any dose.

        Args:
            level: In the responses' unit.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = (level - self.start) / (self.end - level)
            return np.where(odds > 0, self.log10_ec50 + np.log10(odds) / self.slope, np.nan)

    def inside(self, log10_molar: Floats) -> Bools:
        """Tell which doses lie within the tested ones; others are extrapolated."""
        return np.asarray((log10_molar >= self.lowest) & (log10_molar <= self.highest))

    def mean_response(self) -> Floats:
        """Average the curves over the log of the tested doses, exactly.

        Of viability over 100 this is the AUC as GDSC states it: 1 no effect, 0 all dead.
        """

        def integral(x: Floats) -> Floats:
            power = self.slope * (x - self.log10_ec50)
            with np.errstate(invalid="ignore"):
                return np.asarray(np.logaddexp(0, power * np.log(10)) / np.log(10) / self.slope)

        width = self.highest - self.lowest
        rise = (integral(self.highest) - integral(self.lowest)) / width
        return np.asarray(self.start + (self.end - self.start) * rise)


def fit_hill(
    log10_molar: Sequence[Floats],
    responses: Sequence[Floats],
    bounds: HillBounds = VIABILITY,
    start: Floats | None = None,
) -> HillFits:
    """Fit a Hill curve to each dose series.

    A series needs three different doses; with repeated doses all wells count.

    Args:
        log10_molar: Doses of each series, finite, in any order.
        responses: Their responses; NaN is left out.
        bounds: What is known of the curves.
        start: Fixed response without drug of each series, ``[S]``, instead of the bounds'.

    Raises:
        ValueError: If a series has not as many doses as responses, or a dose is not finite.
    """
    size = max((len(x) for x in log10_molar), default=0)
    x_SP = np.full((len(log10_molar), size), np.nan)
    y_SP = np.full_like(x_SP, np.nan)
    for row, (x, y) in enumerate(zip(log10_molar, responses, strict=True)):
        if len(x) != len(y) or not np.isfinite(x).all():
            raise ValueError(f"series {row}: {len(x)} doses (all finite?), {len(y)} responses")
        x_SP[row, : len(x)], y_SP[row, : len(y)] = x, y
    return fit_hill_padded(x_SP, y_SP, bounds, start)


def fit_hill_padded(
    log10_molar_SP: Floats,
    response_SP: Floats,
    bounds: HillBounds = VIABILITY,
    start: Floats | None = None,
) -> HillFits:
    """Fit a Hill curve to each row; where dose or response is NaN there is no well.

    Args:
        log10_molar_SP: Doses, ``[S, P]``.
        response_SP: Responses, ``[S, P]``.
        bounds: What is known of the curves.
        start: Fixed response without drug of each series, ``[S]``, instead of the bounds'.
    """
    parts = []
    for first in range(0, max(1, len(log10_molar_SP)), _CHUNK):
        rows = slice(first, first + _CHUNK)
        fixed = None if start is None else start[rows]
        parts.append(_fit(log10_molar_SP[rows], response_SP[rows], bounds, fixed))
    names = HillFits.__dataclass_fields__
    return HillFits(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _hill(x: Floats, start: Floats, end: Floats, ec50: Floats, slope: Floats) -> Floats:
    return np.asarray(start + (end - start) * _share(slope * (x - ec50)))


def _share(power: Floats) -> Floats:
    """Give 1 / (1 + 10 ** -power) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(power * (np.log(10) / 2))))


def _fit(x_SP: Floats, y_SP: Floats, bounds: HillBounds, start: Floats | None) -> HillFits:
    there_SP = np.isfinite(x_SP) & np.isfinite(y_SP)
    x_SP, y_SP = np.where(there_SP, x_SP, np.nan), np.where(there_SP, y_SP, np.nan)
    count = there_SP.sum(axis=1)
    ordered = np.sort(x_SP, axis=1)
    doses = 1 + (np.diff(ordered, axis=1) > 1e-9).sum(axis=1) if x_SP.shape[1] else count
    usable = np.flatnonzero((count >= 3) & (doses >= 3))
    fitted = np.full((8, len(x_SP)), np.nan)
    if len(usable):
        x, y, there = x_SP[usable], y_SP[usable], there_SP[usable]
        lowest, highest = np.nanmin(x, axis=1), np.nanmax(x, axis=1)
        low, high = _box(bounds, lowest, highest, None if start is None else start[usable])
        weight = there.astype(np.float64)
        x, y = np.where(there, x, lowest[:, None]), np.where(there, y, 0.0)
        best = _refine(x, y, weight, _first_guess(x, y, weight, low, high), (low, high))
        error = weight * (_hill(x, *best[:, :, None]) - y)
        rss = (error**2).sum(axis=1)
        mean = (weight * y).sum(axis=1) / count[usable]
        total = (weight * (y - mean[:, None]) ** 2).sum(axis=1)
        r2 = np.where(total > _TINY, 1 - rss / np.maximum(total, _TINY), np.nan)
        rmse = np.sqrt(rss / count[usable])
        fitted[:, usable] = np.stack([*best, r2, rmse, lowest, highest])
    return HillFits(*fitted)


def _box(
    bounds: HillBounds, lowest: Floats, highest: Floats, start: Floats | None
) -> tuple[Floats, Floats]:
    """Give the lowest and highest value of each parameter, ``[4, S]``."""
    full = np.ones_like(lowest)
    starts = (start, start) if start is not None else [full * b for b in bounds.start]
    low = np.stack([starts[0], full * bounds.end[0], lowest - bounds.beyond, full * _SLOPES[0]])
    high = np.stack([starts[1], full * bounds.end[1], highest + bounds.beyond, full * _SLOPES[1]])
    return low, high


def _first_guess(x: Floats, y: Floats, weight: Floats, low: Floats, high: Floats) -> Floats:
    """Take the best point of a grid over ec50 and slope; start and end follow linearly."""
    best = np.full(len(x), np.inf)
    guess = np.zeros((4, len(x)))
    for where in np.linspace(0, 1, _GRID_DOSES):
        ec50 = low[2] + where * (high[2] - low[2])
        for slope in _GRID_SLOPES:
            share = _share(slope * (x - ec50[:, None]))
            begin, end = _line(share, y, weight, low, high)
            model = begin[:, None] + (end - begin)[:, None] * share
            rss = (weight * (model - y) ** 2).sum(axis=1)
            better = rss < best
            best = np.where(better, rss, best)
            found = np.stack([begin, end, ec50, np.full_like(ec50, slope)])
            guess = np.where(better, found, guess)
    return guess


def _line(
    share: Floats, y: Floats, weight: Floats, low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    """Fit start and end, within their bounds, for given shares of the effect."""
    a, b = weight * (1 - share), weight * share
    aa, bb, ab = (a * a).sum(axis=1), (b * b).sum(axis=1), (a * b).sum(axis=1)
    ay, by = (a * y).sum(axis=1), (b * y).sum(axis=1)
    determinant = np.maximum(aa * bb - ab * ab, _TINY)
    begin = np.clip((bb * ay - ab * by) / determinant, low[0], high[0])
    end = np.clip((by - ab * begin) / np.maximum(bb, _TINY), low[1], high[1])
    begin = np.clip((ay - ab * end) / np.maximum(aa, _TINY), low[0], high[0])
    return begin, end


def _refine(
    x: Floats, y: Floats, weight: Floats, guess: Floats, box: tuple[Floats, Floats]
) -> Floats:
    """Improve all parameters together by Levenberg-Marquardt within their bounds."""
    low, high = box
    best = np.clip(guess, low, high)
    error = weight * (_hill(x, *best[:, :, None]) - y)
    rss, damping = (error**2).sum(axis=1), np.full(len(x), 1e-2)
    for _ in range(_ITERATIONS):
        slopes = _derivatives(x, best) * weight
        gradient = np.einsum("ksp,sp->sk", slopes, error)
        # A parameter at a bound that would leave it stays there.
        stuck = ((best <= low) & (gradient.T > 0)) | ((best >= high) & (gradient.T < 0))
        slopes = np.where(stuck[:, :, None], 0.0, slopes)
        normal = np.einsum("ksp,lsp->skl", slopes, slopes)
        diagonal = np.einsum("skk->sk", normal)
        diagonal += damping[:, None] * np.maximum(diagonal, 1e-9) + np.where(stuck.T, 1.0, 0.0)
        gradient = np.where(stuck.T, 0.0, gradient)
        step = np.linalg.solve(normal, gradient[:, :, None])[:, :, 0].T
        tried = np.clip(best - step, low, high)
        tried_error = weight * (_hill(x, *tried[:, :, None]) - y)
        tried_rss = (tried_error**2).sum(axis=1)
        better = tried_rss < rss
        gain = np.where(better, rss - tried_rss, 0.0)
        best = np.where(better, tried, best)
        error = np.where(better[:, None], tried_error, error)
        damping = np.clip(np.where(better, damping / 5, damping * 4), 1e-9, 1e9)
        done = ~better & (damping > 1e6) | (better & (gain < 1e-10 * (rss + _TINY)))
        rss = np.where(better, tried_rss, rss)
        if done.all():
            break
    return best


def _derivatives(x: Floats, parameters: Floats) -> Floats:
    """Differentiate the curve by its parameters, ``[4, S, P]``."""
    start, end, ec50, slope = parameters[:, :, None]
    share = _share(slope * (x - ec50))
    steep = (end - start) * share * (1 - share) * np.log(10)
    return np.stack([1 - share, share, -slope * steep, (x - ec50) * steep])
