"""Taking every decision of a record again, with the functions that took it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from combo_lightning.errors import InputError, did_you_mean
from combo_lightning.ltfb.lineage import AVERAGED, mean_members, round_numbers
from combo_lightning.ltfb.plan import PLAN, Plan, Run
from combo_lightning.ltfb.record import RoundRecord, Rounds
from combo_lightning.ltfb.strategies import (
    Choice,
    RandomPairwise,
    RegularizedEvolution,
    Strategy,
    TreeAveraging,
    TruncationSelection,
)
from combo_lightning.ltfb.tournament import Rule, Standing

_STRATEGIES: Mapping[str, type[Strategy] | type[TreeAveraging]] = {
    made.__name__: made
    for made in (RandomPairwise, TruncationSelection, RegularizedEvolution, TreeAveraging)
}
# Why a group met nobody, though it was to: the others' absence cannot be derived again.
_ABSENCE = ("late", "no answer")
_ALONE = "alone"


@dataclass(frozen=True)
class Replay:
    """What came of taking the decisions again.

    Args:
        records: Records that were looked at.
        rounds: Rounds that they belong to.
        decisions: Records that hold a decision: their group met another.
        differences: A sentence for each thing that is not as it was recorded.
    """

    records: int
    rounds: int
    decisions: int
    differences: list[str]

    @property
    def summary(self) -> str:
        """Tell all in a line."""
        found = len(self.differences)
        outcome = "no difference" if not found else f"{found} difference{'s' * (found > 1)}"
        return (
            f"replayed {self.records:,} records of {self.rounds:,} rounds, {self.decisions:,} "
            f"with a decision: {outcome}"
        )


def replay(run: Run) -> Replay:
    """Take every decision again and compare partner, source, margin and reason.

    A group's record is checked by itself, with what it knew, and against those of the groups that
    it met. Of an average, membership is checked: its weights are not in the record.

    Args:
        run: The run, finished or not.

    Raises:
        InputError: If its strategy or rule is none of this package.
    """
    strategy, rule = build_strategy(run.plan), build_rule(run.plan)
    differences = []
    for (number, group), record in run.rounds.items():
        if isinstance(strategy, TreeAveraging):
            found = [
                *_check_average(record, strategy, run),
                *_check_means(record, run.rounds),
            ]
        else:
            found = [*_check_choice(record, strategy, rule, run.plan)]
            # On rows of one's own the other's model has another score than on its own rows.
            found += [] if run.plan.own_rows else _check_accounts(record, run.rounds)
        differences += [f"round {number}, group {group}: {sentence}" for sentence in found]
    return Replay(
        records=len(run.rounds),
        rounds=len(round_numbers(run.rounds)),
        decisions=sum(bool(_others(record)) for record in run.rounds.values()),
        differences=differences,
    )


def build_strategy(plan: Plan) -> Strategy | TreeAveraging:
    """Build the strategy that a run was played by.

    Raises:
        InputError: If there is no such strategy, or it has no such arguments.
    """
    name, arguments = plan.strategy["name"], plan.strategy["arguments"]
    if name not in _STRATEGIES:
        raise InputError(
            f"{PLAN}: the strategy is '{name}'{did_you_mean(name, _STRATEGIES)}; replay knows "
            f"{', '.join(_STRATEGIES)}"
        )
    try:
        return _STRATEGIES[name](**arguments)
    except TypeError as error:
        raise InputError(f"{PLAN}: 'strategy' has strange 'arguments': {error}") from error


def build_rule(plan: Plan) -> Rule:
    """Build the rule that a run was played by.

    Raises:
        InputError: If there is no such rule.
    """
    try:
        arguments: Mapping[str, Any] = {**plan.rule, "metrics": list(plan.metrics)}
        rule = Rule(**arguments)
        # Of an average nobody is judged.
        if plan.strategy["name"] != TreeAveraging.__name__:
            rule.check()
    except TypeError as error:
        raise InputError(f"{PLAN}: 'rule' is strange: {error}") from error
    return rule


def _check_choice(
    record: RoundRecord, strategy: Strategy, rule: Rule, plan: Plan
) -> Iterator[str]:
    """Say what differs in a record of its own."""
    group, met = record.group, _others(record)
    drawn = set(strategy.meets(group, record.living, record.round, plan.seed))
    if group not in record.living:
        yield f"'living' is {list(record.living)}, without the group itself"
    if met - drawn:
        yield f"met {sorted(met)}, but {sorted(drawn) or 'nobody'} was to be met"
        return
    if not met or record.reason in _ABSENCE:
        yield from _check_alone(record, drawn - met)
        return
    wanted = met | {group}
    if set(record.scores) != wanted or not wanted <= set(record.ages):
        yield (
            f"scores of groups {sorted(record.scores)} and ages of {sorted(record.ages)}, "
            f"but {sorted(wanted)} met"
        )
        return
    try:
        choice = _decide(record, strategy, rule, plan)
    except InputError as error:
        yield f"cannot be decided again: {error}"
        return
    if record.source != choice.source:
        yield f"source is {record.source}, replayed {choice.source} ({choice.reason})"
    if not _same(record.margin, choice.margin):
        yield f"margin is {record.margin}, replayed {choice.margin}"
    if record.reason != choice.reason and not record.failed:
        yield f"reason is '{record.reason}', replayed '{choice.reason}'"
    if record.mutated and not (record.adopted and choice.mutate):
        yield f"mutated {', '.join(record.mutated)}, though no model came"


def _check_alone(record: RoundRecord, drawn: set[int]) -> Iterator[str]:
    if drawn and record.reason not in _ABSENCE:
        yield f"met nobody, '{record.reason}', but {sorted(drawn)} was to be met"
    if record.source != record.group:
        yield f"source is {record.source}, though '{record.reason}'"
    if record.mutated:
        yield f"mutated {', '.join(record.mutated)}, though '{record.reason}'"


def _decide(record: RoundRecord, strategy: Strategy, rule: Rule, plan: Plan) -> Choice:
    """Decide for the group that wrote a record, as `rounds.Tournament` does."""
    group, standings = record.group, _standings(record)
    if not plan.own_rows:
        return strategy.decide(standings, rule, record.round, plan.seed)[group]
    (partner,) = _others(record)
    seed = [plan.seed, record.round, group]
    verdict = rule.beats(standings[partner], standings[group], seed)
    source = partner if verdict.wins else group
    return Choice(source, verdict.wins, verdict.margin, verdict.reason)


def _standings(record: RoundRecord) -> dict[int, Standing]:
    return {
        group: Standing(
            scores=record.scores[group],
            rows=None if record.rows is None else record.rows.get(group),
            age=record.ages[group],
        )
        for group in sorted(record.scores)
    }


def _check_accounts(record: RoundRecord, rounds: Rounds) -> Iterator[str]:
    """Compare what two groups that met say of the other's model."""
    for other in sorted(_others(record)):
        theirs = rounds.get((record.round, other))
        if theirs is None or record.group not in theirs.met:
            continue
        mine, own = record.scores.get(other, {}), theirs.scores.get(other, {})
        for metric in sorted({*mine, *own}):
            told, true = mine.get(metric, math.nan), own.get(metric, math.nan)
            if not _same(told, true):
                yield f"{metric} of group {other} is {told}, but {true} in its own record"
        if record.ages.get(other) != theirs.ages.get(other):
            yield (
                f"age of group {other} is {record.ages.get(other)}, but "
                f"{theirs.ages.get(other)} in its own record"
            )


