"""The two kinds of round.

After a tournament losers go on with winners' models; averaging lets all go on with the mean of all
models, which is formed over a tree.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from combo_lightning.ltfb.meeting import Meeting, Spent
from combo_lightning.ltfb.strategies import Choice, Strategy, TreeAveraging
from combo_lightning.ltfb.tournament import Rule, Standing

# Words that go with a partial sum.
_GROUPS = "groups"
_LENGTH = "length"
# Weights so many times as long as the median group's have diverged.
FAR = 10.0


@dataclass
class Outcome:
    """What a round did to a group.

    Args:
        living: Groups that were alive, as this one saw it.
        choice: What was decided for it.
        standings: The scores that it decided on, by group; empty where models are averaged.
        met: The groups that it met.
        adopted: Whether it has another model now.
    """

    living: list[int]
    choice: Choice
    standings: dict[int, Standing] = field(default_factory=dict)
    met: list[int] = field(default_factory=list)
    adopted: bool = False


def keep(group: int, reason: str) -> Choice:
    """Keep one's own model."""
    return Choice(group, mutate=False, margin=float("nan"), reason=reason)


@dataclass(frozen=True)
class Tournament:
    """Rounds in which scores decide whose model goes on.

    Args:
        strategy: Who meets, and who adopts from whom.
        rule: When a model is better.
        seed: Of the run; equal in all groups.
        own_rows: Whether each group scores on tournament rows of its own: then models travel
            before they are scored, and each group decides for itself.
    """

    strategy: Strategy
    rule: Rule
    seed: int
    own_rows: bool = False

    def partners(self, group: int, living: Sequence[int], round_index: int) -> list[int]:
        """Tell whom a group waits for in a round."""
        met: list[int] = self.strategy.meets(group, living, round_index, self.seed)
        return met

    def hold(
        self, meeting: Meeting, round_index: int, batches: Iterable[Any], age: int, spent: Spent
    ) -> Outcome:
        """Go through a round; all ranks of a group together.

        Args:
            meeting: This rank's means.
            round_index: The round, from 1.
            batches: The tournament rows.
            age: Rounds since the group's model was taken over or changed.
            spent: Counts time and bytes.
        """
        living = meeting.living(round_index)
        others = self.partners(meeting.group, living, round_index)
        standing = meeting.score(batches, spent, age)
        standings = meeting.exchange_notes(round_index, standing, others, spent)
        outcome = Outcome(living, keep(meeting.group, "alone"), standings)
        outcome.met = sorted(set(standings) - {meeting.group})
        if others and not outcome.met:
            outcome.choice = keep(meeting.group, "no answer")
        if not outcome.met:
            return outcome
        if self.own_rows:
            self._judge_here(meeting, round_index, batches, outcome, spent)
        else:
            self._follow_scores(meeting, round_index, outcome, spent)
        return outcome

    def _follow_scores(
        self, meeting: Meeting, round_index: int, outcome: Outcome, spent: Spent
    ) -> None:
        """Decide by the scores that all know: only those who lost fetch a model."""
        choices = self.strategy.decide(outcome.standings, self.rule, round_index, self.seed)
        outcome.choice = choices[meeting.group]
        for other, choice in sorted(choices.items()):
            if other != meeting.group and choice.source == meeting.group:
                meeting.send(round_index, other, spent)
        if outcome.choice.source != meeting.group:
            like = meeting.state.tensors()
            found = meeting.receive(round_index, outcome.choice.source, like, spent)
            if found is not None:
                meeting.state.adopt(*found)
                outcome.adopted = True

    def _judge_here(
        self,
        meeting: Meeting,
        round_index: int,
        batches: Iterable[Any],
        outcome: Outcome,
        spent: Spent,
    ) -> None:
        """Fetch the partner's model, score it on this group's rows, and keep the better."""
        (partner,) = outcome.met
        like = meeting.state.tensors()
        found = None
        # The lower sends first.
        for turn in sorted((meeting.group, partner)):
            if turn == meeting.group:
                meeting.send(round_index, partner, spent)
            else:
                found = meeting.receive(round_index, partner, like, spent)
        if found is None:
            outcome.choice = keep(meeting.group, "no answer")
            return
        mine = [tensor.clone() for tensor in meeting.state.weights().values()]
        meeting.state.write_weights(found[0][: len(mine)])
        theirs = meeting.score(batches, spent)
        meeting.state.write_weights(mine)
        outcome.standings[partner] = Standing(
            theirs.scores, theirs.rows, outcome.standings[partner].age
        )
        verdict = self.rule.beats(
            theirs, outcome.standings[meeting.group], [self.seed, round_index, meeting.group]
        )
        source = partner if verdict.wins else meeting.group
        outcome.choice = Choice(source, verdict.wins, verdict.margin, verdict.reason)
        if verdict.wins:
            meeting.state.adopt(*found)
            outcome.adopted = True


