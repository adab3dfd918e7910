"""Rising maps onto a common scale: fitted, applied, and inverted.

Shapes: N values, Q knots.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Harmonize = Literal["none", "mean_variance", "quantile"]

# Values behind each quantile that a map goes through, and the most quantiles: percentiles.
ROWS_PER_KNOT = 10
MOST_KNOTS = 99


@dataclass(frozen=True)
class MonotoneMap:
    """x -> y, linear between knots and of a fixed slope beyond them.

    Args:
        x: Q knots, strictly ascending, at least one.
        y: What they become, strictly ascending.
        slope: Beyond the first and the last knot; above 0.
    """

    x: Floats
    y: Floats
    slope: float

    def apply(self, values: npt.NDArray[Any]) -> Floats:
        """Map values; NaN stays NaN."""
        return _map(values.astype(np.float64), self.x, self.y, self.slope)

    def invert(self, values: npt.NDArray[Any]) -> Floats:
        """Map values back."""
        return _map(values.astype(np.float64), self.y, self.x, 1 / self.slope)

    def to_plain(self) -> dict[str, Any]:
        """Give plain values and arrays, for a checkpoint."""
        return {"x": self.x, "y": self.y, "slope": self.slope}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "MonotoneMap":
        """Build from what `to_plain` gave."""
        return cls(**plain)


def _map(v: Floats, x: Floats, y: Floats, slope: float) -> Floats:
    inside = np.interp(v, x, y)
    result = np.where(v < x[0], y[0] + slope * (v - x[0]), inside)
    result = np.where(v > x[-1], y[-1] + slope * (v - x[-1]), result)
    # Of a single knot `interp` makes a number of NaN, too.
    return np.where(np.isnan(v), np.nan, result)


Values = tuple[Floats, Floats]


def fit_maps(groups: Sequence[Values], how: Harmonize) -> list[MonotoneMap | None]:
    """Fit the maps that bring groups of values onto their common scale.

    Its mean, standard deviation and quantiles are those of the groups, averaged by weight. (Those
    of all values together would have a peak for each group that stands off, and be wider than any
    group is.) "mean_variance" brings mean and standard deviation onto the common ones.
    "quantile" brings quantiles onto quantiles: as many as there are ten values for each,
    percentiles at most; where values are tied, their quantiles' mean; beyond the outermost it goes
    on as "mean_variance" does.

    Args:
        groups: Values and their weights.
        how: "mean_variance" or "quantile".

    Returns:
        A map for each group; None where no value has a weight.

    Source:
        Bolstad et al. 2003, doi:10.1093/bioinformatics/19.2.185 (quantile normalisation).
    """
    found = [_Sorted.of(*group) for group in groups]
    known = [group for group in found if group is not None]
    if not known:
        return [None] * len(groups)
    mean = float(_shares(known) @ [group.mean for group in known])
    # Constant values tell nothing of the scale.
    varied = [group for group in known if group.spread > 0] or known
    share = _shares(varied)
    spread = float(share @ [group.spread for group in varied])

    def quantiles(at: Floats) -> Floats:
        apart = np.stack([group.quantiles(at) - group.mean for group in varied])
        return np.asarray(mean + share @ apart)

    return [None if own is None else _fit(own, mean, spread, quantiles, how) for own in found]


def _shares(groups: Sequence["_Sorted"]) -> Floats:
    total = np.array([group.total for group in groups])
    return np.asarray(total / total.sum())


def _fit(
    own: "_Sorted", mean: float, spread: float, quantiles: Callable[[Floats], Floats], how: str
) -> MonotoneMap:
    # Constant values have no scale of their own: they are only moved.
    slope = spread / own.spread if own.spread > 0 else 1.0
    centre = MonotoneMap(np.array([own.mean]), np.array([mean]), slope)
    if how == "mean_variance":
        return centre
    count = int(np.clip(len(own.values) // ROWS_PER_KNOT, 1, MOST_KNOTS))
    share = (np.arange(count) + 0.5) / count
    x, place = np.unique(own.quantiles(share), return_inverse=True)
    y = np.bincount(place, quantiles(share)) / np.bincount(place)
    # Quantiles are tied where a response is counted in whole steps.
    rising = np.concatenate([[True], y[1:] > np.maximum.accumulate(y)[:-1]])
    x, y = x[rising], y[rising]
    return MonotoneMap(x, y, slope) if len(x) > 1 else centre


@dataclass(frozen=True)
class _Sorted:
    """Weighted values in order."""

    values: Floats
    place: Floats
    total: float
    mean: float
    spread: float

    @classmethod
    def of(cls, values: Floats, weights: Floats) -> "_Sorted | None":
        values, weights = values[weights > 0], weights[weights > 0]
        if not len(values):
            return None
        order = np.argsort(values, kind="stable")
        values, weights = values[order], weights[order]
        total = float(weights.sum())
        mean = float((weights * values).sum() / total)
        spread = float(np.sqrt((weights * (values - mean) ** 2).sum() / total))
        # Sums leave a spread behind where there is none.
        spread = 0.0 if spread < 1e-9 * abs(mean) else spread
        return cls(values, (np.cumsum(weights) - weights / 2) / total, total, mean, spread)

    def quantiles(self, share: Floats) -> Floats:
        return np.interp(share, self.place, self.values)