def _check_average(record: RoundRecord, strategy: TreeAveraging, run: Run) -> Iterator[str]:
    """Say what differs in a record of an average: who can have been in it."""
    tree = set(strategy.tree(record.living, record.round, run.plan.seed))
    if record.group not in tree:
        yield f"is not in the tree of {sorted(tree)}"
    # A member may have seen more groups alive, and put them below itself.
    for member in _others(record):
        theirs = run.rounds.get((record.round, member))
        if theirs is not None and member in tree:
            tree |= set(strategy.tree(theirs.living, record.round, run.plan.seed))
    if set(record.met) - tree:
        yield f"mean of groups {sorted(record.met)}, but the tree holds {sorted(tree)}"
    if record.reason == AVERAGED and not record.met:
        yield "mean of no group"
    if record.source != record.group:
        yield f"source is {record.source}, but an average has none"


def _check_means(record: RoundRecord, rounds: Rounds) -> Iterator[str]:
    """Compare the members of the mean that went down one tree."""
    for other in sorted(_others(record)):
        theirs = rounds.get((record.round, other))
        if theirs is None or {record.reason, theirs.reason} != {AVERAGED}:
            continue
        mine, members = mean_members(record, rounds), mean_members(theirs, rounds)
        if other > record.group and mine != members:
            yield f"mean of groups {mine}, but that of group {other} is of {members}"


def _others(record: RoundRecord) -> set[int]:
    return set(record.met) - {record.group}


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))
