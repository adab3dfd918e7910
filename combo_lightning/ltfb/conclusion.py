"""The end: a last elimination names the champion among the groups that are there."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from combo_lightning.ltfb.membership import Membership
from combo_lightning.ltfb.place import group_folder
from combo_lightning.ltfb.population import write_json
from combo_lightning.ltfb.tournament import Rule, Standing

CHAMPION = "champion.json"
FINAL = "final.json"
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Final:
    """How a group ended.

    Args:
        group: Which.
        token: Secret of the launch that it ended in.
        step: Its steps.
        scores: Mean of each metric over the tournament rows.
        checkpoint: Its last checkpoint, relative to the run folder.
    """

    group: int
    token: str
    step: int
    scores: dict[str, float]
    checkpoint: str


def conclude(
    membership: Membership, mine: Final, rule: Rule, patience_seconds: float
) -> Final | None:
    """Write down how a group ended, wait for the others, and name the champion if it falls to it.

    It falls to the first of the groups that are about to end. One that comes later finds that it
    was not counted, and names the champion anew among all.

    Args:
        membership: The group's view of the others.
        mine: How the group ended.
        rule: Its metrics and direction.
        patience_seconds: How long groups that still train are waited for.

    Returns:
        The champion, where this group has named it.
    """
    folder, count = membership.place.folder, membership.place.num_groups
    write_final(folder, mine)
    membership.end()
    end = time.monotonic() + patience_seconds
    while True:
        finals = read_finals(folder, count, mine.token)
        if not membership.training() or time.monotonic() > end:
            break
        time.sleep(LOOK_SECONDS)
    champion = None
    if min(membership.waiting()) == mine.group and not _counted(folder, finals, mine.token):
        champion = eliminate(finals.values(), rule)
        write_champion(folder, champion, finals)
    membership.stop(finished=True)
    return champion


def _counted(folder: Path, finals: Iterable[int], token: str) -> bool:
    """Tell whether the champion that is named was chosen among all of these groups."""
    try:
        named = json.loads((folder / CHAMPION).read_text(encoding="utf-8"))
        return named["token"] == token and set(map(str, finals)) <= set(named["scores"])
    except (OSError, ValueError, KeyError):
        return False


def write_final(folder: Path, final: Final) -> None:
    """Write down how a group ended."""
    write_json(group_folder(folder, final.group) / FINAL, asdict(final))


def read_finals(folder: Path, num_groups: int, token: str) -> dict[int, Final]:
    """Read how the groups of a launch ended, those that have."""
    found = {}
    for group in range(num_groups):
        try:
            text = (group_folder(folder, group) / FINAL).read_text(encoding="utf-8")
            plain = json.loads(text)
            plain["scores"] = {name: float(x) for name, x in plain["scores"].items()}
            final = Final(**plain)
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if final.token == token:
            found[group] = final
    return found


def eliminate(finals: Iterable[Final], rule: Rule) -> Final:
    """Name the champion: each group in turn meets the best before it, who stays at a tie.

    Args:
        finals: How groups ended, at least one.
        rule: Its metrics and direction; margins only keep noise from moving weights, and do not
            count here.
    """
    plain = Rule(list(rule.metrics), rule.mode)
    ordered = sorted(finals, key=lambda final: final.group)
    champion = ordered[0]
    for challenger in ordered[1:]:
        verdict = plain.beats(Standing(challenger.scores), Standing(champion.scores), [0])
        if verdict.wins:
            champion = challenger
    return champion


def write_champion(folder: Path, champion: Final, finals: Mapping[int, Final]) -> None:
    """Write ``champion.json``."""
    content = {
        "token": champion.token,
        "group": champion.group,
        "scores": {group: final.scores for group, final in sorted(finals.items())},
        "checkpoint": champion.checkpoint,
        "checkpoints": {group: final.checkpoint for group, final in sorted(finals.items())},
        "step": champion.step,
    }
    write_json(folder / CHAMPION, content)
