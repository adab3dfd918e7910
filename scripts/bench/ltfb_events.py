"""``python -m scripts.bench.ltfb_events``: what the loss of a trainer group costs the others.

Three groups that all meet each round; one is killed or stopped in a phase of a round. The time
lost is what a survivor's rounds took longer than its median round, summed; the worst survivor's.
"""

import json
import signal
import sys
import tempfile
from pathlib import Path
from statistics import median

from combo_lightning.ltfb.membership import EXPIRY_SECONDS
from combo_lightning.ltfb.record import read_rounds
from tests.ltfb.processes import Groups
from tests.ltfb.test_lost_groups import PHASES, DieAt, train_with_truncation
from tests.ltfb.toy import EVERY

OUT = Path("runs/bench/ltfb_events.json")
ROUNDS = 10


def lost_seconds(folder: Path, channel: str, phase: str, number: int) -> tuple[float, int]:
    """Lose a group, and give the others' lost seconds, and how many of them ended well.

    Raises:
        SystemExit: If the group was not lost.
    """
    lost = 1 if phase == "moving" else 0
    setting = {
        "every_n_train_steps": EVERY,
        "save_every_n_rounds": 0,
        "channel": channel,
        # Independent jobs do not wait for each other at the start: they need time to overlap.
        "slow": 0.05,
    }
    rates = [1e-6, 0.05, 1e-5]
    last = [DieAt(lost, 2, phase, number)]
    work = (train_with_truncation, folder, rates, ROUNDS * EVERY, setting, last, EXPIRY_SECONDS)
    groups = Groups(3, 1, folder, *work).start()
    others = [group for group in range(3) if group != lost]
    ended = groups.wait(*others)
    groups.signal(lost, signal.SIGKILL)
    if groups.wait(lost)[lost, 0].code != -signal.SIGKILL:
        raise SystemExit(f"the group never came to the phase '{phase}'")
    worst = 0.0
    rounds = read_rounds(folder)
    for group in others:
        total = [r.seconds["total"] for (_, g), r in rounds.items() if g == group]
        worst = max(worst, sum(total) - len(total) * median(total))
    return worst, sum(end.code == 0 for end in ended.values())


def main() -> int:
    """Lose a group in every way, print a table and write JSON."""
    found = {}
    sys.stdout.write("| event | memory | directory |\n|---|---|---|\n")
    events = [("killed", phase, signal.SIGKILL) for phase in PHASES]
    events += [("stopped", phase, signal.SIGSTOP) for phase in ("scoring", "moving")]
    for name, phase, number in events:
        cells = []
        for channel in ("memory", "directory"):
            with tempfile.TemporaryDirectory() as folder:
                seconds, well = lost_seconds(Path(folder), channel, phase, number)
            found[f"{name}, {phase}, {channel}"] = {"seconds": seconds, "ended_well": well}
            cells.append(
                f"{seconds:.1f} s" if well == 2 else f"{seconds:.1f} s, {well} of 2 ended"
            )
        sys.stdout.write(f"| {name} while {phase} | {' | '.join(cells)} |\n")
        sys.stdout.flush()
    OUT.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
