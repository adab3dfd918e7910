"""Where 90 % of runs lie, to compare real runs with.

The real run's quantity is the number of distinct ancestors after each round of `RandomPairwise`
without a margin: group g starts as ancestor g, a group that adopts a model has that model's
ancestor from then on, and all groups' ancestors are counted, whether they took part or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from combo_lightning.ltfb.tournament import draw_partners
from scripts.bench.ltfb_simulation.population import Plan, simulate

Interval = tuple[float, float]


@dataclass(frozen=True)
class Band:
    """The range that holds at least 90 % of runs, both ends included.

    Args:
        ancestors: Of the number of distinct ancestors after each round, from the first.
        takeover: Of the rounds until one ancestor is left; infinite: not within these rounds.
        excess: Of the champion's excess MSE at the end over that at the start; None where no
            training was modelled.
    """

    ancestors: list[Interval]
    takeover: Interval
    excess: Interval | None = None

    def outside(self, ancestors: Sequence[float]) -> list[int]:
        """Name the rounds, from 1, in which a count lies outside.

        Args:
            ancestors: Distinct ancestors of a run after each round, or their mean over runs.
        """
        return [
            r
            for r, (count, (low, high)) in enumerate(
                zip(ancestors, self.ancestors, strict=False), 1
            )
            if not low <= count <= high
        ]


def lineage_band(
    num_groups: int,
    rounds: int,
    upset: float = 0.0,
    runs: int = 1,
    draws: int = 2000,
    level: float = 0.9,
) -> Band:
    """Give the band of lineages where the better ancestor wins a meeting with some probability.

    Pairs are drawn by `draw_partners` itself. Ancestors have an order that never changes, and the
    better of two wins each meeting but for a share of upsets.

    Args:
        num_groups: Trainer groups.
        rounds: Tournaments, of which the first has number 1.
        upset: Chance that the worse ancestor's model wins, from 0 (the order decides) to 0.5 (a
            coin does).
        runs: The band of means over so many runs.
        draws: Means that are drawn.
        level: Share that the band holds.
    """
    chance = np.random.default_rng([101, num_groups, runs])
    counts = np.empty((draws * runs, rounds))
    for run in range(draws * runs):
        ancestor = list(range(num_groups))
        toss = chance.random((rounds, num_groups)) < upset
        for round_index in range(1, rounds + 1):
            if len(set(ancestor)) > 1:
                for a, b in draw_partners(range(num_groups), round_index, run).items():
                    if a < b:
                        pair = (ancestor[a], ancestor[b])
                        worse_wins = toss[round_index - 1, a]
                        ancestor[a] = ancestor[b] = max(pair) if worse_wins else min(pair)
            counts[run, round_index - 1] = len(set(ancestor))
    return _band(counts, None, runs, level)


def envelope(num_groups: int, rounds: int, runs: int = 1, draws: int = 2000) -> Band:
    """Give the band that holds whatever the chance of upsets is: from the order to the coin.

    Args:
        num_groups: Trainer groups.
        rounds: Tournaments.
        runs: The band of means over so many runs.
        draws: Means that are drawn for each.
    """
    bands = [lineage_band(num_groups, rounds, upset, runs, draws) for upset in (0.0, 0.5)]

    def both(intervals: Sequence[Interval]) -> Interval:
        return min(low for low, _ in intervals), max(high for _, high in intervals)

    per_round = zip(*(band.ancestors for band in bands), strict=True)
    return Band([both(each) for each in per_round], both([band.takeover for band in bands]))


def world_band(plan: Plan, seeds: int = 200, runs: int = 1, level: float = 0.9) -> Band:
    """Give the band of simulated training, with its loss.

    A real run to compare is the linear regression of `training.World` under plain SGD.

    Args:
        plan: What is run.
        seeds: How many means are drawn.
        runs: The band of means over so many runs.
        level: Share that the band holds.
    """
    histories = [simulate(plan, seed) for seed in range(seeds * runs)]
    counts = np.array([h.ancestors for h in histories], np.float64)
    return _band(counts, np.array([h.excess[-1] for h in histories]), runs, level)


def _band(
    counts: npt.NDArray[np.float64],
    excess: npt.NDArray[np.float64] | None,
    runs: int,
    level: float,
) -> Band:
    """Take the quantiles of means over so many runs."""
    alone = counts == 1
    takeover = np.where(alone.any(axis=1), alone.argmax(axis=1) + 1.0, np.inf)

    def interval(values: npt.NDArray[np.float64]) -> Interval:
        means = values.reshape(-1, runs).mean(axis=1)
        ends = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        return float(ends[0]), float(ends[1])

    ancestors = [interval(counts[:, r]) for r in range(counts.shape[1])]
    return Band(ancestors, interval(takeover), None if excess is None else interval(excess))
