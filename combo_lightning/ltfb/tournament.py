"""Who meets whom in a tournament, and who wins: the rules, without any message.

All groups call these functions with equal arguments and get equal answers, so that nothing has to
be agreed on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from combo_lightning.errors import InputError

FloatRows = npt.NDArray[np.float64]

# First word of each kind of draw's seed, so that no two kinds share their random numbers.
_PAIRS, _RESAMPLES = 1, 2


def draw_partners(groups: Sequence[int], round_index: int, seed: int) -> dict[int, int]:
    """Pair the living groups at random; an odd one out is its own partner.

    Args:
        groups: Numbers of the living groups, in any order.
        round_index: Number of the tournament, 0 or more.
        seed: Of the whole run, 0 or more; equal in all groups.

    Returns:
        ``partners`` with ``partners[partners[g]] == g`` for every group.

    Source:
        LBANN ``src/callbacks/ltfb.cpp``: shuffle with a common seed, pair neighbours.

    Example:
        >>> partners = draw_partners([0, 1, 2, 5], round_index=0, seed=1)
        >>> all(partners[partners[g]] == g != partners[g] for g in (0, 1, 2, 5))
        True
    """
    draw = np.random.default_rng([_PAIRS, seed, round_index])
    shuffled = [int(g) for g in draw.permutation(sorted(set(groups)))]
    partners = {g: g for g in shuffled}
    for a, b in zip(shuffled[0::2], shuffled[1::2], strict=False):
        partners[a], partners[b] = b, a
    return partners


@dataclass(frozen=True)
class Standing:
    """How a group's model did on the tournament rows.

    Args:
        scores: Mean of each metric.
        rows: Each metric's score of every tournament row, in an order equal in all groups.
        age: Rounds since the model was taken over or mutated.
    """

    scores: Mapping[str, float]
    rows: Mapping[str, FloatRows] | None = None
    age: int = 0

    @classmethod
    def from_rows(cls, rows: Mapping[str, FloatRows], age: int = 0) -> "Standing":
        """Score a model by the mean of its rows; no rows have the mean NaN.

        Args:
            rows: Each metric's score of every tournament row.
            age: Rounds since the model was taken over or mutated.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            means = {n: float(np.mean(r)) if len(r) else math.nan for n, r in rows.items()}
        return cls(means, rows, age)


@dataclass(frozen=True)
class Verdict:
    """What came of a challenge.

    Args:
        wins: Whether the challenger's model takes the holder's place.
        margin: How much better the challenger's first metric is, in its unit; negative: worse; NaN
            where either is not finite.
        reason: "better", "tie", "worse", "within the margin", "not significant", or "not finite":
            one of the two has a score that is no number, and that decided.
    """

    wins: bool
    margin: float
    reason: str


