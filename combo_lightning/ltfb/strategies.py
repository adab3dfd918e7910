"""Whose standings a group needs, and whose model it goes on with.

A strategy decides by pure functions of (standings, rule, round, seed): groups that hold equal
standings decide alike without a message. `TreeAveraging` selects nobody: it averages.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from combo_lightning.errors import InputError
from combo_lightning.ltfb.tournament import Rule, Standing, draw_partners

# First word of each kind of draw's seed; 1 and 2 are tournament.py's.
_TRUNCATION, _EVOLUTION, _TREE = 3, 4, 5


@dataclass(frozen=True)
class Choice:
    """What a group does after a round.

    Args:
        source: The group whose model it goes on with; itself: it keeps its own.
        mutate: Whether it changes the hyperparameters that came with the model.
        margin: How much better the source's first metric is than the group's, or that of the model
            that challenged it; NaN where nobody did, or where a score is not finite.
        reason: A verdict's reason seen from the challenger, or "alone" (no partner), "not chosen"
            (nothing was decided about this group), "oldest".
    """

    source: int
    mutate: bool
    margin: float
    reason: str


class Strategy(ABC):
    """Who needs whose standings, and who adopts from whom."""

    @abstractmethod
    def meets(self, group: int, living: Sequence[int], round_index: int, seed: int) -> list[int]:
        """Name the other groups whose standings a group needs.

        Args:
            group: The group that asks.
            living: All groups that take part.
            round_index: Number of the round.
            seed: Of the run; equal in all groups.
        """

    @abstractmethod
    def decide(
        self, standings: Mapping[int, Standing], rule: Rule, round_index: int, seed: int
    ) -> dict[int, Choice]:
        """Decide for every group in `standings`; equal arguments give equal answers.

        A group that is somebody's source keeps its own model.

        Args:
            standings: Of each group that takes part.
            rule: When a model is better.
            round_index: Number of the round.
            seed: Of the run; equal in all groups.
        """


class RandomPairwise(Strategy):
    """Groups meet in pairs drawn at random; the loser goes on with a copy of the winner's model.

    Half of the groups at most change a round, the message is one note to one partner, and no model
    is ever given up for one that did not beat it.

    Source:
        LBANN ``RandomPairwiseExchange`` and ``CallbackLTFB``.
    """

    def meets(self, group: int, living: Sequence[int], round_index: int, seed: int) -> list[int]:
        """Name the partner, if there is one."""
        partner = draw_partners([*living, group], round_index, seed)[group]
        return [] if partner == group else [partner]

    def decide(
        self, standings: Mapping[int, Standing], rule: Rule, round_index: int, seed: int
    ) -> dict[int, Choice]:
        """Judge both sides of every pair: the two groups given, or all pairs as drawn."""
        choices = {}
        for group, partner in draw_partners(list(standings), round_index, seed).items():
            if partner == group:
                choices[group] = _keep(group, "alone")
                continue
            choices[group] = _challenge(
                partner, group, standings, rule, [seed, round_index, min(group, partner)]
            )
        return choices


class TruncationSelection(Strategy):
    """The worst groups go on with copies of models drawn from the best ones.

    A group is replaced only by a model that beats its own. Groups whose scores are not finite are
    replaced beyond the fraction too. Needs the standings of all.

    Args:
        fraction: Share of the groups that is replaced, and share that is copied from, above 0 and
            at most 0.5; at least one group each.

    Source:
        Jaderberg et al., Population Based Training (arXiv 1711.09846): bottom and top 20 %.
        LBANN's ``TruncationSelectionExchange`` copies by turns and divides by its default k = 0.
    """

    def __init__(self, fraction: float = 0.25) -> None:
        if not 0 < fraction <= 0.5:
            raise InputError(
                f"TruncationSelection: fraction is {fraction}; set it above 0 and to 0.5 at most"
            )
        self.fraction = fraction

    def meets(self, group: int, living: Sequence[int], round_index: int, seed: int) -> list[int]:
        """Name all others."""
        return sorted(set(living) - {group})

    def decide(
        self, standings: Mapping[int, Standing], rule: Rule, round_index: int, seed: int
    ) -> dict[int, Choice]:
        """Let each of the worst meet one of the best."""
        choices = {g: _keep(g, "not chosen") for g in sorted(standings)}
        finite = _best_first(standings, rule)
        broken = [g for g in choices if g not in set(finite)]
        count = min(max(1, math.floor(self.fraction * len(choices))), len(choices) // 2)
        # Those that are not finite are the worst; what is missing to the fraction is taken above.
        further = max(0, count - len(broken))
        losers = [*finite[len(finite) - further :], *broken]
        best = finite[: min(count, len(finite) - further)]
        if not best:
            return choices
        draw = np.random.default_rng([_TRUNCATION, seed, round_index])
        for loser in sorted(losers):
            source = best[int(draw.integers(len(best)))]
            choices[loser] = _challenge(
                source, loser, standings, rule, [seed, round_index, source, loser]
            )
        return choices


class RegularizedEvolution(Strategy):
    """The oldest group goes on with a copy of the best of a sample, whatever its own score is.

    One group changes a round; where scores are not finite, those groups change instead, all at
    once. A model that is the oldest and the best of the sample stays. Needs the standings of all.

    Args:
        sample_size: Groups that are drawn, of those with finite scores; at least 1.

    Source:
        Real et al., Regularized Evolution for Image Classifier Architecture Search
        (arXiv 1802.01548), algorithm 1. LBANN's ``RegularizedEvolution`` cuts scores to integers,
        and takes the maximum of an empty sample by default.
    """

    def __init__(self, sample_size: int = 2) -> None:
        if sample_size < 1:
            raise InputError(
                f"RegularizedEvolution: sample_size is {sample_size}; set it to 1 or more"
            )
        self.sample_size = sample_size

    def meets(self, group: int, living: Sequence[int], round_index: int, seed: int) -> list[int]:
        """Name all others."""
        return sorted(set(living) - {group})

    def decide(
        self, standings: Mapping[int, Standing], rule: Rule, round_index: int, seed: int
    ) -> dict[int, Choice]:
        """Let the oldest go, or those that are not finite."""
        choices = {g: _keep(g, "not chosen") for g in sorted(standings)}
        finite = _best_first(standings, rule)
        if not finite:
            return choices
        broken = [g for g in choices if g not in set(finite)]
        oldest = max(sorted(finite), key=lambda g: standings[g].age)
        draw = np.random.default_rng([_EVOLUTION, seed, round_index])
        for group in broken or [oldest]:
            size = min(self.sample_size, len(finite))
            parent = finite[int(min(draw.choice(len(finite), size, replace=False)))]
            if parent == group:
                choices[group] = _keep(group, "oldest")
                continue
            gain = rule.gain(standings[parent], standings[group])
            choices[group] = Choice(
                parent, mutate=True, margin=gain, reason="not finite" if broken else "oldest"
            )
        return choices


class TreeAveraging:
    """The groups' weights are averaged over a binary tree: the tightly coupled form.

    Partial sums go up, the mean comes down, and every group goes on from the mean, or from an
    outer step towards it.

    Limits:
        A member that diverges but is still finite is averaged in and spoils the mean for all: use
        equal learning rates that are known not to diverge.

    Args:
        outer_momentum: Of the outer Nesterov step, from 0 and below 1; DiLoCo's is 0.9.
        outer_learning_rate: Of the outer step, above 0; with momentum 0, 1 is the plain mean.
            DiLoCo's is 0.7.

    Source:
        Douillard et al., DiLoCo (arXiv 2311.08105), algorithm 1.
    """

    def __init__(self, outer_momentum: float = 0.0, outer_learning_rate: float = 1.0) -> None:
        if not 0 <= outer_momentum < 1:
            raise InputError(
                f"TreeAveraging: outer_momentum is {outer_momentum}; set it from 0 to below 1"
            )
        if not 0 < outer_learning_rate < math.inf:
            raise InputError(
                f"TreeAveraging: outer_learning_rate is {outer_learning_rate}; set it above 0"
            )
        self.outer_momentum = outer_momentum
        self.outer_learning_rate = outer_learning_rate

    def tree(
        self, living: Sequence[int], round_index: int, seed: int
    ) -> dict[int, tuple[int | None, list[int]]]:
        """Draw a balanced binary tree anew, so that the costs of inner places go around.

        Args:
            living: All groups that take part.
            round_index: Number of the round.
            seed: Of the run; equal in all groups.

        Returns:
            Parent (the root's is None) and at most two children of each group.
        """
        draw = np.random.default_rng([_TREE, seed, round_index])
        order = [int(g) for g in draw.permutation(sorted(set(living)))]
        return {
            group: (order[(i - 1) // 2] if i else None, order[2 * i + 1 : 2 * i + 3])
            for i, group in enumerate(order)
        }

    def outer_step(self, anchor: Any, mean: Any, velocity: Any) -> tuple[Any, Any]:
        """Step from the weights after the last round along the groups' mean movement.

        With d = anchor - mean, v' = momentum v + d, and rate r the new weights are
        anchor - r (d + momentum v'); written so that the plain mean comes out bit for bit.

        Args:
            anchor: Weights after the last round: NumPy arrays, torch tensors or numbers.
            mean: Mean of the groups' weights now.
            velocity: v, zeros at first.

        Returns:
            New weights, and v'.

        Source:
            DiLoCo, algorithm 1, with torch's form of Nesterov's momentum in ``torch.optim.SGD``.
        """
        moved = anchor - mean
        velocity = self.outer_momentum * velocity + moved
        rate = self.outer_learning_rate
        weights = mean + (1 - rate) * moved - rate * self.outer_momentum * velocity
        return weights, velocity


def _keep(group: int, reason: str) -> Choice:
    return Choice(group, mutate=False, margin=math.nan, reason=reason)


def _challenge(
    challenger: int,
    holder: int,
    standings: Mapping[int, Standing],
    rule: Rule,
    seed: Sequence[int],
) -> Choice:
    """Decide for the holder."""
    verdict = rule.beats(standings[challenger], standings[holder], seed)
    source = challenger if verdict.wins else holder
    return Choice(source, verdict.wins, verdict.margin, verdict.reason)


def _best_first(standings: Mapping[int, Standing], rule: Rule) -> list[int]:
    """Sort the groups with finite scores; of equals the lower number comes first."""
    finite = [g for g in sorted(standings) if rule.is_finite(standings[g])]
    return sorted(finite, key=lambda g: rule.key(standings[g]))
