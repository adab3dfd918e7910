"""``combo-lightning slurm``: what batch scripts and their users need of Slurm."""

import sys
from collections.abc import Sequence

from combo_lightning.errors import InputError, did_you_mean

HELP = """usage: combo-lightning slurm run fit [options of fit]

  run    in a batch script: train, save in time, and go on after a restart
"""


def main(words: Sequence[str]) -> int:
    """Choose the subcommand.

    Args:
        words: What follows ``slurm``.

    Returns:
        The exit code.

    Raises:
        InputError: If there is no such subcommand.
    """
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(HELP)
        return 0 if words else 2
    if words[0] == "run":
        from combo_lightning.cli.slurm_run import main as run

        return run(words[1:])
    raise InputError(f"there is no 'slurm {words[0]}'{did_you_mean(words[0], ['run'])}")
