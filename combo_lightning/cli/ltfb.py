"""``combo-lightning ltfb``: what tournaments between trainer groups did."""

import sys
from pathlib import Path

POSITIONAL = True


def report(run: Path) -> None:
    """Write RUN/report/: a page, the models' lineage, the scores, and a table of all rounds.

    A run that has not ended is told as far as it went.

    Args:
        run: The run's folder, which holds ltfb.json and group_0.

    Raises:
        InputError: If the folder is no run of trainer groups.
    """
    from combo_lightning.ltfb.plan import read_run
    from combo_lightning.report.ltfb_page import FOLDER, write_report

    sys.stdout.write(write_report(read_run(run)))
    sys.stdout.write(f"wrote {run / FOLDER}\n")


def replay(run: Path) -> int:
    """Take every decision of the record again and compare; exit code 1 where one differs.

    Args:
        run: The run's folder, which holds ltfb.json and group_0.

    Returns:
        0: no difference. 1: at least one.

    Raises:
        InputError: If the folder is no run of trainer groups.
    """
    from combo_lightning.ltfb.plan import read_run
    from combo_lightning.ltfb.replay import replay as take_again

    found = take_again(read_run(run))
    for difference in found.differences:
        sys.stdout.write(f"{difference}\n")
    sys.stdout.write(f"{found.summary}\n")
    return 1 if found.differences else 0


SUBCOMMANDS = {"report": report, "replay": replay}
