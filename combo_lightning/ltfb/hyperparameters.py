"""The groups' first hyperparameters, and what a copy changes in them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from combo_lightning.errors import InputError

# First word of each kind of draw's seed; 1 to 5 are drawn from elsewhere in this room.
_INITIAL, _MUTATION = 6, 7
# Their distance to 1 is what has a scale: 0.9 to 0.99 is as far as 0.99 to 0.999.
_BETAS = ("beta_1", "beta_2")


@dataclass(frozen=True)
class Range:
    """The values that a hyperparameter may take.

    Args:
        low: Lowest.
        high: Highest.
        scale: Whether steps are equal ("linear") or in equal ratio ("log"); of beta_1 and beta_2
            with "log" it is the distance to 1 that goes by ratio.
        values: Exactly these and none between, all from low to high; group k starts with the k-th,
            counted around.
    """

    low: float
    high: float
    scale: Literal["linear", "log"] = "log"
    values: list[float] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise InputError(
                f"a range goes from {self.low} to {self.high}; give two finite numbers, low first"
            )
        if self.scale not in ("linear", "log"):
            raise InputError(f"a range's scale is '{self.scale}'; set it to linear or log")
        if self.values is None:
            if self.scale == "log" and self.low <= 0:
                raise InputError(
                    f"a range with a log scale begins at {self.low}; set low above 0, or the "
                    "scale to linear"
                )
            return
        outside = [v for v in self.values if not self.low <= v <= self.high]
        if outside or not self.values:
            raise InputError(
                f"a range's values are {self.values}; give at least one, all from low "
                f"({self.low}) to high ({self.high})"
            )

    def at(self, share: float, name: str) -> float:
        """Give the value at a share of the way from low to high.

        Args:
            share: From 0 to 1.
            name: Of the hyperparameter.
        """
        if self.values is not None:
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        if self.scale == "linear":
            return self.clip(self.low + share * (self.high - self.low))
        if name in _BETAS:
            return self.clip(1 - (1 - self.low) * ((1 - self.high) / (1 - self.low)) ** share)
        low, high = math.log(self.low), math.log(self.high)
        return self.clip(math.exp(low + share * (high - low)))

    def clip(self, value: float) -> float:
        """Give the nearest value in the range."""
        if self.values is not None:
            return min(self.values, key=lambda v: abs(v - value))
        return min(max(value, self.low), self.high)


def draw_initial(
    space: Mapping[str, Range],
    num_groups: int,
    seed: int,
    method: Literal["grid", "random", "sobol"],
) -> list[dict[str, float]]:
    """Draw each group's first hyperparameters.

    Args:
        space: Range of each.
        num_groups: Trainer groups.
        seed: Of the run; equal in all groups.
        method: "grid": equal steps, about as many on each axis, ends included; "random": uniform
            on the ranges' scales; "sobol": the same, spread evenly, scrambled by the seed.

    Returns:
        Values by name of each group.

    Raises:
        InputError: If a range holds what its hyperparameter cannot be.
    """
    for name, limits in space.items():
        if name in _BETAS and not 0 <= limits.low <= limits.high < 1:
            raise InputError(f"{name} goes from {limits.low} to {limits.high}; keep it in [0, 1)")
    names = sorted(space)
    drawn = [name for name in names if space[name].values is None]
    shares = dict(zip(drawn, _shares(len(drawn), num_groups, seed, method).T, strict=True))
    groups = []
    for k in range(num_groups):
        found = {}
        for name in names:
            values = space[name].values
            found[name] = (
                space[name].at(float(shares[name][k]), name)
                if values is None
                else values[k % len(values)]
            )
        groups.append(found)
    return groups


def _shares(axes: int, points: int, seed: int, method: str) -> npt.NDArray[np.float64]:
    """Place points in the unit cube: [points, axes]."""
    draw = np.random.default_rng([_INITIAL, seed])
    if not axes or not points:
        return np.zeros((points, axes))
    if method == "random":
        return draw.random((points, axes))
    if method == "sobol":
        # A second to import.
        from scipy.stats import qmc

        # A power of two keeps the sequence's balance.
        count = math.ceil(math.log2(points))
        return np.asarray(qmc.Sobol(axes, seed=draw).random_base2(count)[:points], np.float64)
    steps = _grid_steps(axes, points)
    places = [np.linspace(0, 1, s) if s > 1 else np.array([0.5]) for s in steps]
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*places, indexing="ij")], axis=1)
    # What the grid has too many is left out evenly.
    chosen = np.linspace(0, len(grid) - 1, points).round().astype(int)
    return np.asarray(grid[chosen], np.float64)


def _grid_steps(axes: int, points: int) -> list[int]:
    """Find near-equal numbers of steps whose grid has at least so many points."""
    steps = [1] * axes
    while math.prod(steps) < points:
        steps[steps.index(min(steps))] += 1
    return steps


@dataclass(frozen=True)
class Mutation:
    """How a group changes the hyperparameters of a model that it took over.

    Each is multiplied by the factor or divided by it, by the toss of a coin, within its range; of
    beta_1 and beta_2 the distance to 1 is. One with a list of values moves to a neighbour.

    Args:
        factor: Above 1.
        resample_probability: How often a value is drawn anew from its range instead, from 0 to 1.

    Source:
        Jaderberg et al., Population Based Training (arXiv 1711.09846): 1.2 or 0.8. The betas as in
        LBANN's ``perturb_adam``.
    """

    factor: float = 1.2
    resample_probability: float = 0.0

    def __post_init__(self) -> None:
        if not 1 < self.factor < math.inf:
            raise InputError(f"mutation.factor is {self.factor}; set it above 1")
        if not 0 <= self.resample_probability <= 1:
            raise InputError(
                f"mutation.resample_probability is {self.resample_probability}; set it from 0 to 1"
            )

    def mutate(
        self, values: Mapping[str, float], space: Mapping[str, Range], rng_seed: Sequence[int]
    ) -> dict[str, float]:
        """Change the values that have a range.

        Args:
            values: By name.
            space: Range of each that may change.
            rng_seed: Of the draw, numbers from 0: the run's seed, round, group.

        Returns:
            All values; those without a range as they were.
        """
        draw = np.random.default_rng([_MUTATION, *rng_seed])
        changed = dict(values)
        for name in sorted(space):
            # Drawn for all, so that no value hangs on which others there are.
            coin, up, share = (float(x) for x in draw.random(3))
            if name not in values:
                continue
            if coin < self.resample_probability or not math.isfinite(values[name]):
                changed[name] = space[name].at(share, name)
            else:
                changed[name] = self._move(values[name], space[name], name, up=up < 0.5)
        return changed

    def _move(self, value: float, limits: Range, name: str, *, up: bool) -> float:
        """Move a value up or down."""
        if limits.values is not None:
            ordered = sorted(set(limits.values))
            place = ordered.index(limits.clip(value)) + (1 if up else -1)
            return ordered[min(max(place, 0), len(ordered) - 1)]
        factor = self.factor if up else 1 / self.factor
        if name in _BETAS:
            return limits.clip(1 - (1 - value) / factor)
        return limits.clip(value * factor)