@dataclass(frozen=True)
class Rule:
    """When a model is better than another.

    A challenger has to win every metric; a tie keeps the holder. One with a NaN or an infinity,
    whatever its sign, never wins, and always loses to a finite one.

    Args:
        metrics: Names of the metrics, all of which must be won; the first ranks groups.
        mode: Whether the lower ("min") or the higher ("max") value is better.
        margin: By more than how much every metric must be better, in its unit.
        significance: Level of a one-sided paired bootstrap over the tournament rows, below 0.5;
            null: none.
        resamples: How often the bootstrap draws the rows anew.
    """

    metrics: list[str]
    mode: Literal["min", "max"] = "min"
    margin: float = 0.0
    significance: float | None = None
    resamples: int = 1000

    def check(self) -> None:
        """Refuse a rule that nobody could win by, or that everybody would.

        Raises:
            InputError: With what to set.
        """
        if not self.metrics or len(set(self.metrics)) < len(self.metrics):
            raise InputError(
                f"rule.metrics is {self.metrics}; name at least one metric, each once"
            )
        if self.mode not in ("min", "max"):
            raise InputError(f"rule.mode is '{self.mode}'; set it to min or max")
        if not 0 <= self.margin < math.inf:
            raise InputError(f"rule.margin is {self.margin}; set it to a finite number from 0")
        if self.significance is None:
            return
        if not 0 < self.significance < 0.5:
            raise InputError(
                f"rule.significance is {self.significance}; set it between 0 and 0.5, or to null"
            )
        if (self.resamples + 1) * self.significance < 1:
            raise InputError(
                f"rule.resamples is {self.resamples}, too few for significance "
                f"{self.significance}; set it to {math.ceil(1 / self.significance)} or more"
            )

    def beats(self, challenger: Standing, holder: Standing, seed: Sequence[int]) -> Verdict:
        """Judge whether a challenger's model takes the holder's place.

        Args:
            challenger: The model that would be adopted.
            holder: The model that would be given up.
            seed: Of the bootstrap, numbers from 0; equal for both orders and in all groups.

        Raises:
            InputError: If `significance` is set and the rows of the two models cannot be paired.
        """
        gains = [self.gain(challenger, holder, name) for name in self.metrics]
        margin = gains[0]
        if not (self.is_finite(challenger) and self.is_finite(holder)):
            return Verdict(self.is_finite(challenger), margin, "not finite")
        least, reason = min(gains), "better"
        if least <= 0:
            reason = "tie" if least == 0 else "worse"
        elif least <= self.margin:
            reason = "within the margin"
        elif self.significance is not None:
            chances = [self._chance(challenger, holder, name, seed) for name in self.metrics]
            if max(chances) > self.significance:
                reason = "not significant"
        return Verdict(reason == "better", margin, reason)

    def is_finite(self, standing: Standing) -> bool:
        """Tell whether all metrics of a model are there and are numbers."""
        return all(math.isfinite(standing.scores.get(name, math.nan)) for name in self.metrics)

    def key(self, standing: Standing) -> list[float]:
        """Give what finite models are sorted by, the best first."""
        sign = 1 if self.mode == "min" else -1
        return [sign * standing.scores[name] for name in self.metrics]

    def gain(self, challenger: Standing, holder: Standing, name: str | None = None) -> float:
        """Tell how much better the challenger is; NaN where either is not finite.

        Args:
            challenger: One model.
            holder: Another.
            name: Of the metric; the first one by default.
        """
        name = name or self.metrics[0]
        new, old = (s.scores.get(name, math.nan) for s in (challenger, holder))
        if not (math.isfinite(new) and math.isfinite(old)):
            return math.nan
        return old - new if self.mode == "min" else new - old

    def _chance(
        self, challenger: Standing, holder: Standing, name: str, seed: Sequence[int]
    ) -> float:
        """Give the bootstrap's one-sided p-value of the challenger being no better.

        Raises:
            InputError: If the rows of the two models cannot be paired.

        Source:
            Davison and Hinkley, Bootstrap Methods and their Application (1997), chapter 4:
            (1 + count) / (1 + resamples), which is never 0.
        """
        new, old = ((s.rows or {}).get(name) for s in (challenger, holder))
        if new is None or old is None or not len(new) or len(new) != len(old):
            raise InputError(
                f"rule.significance needs '{name}' of the same tournament rows from both models; "
                "set it to null, or score each row"
            )
        sign = 1 if self.mode == "min" else -1
        # Many resamples at once, in little memory.
        draw = np.random.default_rng([_RESAMPLES, *seed])
        at_once = max(1, (1 << 18) // len(new))
        worse = 0
        with np.errstate(over="ignore", invalid="ignore"):
            gains = sign * np.subtract(old, new, dtype=np.float64)
            for done in range(0, self.resamples, at_once):
                count = min(at_once, self.resamples - done)
                drawn = draw.integers(0, len(gains), (count, len(gains)))
                worse += int(np.sum(~(gains[drawn].mean(axis=1) > 0)))
        return (1 + worse) / (1 + self.resamples)
