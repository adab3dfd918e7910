"""Where each group's model comes from: pure functions of the record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from combo_lightning.ltfb.record import RoundRecord, Rounds

AVERAGED = "averaged"

# Of one model: the share that each group's first model has in it; shares sum to 1.
Ancestry = Mapping[int, float]


@dataclass(frozen=True)
class Ancestor:
    """A model on the champion's path.

    Args:
        round: After which round; -1: before the first.
        group: Which group trained it.
        came_from: The group whose model came in this round, or the group itself.
        change: What happened: the start, another group's model, a mean of groups, or new
            hyperparameters.
        record: That round's record; None: the start.
        hyperparameters: After the round.
    """

    round: int
    group: int
    came_from: int
    change: Literal["start", "adopted", "averaged", "mutated"]
    record: RoundRecord | None
    hyperparameters: Mapping[str, float]


def parent(record: RoundRecord | None, group: int) -> int:
    """Name the group whose model, as it entered a round, a group has after it.

    A round that a group has no record of left its model alone.
    """
    return record.source if record is not None and record.adopted else group


def ancestries(rounds: Rounds, num_groups: int) -> dict[int, dict[int, Ancestry]]:
    """Follow every model back to the groups' first models.

    What travels in a round is the model with which its group entered the round.

    Args:
        rounds: The record.
        num_groups: Groups of the run.

    Returns:
        For each round, in order, each group's ancestry after it.
    """
    now: dict[int, Ancestry] = {group: {group: 1.0} for group in range(num_groups)}
    found = {}
    for number in round_numbers(rounds):
        now = {g: _after(rounds, number, g, now) for g in now}
        found[number] = now
    return found


def _after(rounds: Rounds, number: int, group: int, before: Mapping[int, Ancestry]) -> Ancestry:
    record = rounds.get((number, group))
    members = [] if record is None else mean_members(record, rounds)
    if not members:
        return before[parent(record, group)]
    shares: dict[int, float] = {}
    for member in members:
        for ancestor, share in before[member].items():
            shares[ancestor] = shares.get(ancestor, 0.0) + share / len(members)
    return dict(sorted(shares.items()))


def mean_members(record: RoundRecord, rounds: Rounds) -> list[int]:
    """List the groups whose models are in the mean that a group took; none: it took no mean.

    A group's `met` names the others. That its own model was in the mean, unless it was not
    finite, is seen from theirs; where none of them is there, it is taken to be.
    """
    if record.reason != AVERAGED:
        return []
    others = [
        rounds[record.round, g]
        for g in record.met
        if g != record.group and (record.round, g) in rounds
    ]
    told = [set(theirs.met) for theirs in others if theirs.reason == AVERAGED]
    own = record.group in record.met or not told or any(record.group in met for met in told)
    return sorted({*record.met, record.group} if own else record.met)


def round_numbers(rounds: Rounds) -> list[int]:
    """Give the numbers of the rounds that some group has a record of, in order."""
    return sorted({number for number, _ in rounds})


def last_records(rounds: Rounds) -> dict[int, RoundRecord]:
    """Give each group's last record."""
    return {group: rounds[number, group] for number, group in sorted(rounds)}


def distinct_ancestors(rounds: Rounds, num_groups: int) -> dict[int, int]:
    """Count, after each round, the first models that live on in the groups that took part."""
    found = {}
    for number, of_group in ancestries(rounds, num_groups).items():
        here = [g for g in of_group if (number, g) in rounds]
        found[number] = len({ancestor for g in here for ancestor in of_group[g]})
    return found


def path_back(rounds: Rounds, group: int) -> dict[int, int]:
    """Name, for each round, the group that had the model from which a group's last one comes.

    Args:
        rounds: The record.
        group: The group at the end, such as the champion.

    Returns:
        The group after each round, in order; -1: before the first round. Of an average, the
        group that took it: its other members are the record's `met`.
    """
    path = {}
    for number in reversed(round_numbers(rounds)):
        path[number] = group
        group = parent(rounds.get((number, group)), group)
    return {-1: group, **dict(sorted(path.items()))}


def changes(rounds: Rounds, group: int) -> list[Ancestor]:
    """Give the models on a group's path back at which group or hyperparameters changed.

    The first is the start; its hyperparameters are those of the path's first record, without
    that record's mutation.
    """
    found: list[Ancestor] = []
    before = path_back(rounds, group)[-1]
    hyperparameters: Mapping[str, float] | None = None
    for number, here in path_back(rounds, group).items():
        record = rounds.get((number, here))
        if record is None:
            before = here
            continue
        if hyperparameters is None:
            hyperparameters = _unmutated(record)
            found.append(Ancestor(-1, before, before, "start", None, hyperparameters))
        change = _change(record, hyperparameters)
        hyperparameters = record.hyperparameters
        if change is not None:
            found.append(Ancestor(number, here, before, change, record, hyperparameters))
        before = here
    return found


def _change(
    record: RoundRecord, before: Mapping[str, float]
) -> Literal["adopted", "averaged", "mutated"] | None:
    if record.adopted and record.source != record.group:
        return "adopted"
    if record.reason == AVERAGED:
        return "averaged"
    changed = bool(record.mutated) or record.hyperparameters != before
    return "mutated" if changed else None


def _unmutated(record: RoundRecord) -> Mapping[str, float]:
    return dict(record.hyperparameters) | {n: old for n, (old, _) in record.mutated.items()}
