"""A population of trainer groups that trains, fails, meets and adopts, round by round."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from combo_lightning.ltfb.hyperparameters import Mutation, Range, draw_initial
from combo_lightning.ltfb.strategies import RandomPairwise, Strategy, TreeAveraging
from combo_lightning.ltfb.tournament import Rule, Standing
from scripts.bench.ltfb_simulation.training import Floats, TournamentRows, World

RATE = "learning_rate"
# A quarter of them diverges.
RATES = Range(1e-2, 10.0)


@dataclass(frozen=True)
class Plan:
    """A run of many groups.

    Args:
        num_groups: Trainer groups.
        strategy: Who adopts from whom, or averaging; None: the groups never meet.
        rule: When a model is better.
        interval: Steps between two rounds.
        rounds: How many.
        rates: The groups' first learning rates, drawn by Sobol's sequence.
        mutation: What an adopter does to the learning rate.
        partition: Whether each group has a share of the training rows, or all.
        failure: Chance of each group to fail in a round.
        away: Rounds that a failed group misses; it goes on from its state before it failed.
        returners_copy: Whether, where models are averaged, it goes on from the mean instead.
        world: What is learned.
    """

    num_groups: int
    strategy: Strategy | TreeAveraging | None = field(default_factory=RandomPairwise)
    rule: Rule = field(default_factory=lambda: Rule(["mse"]))
    interval: int = 100
    rounds: int = 20
    rates: Range = RATES
    mutation: Mutation | None = field(default_factory=Mutation)
    partition: bool = False
    failure: float = 0.0
    away: int = 3
    returners_copy: bool = False
    world: World = field(default_factory=World)


@dataclass
class History:
    """What came of a run.

    Args:
        ancestors: How many of the first groups have descendants, after each round.
        excess: Excess MSE of the champion over that at the start, after each round; the champion
            is the group with the best tournament score.
        living: Groups that took part in each round.
        adopted: Models that were copied in each round.
        rate: The champion's learning rate at the end.
    """

    ancestors: list[int] = field(default_factory=list)
    excess: list[float] = field(default_factory=list)
    living: list[int] = field(default_factory=list)
    adopted: list[int] = field(default_factory=list)
    rate: float = float("nan")

    @property
    def takeover(self) -> float:
        """Rounds until one ancestor was left; infinite where that was not seen."""
        done = [r for r, count in enumerate(self.ancestors, 1) if count == 1]
        return done[0] if done else float("inf")


class Population:
    """The groups of a plan.

    Args:
        plan: Of the run.
        seed: Of everything in it.
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        world, count = plan.world, plan.num_groups
        self.plan, self.seed = plan, seed
        self.draw = np.random.default_rng([100, seed])
        self.rows = TournamentRows(world, self.draw)
        self.error_GD: Floats = np.tile(world.start_D(self.draw), (count, 1))
        self.optimum_GD = world.optimum_GD(count, self.draw, partition=plan.partition)
        first = draw_initial({RATE: plan.rates}, count, seed, "sobol")
        self.rate_G: Floats = np.array([values[RATE] for values in first])
        self.ancestor_G: npt.NDArray[np.int64] = np.arange(count)
        self.age_G: npt.NDArray[np.int64] = np.zeros(count, np.int64)
        # The round at which each group is there again.
        self.back_G: npt.NDArray[np.int64] = np.zeros(count, np.int64)
        # The best by the tournament rows, of the last round; averaging's is the mean.
        self.champion_D: Floats = self.error_GD[0].copy()
        self.champion_rate = float("nan")
        self._anchor_D = self.error_GD[0].copy()
        self._velocity_D: Floats = np.zeros(world.dimensions)

    def train(self, round_index: int) -> list[int]:
        """Train those that are there, and give those that did not fail meanwhile."""
        plan = self.plan
        here = np.flatnonzero(self.back_G <= round_index)
        failed = here[self.draw.random(len(here)) < plan.failure]
        self.back_G[failed] = round_index + 1 + plan.away
        kept = np.setdiff1d(here, failed)
        if plan.returners_copy:
            returning = kept[(self.back_G[kept] == round_index) & (round_index > 1)]
            self.error_GD[returning] = self._anchor_D
        self.error_GD[kept] = plan.world.train(
            self.error_GD[kept], self.optimum_GD[kept], self.rate_G[kept], plan.interval, self.draw
        )
        return [int(g) for g in kept]

    def meet(self, round_index: int, living: list[int]) -> int:
        """Hold a round, and give how many models were copied."""
        score_GR = self.rows.score(self.error_GD[living])
        with np.errstate(all="ignore"):
            mean_G = score_GR.mean(axis=1)
        best = living[int(np.argmin(np.where(np.isfinite(mean_G), mean_G, np.inf)))]
        self.champion_D, self.champion_rate = self.error_GD[best].copy(), float(self.rate_G[best])
        strategy = self.plan.strategy
        if strategy is None:
            return 0
        if isinstance(strategy, TreeAveraging):
            return self._average(round_index, living, strategy)
        by_row = self.plan.rule.significance is not None
        standings = {
            g: Standing(
                {"mse": float(mean_G[i])},
                {"mse": score_GR[i]} if by_row else None,
                int(self.age_G[g]),
            )
            for i, g in enumerate(living)
        }
        choices = strategy.decide(standings, self.plan.rule, round_index, self.seed)
        takers = [g for g, choice in choices.items() if choice.source != g]
        sources = [choices[g].source for g in takers]
        for values in (self.error_GD, self.rate_G, self.ancestor_G):
            values[takers] = values[sources]
        self.age_G[living] += 1
        self.age_G[takers] = 0
        if self.plan.mutation is not None:
            for g in takers:
                self.rate_G[g] = self.plan.mutation.mutate(
                    {RATE: float(self.rate_G[g])},
                    {RATE: self.plan.rates},
                    [self.seed, round_index, g],
                )[RATE]
        return len(takers)

    def _average(self, round_index: int, living: list[int], strategy: TreeAveraging) -> int:
        """Send partial sums of what is finite up the tree, and the new weights down to all."""
        tree = strategy.tree(living, round_index, self.seed)
        sums = {g: self.error_GD[g] for g in living if np.isfinite(self.error_GD[g]).all()}
        counts = dict.fromkeys(sums, 1)
        nothing = np.zeros_like(self._anchor_D)
        # Children stand behind their parents in the tree's order.
        for group in reversed(list(tree)):
            parent = tree[group][0]
            if parent is not None and group in sums:
                sums[parent] = sums.get(parent, nothing) + sums[group]
                counts[parent] = counts.get(parent, 0) + counts[group]
        root = next(iter(tree))
        if root in sums:
            mean_D = sums[root] / counts[root]
            self._anchor_D, self._velocity_D = strategy.outer_step(
                self._anchor_D, mean_D, self._velocity_D
            )
            self.error_GD[living] = self._anchor_D
            self.champion_D = self._anchor_D
        return len(living)


def simulate(plan: Plan, seed: int, *, until_takeover: bool = False) -> History:
    """Go through a run.

    Args:
        plan: Of the run.
        seed: Of everything in it.
        until_takeover: Whether to end once one ancestor is left.
    """
    groups, history = Population(plan, seed), History()
    start = float(plan.world.excess(groups.error_GD[0]))
    for round_index in range(1, plan.rounds + 1):
        living = groups.train(round_index)
        history.adopted.append(groups.meet(round_index, living) if living else 0)
        with np.errstate(all="ignore"):
            history.excess.append(float(plan.world.excess(groups.champion_D)) / start)
        history.ancestors.append(len(np.unique(groups.ancestor_G)))
        history.living.append(len(living))
        history.rate = groups.champion_rate
        if until_takeover and history.ancestors[-1] == 1:
            break
    return history
