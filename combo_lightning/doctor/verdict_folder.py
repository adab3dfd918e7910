"""What the nodes' view of the shared folder means."""

from combo_lightning.doctor.examination import Examination
from combo_lightning.doctor.finding import Finding, by_value, listed
from combo_lightning.doctor.folder import BALL_SECONDS, NOTE_SECONDS, RACES

# Gigabytes: checkpoints of one run of the published network, and what it leaves beside them.
ROOM_GIGABYTES = 2.0


def judge_folders(found: Examination) -> list[Finding]:
    """Judge whether the nodes share the folder, and what it can do."""
    findings = [
        Finding(
            f"{listed(names)} cannot write in the shared folder ({error}): mount it there, or "
            "name another with --shared"
        )
        for error, names in by_value(found.folders, lambda folder: folder.error).items()
        if error
    ]
    findings += _judge_mounts(found)
    room = {
        name: folder.free_gigabytes for name, folder in found.folders.items() if not folder.error
    }
    full = [name for name, gigabytes in room.items() if gigabytes < ROOM_GIGABYTES]
    if full:
        findings.append(
            Finding(
                f"the shared folder has {room[full[0]]:.1f} GB of room on {listed(full)}: make "
                "room for checkpoints",
                broken=False,
            )
        )
    return [*findings, *_judge_races(found), *_judge_swaps(found)]


def _judge_mounts(found: Examination) -> list[Finding]:
    together = found.shared_by
    findings = [
        Finding(
            f"{name} does not see within {NOTE_SECONDS:.0f} s what {listed(together)} wrote in "
            f"the shared folder, or they not what it wrote: on {name} it is "
            f"{found.folders[name].file_system}, elsewhere "
            f"{found.folders[together[0]].file_system}; mount the same on {name}, or name another "
            "with --shared"
        )
        for name in found.notes
        if name not in together
    ]
    late = [name for name, seconds in found.balls.items() if seconds is None]
    if late:
        findings.append(
            Finding(
                f"{together[0]} and {listed(late)} do not see new files of each other within "
                f"{BALL_SECONDS:.0f} s: mount the shared folder with a shorter attribute cache "
                "(NFS: acdirmax)"
            )
        )
    return findings


def _judge_races(found: Examination) -> list[Finding]:
    findings = [
        Finding(
            f"{name} cannot make a hard link in the shared folder ({won}), which independent jobs "
            "of a tournament need: name another folder with --shared"
        )
        for name, won in found.races.items()
        if isinstance(won, str)
    ]
    wins = [won for won in found.races.values() if isinstance(won, list)]
    odd = [i for i in range(RACES) if sum(i in won for won in wins) != 1]
    if wins and odd and not findings:
        findings.append(
            Finding(
                f"of {RACES} hard links that all nodes tried to make at once, {len(odd)} were "
                "made by several or by none: this folder is not safe for runs; name another with "
                "--shared"
            )
        )
    return findings


def _judge_swaps(found: Examination) -> list[Finding]:
    return [
        Finding(
            f"{name} read a file of the shared folder that others replaced, and it was torn "
            f"{swap.torn} times of {swap.read}, missing {swap.missing} times"
            f"{f', and then: {swap.error}' if swap.error else ''}; this folder is not safe for "
            "runs: name another with --shared"
        )
        for name, swap in found.swaps.items()
        if swap.error or swap.torn or swap.missing
    ]