class Averaging:
    """Rounds in which the living groups' weights are averaged over a binary tree.

    Partial sums go up the tree, the mean comes down. A group whose weights are not finite, or ten
    times as long as the median group's, adds nothing and gets the mean, with moments that are not
    finite set to zero. Optimizers' moments stay where they are.

    Args:
        strategy: The tree, and the outer momentum.
        seed: Of the run; equal in all groups.
    """

    def __init__(self, strategy: TreeAveraging, seed: int) -> None:
        self.strategy = strategy
        self.seed = seed
        # The weights after the last round and the outer momentum, where it is used.
        self._anchor: list[Tensor] = []
        self._velocity: list[Tensor] = []

    def partners(self, group: int, living: Sequence[int], round_index: int) -> list[int]:
        """Tell whom a group waits for in a round."""
        return sorted(set(living) - {group})

    @torch.no_grad()
    def hold(self, meeting: Meeting, round_index: int, spent: Spent) -> Outcome:
        """Go through a round; all ranks of a group together."""
        living = meeting.living(round_index)
        # All wait for all, so that they draw one tree: of those who have come.
        others = self.partners(meeting.group, living, round_index)
        mine = _floating(meeting.state.weights())
        finite = meeting.agree(done=meeting.state.finite())
        length = meeting.state.length() if finite else math.inf
        standing = Standing.from_rows({_LENGTH: np.array([length])})
        here = meeting.exchange_notes(round_index, standing, others, spent)
        adds = meeting.group in members({g: s.scores[_LENGTH] for g, s in here.items()})
        tree = self.strategy.tree(sorted(here), round_index, self.seed)
        parent, children = tree[meeting.group]
        total = [t.clone() if adds else torch.zeros_like(t) for t in mine]
        groups = [meeting.group] if adds else []
        for child in children:
            found = meeting.receive(round_index, child, mine, spent)
            if found is not None:
                for own, theirs in zip(total, found[0], strict=True):
                    own.add_(theirs.to(own.device))
                groups += found[1][_GROUPS]
        if parent is None:
            mean = [t / max(1, len(groups)) for t in total]
        else:
            meeting.send(round_index, parent, spent, (total, {_GROUPS: groups}))
            above = meeting.receive(round_index, parent, mine, spent, turns=len(tree))
            if above is None:
                return Outcome(living, keep(meeting.group, "no answer"))
            mean, groups = above[0], above[1][_GROUPS]
        for child in children:
            meeting.send(round_index, child, spent, (mean, {_GROUPS: groups}))
        if not groups:
            return Outcome(living, keep(meeting.group, "not finite"))
        self._take(meeting, mine, mean)
        met = sorted(set(groups) - {meeting.group})
        reason = "averaged" if met else "no answer" if others else "alone"
        return Outcome(living, keep(meeting.group, reason), met=met, adopted=bool(met))

    def _take(self, meeting: Meeting, mine: Sequence[Tensor], mean: Sequence[Tensor]) -> None:
        """Go on from the mean, or from an outer step towards it."""
        outer = self.strategy.outer_momentum or self.strategy.outer_learning_rate != 1.0
        if outer and self._anchor:
            self._velocity = self._velocity or [torch.zeros_like(t) for t in self._anchor]
            steps = [
                self.strategy.outer_step(anchor, average.to(anchor.device), velocity)
                for anchor, average, velocity in zip(
                    self._anchor, mean, self._velocity, strict=True
                )
            ]
            mean, self._velocity = [s[0] for s in steps], [s[1] for s in steps]
        for own, average in zip(mine, mean, strict=True):
            own.copy_(average)
        if outer:
            self._anchor = [t.clone() for t in mine]
        meeting.state.mend_moments()

    def state_dict(self) -> dict[str, Any]:
        """Give the outer momentum, for a checkpoint."""
        return {"anchor": self._anchor, "velocity": self._velocity}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with what `state_dict` gave."""
        self._anchor, self._velocity = list(state["anchor"]), list(state["velocity"])


def members(length: Mapping[int, float]) -> list[int]:
    """Choose the groups whose weights are averaged.

    Args:
        length: Norm of each group's weights.
    """
    finite = {group: x for group, x in length.items() if math.isfinite(x)}
    limit = FAR * median(finite.values()) if finite else 0.0
    return [group for group, x in finite.items() if x <= limit]


def _floating(weights: Mapping[str, Tensor]) -> list[Tensor]:
    """Give the weights that can be averaged; counters cannot."""
    return [t for t in weights.values() if t.is_floating_point()]


def same_start(meeting: Meeting, spent: Spent) -> None:
    """Let all groups begin with the weights of the first living one, as averaging needs.

    Args:
        meeting: This rank's means.
        spent: Counts time and bytes.
    """
    living = meeting.living()
    first, rest = living[0], living[1:]
    if meeting.group == first:
        for other in rest:
            meeting.send(0, other, spent)
        return
    found = meeting.receive(0, first, meeting.state.tensors(), spent)
    if found is not None:
        meeting.state.adopt(found[0], {})
