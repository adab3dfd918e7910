"""What tournaments did, in figures: who won, how often models moved, what it cost."""

import itertools
import json
import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from combo_lightning.ltfb.lineage import AVERAGED, last_records, round_numbers
from combo_lightning.ltfb.plan import Run
from combo_lightning.ltfb.record import RoundRecord

# Rounds by which a group that is alive may be behind.
_BEHIND = 2


@dataclass(frozen=True)
class Cost:
    """What a group's rounds took.

    Args:
        round_seconds: All its rounds.
        whole_seconds: The time that the record covers, rounds included; time in which the group
            did not run is left out.
    """

    round_seconds: float
    whole_seconds: float

    @property
    def share(self) -> float:
        """The rounds' share of the time; NaN where the record is too short to tell."""
        return self.round_seconds / self.whole_seconds if self.whole_seconds > 0 else math.nan


@dataclass(frozen=True)
class Facts:
    """Figures of a run.

    Args:
        meetings: Records in which a group met another.
        adopted: Of these, where another group's model came.
        averaged: Records in which a mean came.
        failed: Records in which a model was to come and did not.
        unmet: Records in which a group met nobody, by reason.
        bytes: What first processes sent and received.
        costs: By group.
        gone: Groups without a record of the last round: their last one, None for none at all.
    """

    meetings: int
    adopted: int
    averaged: int
    failed: list[RoundRecord]
    unmet: dict[str, int]
    bytes: int
    costs: dict[int, Cost]
    gone: dict[int, int | None]

    @property
    def cost(self) -> Cost:
        """The sum over groups."""
        costs = self.costs.values()
        return Cost(sum(c.round_seconds for c in costs), sum(c.whole_seconds for c in costs))


def find_facts(run: Run) -> Facts:
    """Count what the record holds."""
    records = list(run.rounds.values())
    met = [r for r in records if set(r.met) - {r.group}]
    numbers = round_numbers(run.rounds)
    last = {group: record.round for group, record in last_records(run.rounds).items()}
    missing = [g for g in range(run.plan.num_groups) if numbers and last.get(g) != numbers[-1]]
    return Facts(
        meetings=len(met),
        adopted=sum(r.adopted and r.source != r.group for r in met),
        averaged=sum(r.reason == AVERAGED for r in met),
        failed=[r for r in records if r.failed],
        unmet=dict(Counter(r.reason for r in records if not set(r.met) - {r.group})),
        bytes=sum(r.bytes for r in records),
        costs={
            group: find_cost(
                [r for r in records if r.group == group], run.folder / f"group_{group}"
            )
            for group in sorted(last)
        },
        gone={group: last.get(group) for group in missing},
    )


def kept_score(record: RoundRecord, metric: str) -> float:
    """Give the score of the model that a group has after a round; NaN: there is none."""
    group = record.source if record.adopted else record.group
    return record.scores.get(group, {}).get(metric, math.nan)


def leading_group(run: Run) -> int | None:
    """Name the champion, or in a run that has not ended the group with the best last score.

    Only groups that are at most two rounds behind count (they do not all write at once), and the
    rule's first metric; None where nobody has a finite score.
    """
    if run.champion is not None:
        return run.champion.group
    numbers = round_numbers(run.rounds)
    sign = 1.0 if run.plan.lower_is_better else -1.0
    found = [
        (sign * kept_score(record, metric), group)
        for metric in run.plan.metrics[:1]
        for group, record in last_records(run.rounds).items()
        if record.round >= numbers[-1] - _BEHIND and math.isfinite(kept_score(record, metric))
    ]
    return min(found)[1] if found else None


def find_cost(records: list[RoundRecord], folder: Path) -> Cost:
    """Sum up what a group's rounds took, and the time in which it trained.

    The time runs from each record back to the one before it, or to a start of the group where
    one lies between: `run.json` tells when it started, and when it ended.

    Args:
        records: Of one group, in order.
        folder: The group's run folder.
    """
    starts, end = _starts_and_end(folder)
    # What ends at a start is time in which the group did not run, or whose rounds were done again.
    moments = [(start, False) for start in starts]
    moments += [(_seconds(record.time), True) for record in records]
    if end is not None:
        moments.append((end, True))
    moments.sort()
    whole = sum(at - before for (before, _), (at, counts) in itertools.pairwise(moments) if counts)
    # Without a start, the first round has no time before it that it could be a share of.
    timed = records if starts else records[1:]
    return Cost(sum(r.seconds.get("total", 0.0) for r in timed), whole)


def _starts_and_end(folder: Path) -> tuple[list[float], float | None]:
    try:
        record: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        starts = [_seconds(start["at"]) for start in record.get("starts", [])]
        ended = record.get("ended") if record.get("status") == "finished" else None
        return starts, None if ended is None else _seconds(ended)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        # Another project's run folder: the rounds' own times must do.
        return [], None


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
