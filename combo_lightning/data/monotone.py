"""Rising maps between two scales: fitted on values of both, applied, and inverted.

Shapes: N values, Q knots.
"""

from collections.abc import Mapping
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
    return np.where(v > x[-1], y[-1] + slope * (v - x[-1]), result)


def fit_map(
    own: Floats, pooled: Floats, how: Harmonize, weights: tuple[Floats, Floats]
) -> MonotoneMap | None:
    """Fit the map that brings values onto the scale of others.

    "mean_variance" brings their mean and standard deviation onto the others'. "quantile" also
    brings quantiles onto quantiles: as many as there are ten values for each, percentiles at most;
    where values are tied, their quantiles' mean. Beyond the outermost quantiles it goes on as
    "mean_variance" does.

    Args:
        own: The values to bring.
        pooled: The others.
        how: "mean_variance" or "quantile".
        weights: Weight of each value of both.

    Returns:
        The map; None where no value has a weight.
    """
    mine, theirs = _Sorted.of(own, weights[0]), _Sorted.of(pooled, weights[1])
    if mine is None or theirs is None:
        return None
    # Constant values have no scale of their own: they are only moved.
    slope = theirs.spread / mine.spread if mine.spread > 0 and theirs.spread > 0 else 1.0
    centre = MonotoneMap(np.array([mine.mean]), np.array([theirs.mean]), slope)
    if how == "mean_variance":
        return centre
    count = int(np.clip(len(mine.values) // ROWS_PER_KNOT, 1, MOST_KNOTS))
    share = (np.arange(count) + 0.5) / count
    x, place = np.unique(mine.quantiles(share), return_inverse=True)
    y = np.bincount(place, theirs.quantiles(share)) / np.bincount(place)
    # Quantiles are tied where a response is counted in whole steps.
    rising = np.concatenate([[True], y[1:] > np.maximum.accumulate(y)[:-1]])
    x, y = x[rising], y[rising]
    return MonotoneMap(x, y, slope) if len(x) > 1 else centre


@dataclass(frozen=True)
class _Sorted:
    """Weighted values in order."""

    values: Floats
    place: Floats
    mean: float
    spread: float

    @classmethod
    def of(cls, values: Floats, weights: Floats) -> "_Sorted | None":
        values, weights = values[weights > 0], weights[weights > 0]
        if not len(values):
            return None
        order = np.argsort(values, kind="stable")
        values, weights = values[order], weights[order]
        total = weights.sum()
        mean = float((weights * values).sum() / total)
        spread = float(np.sqrt((weights * (values - mean) ** 2).sum() / total))
        # Sums of float32 numbers leave a spread behind where there is none.
        spread = 0.0 if spread < 1e-9 * max(abs(mean), 1e-300) else spread
        return cls(values, (np.cumsum(weights) - weights / 2) / total, mean, spread)

    def quantiles(self, share: Floats) -> Floats:
        return np.interp(share, self.place, self.values)
