"""``python -m scripts.bench.kill_to_end``: how long a run lives on when a process of it is gone.

Kills or stops one rank of a fit of two processes in each phase, and takes the time until the last
of the others has ended. A process that is stopped cannot end itself, and is left out.
"""

import argparse
import os
import signal
import sys
import tempfile
from itertools import product
from pathlib import Path
from statistics import median

from combo_lightning.data.simulator import preset_config, simulate, write_simulation
from tests.parallel.started import Started, options_of

LAYOUTS = {"DDP": "ddp.yaml", "FSDP2": "fsdp.yaml"}
PHASES = ("step", "validation", "saving")
# Early stopping would end it in ten seconds, which is never reached.
ENDLESS = ("--trainer.max_epochs=100000", "--save_every_n_train_steps=2")
# A run that lasts so long beyond the silence has missed that a process is gone.
LIMIT_SECONDS = 60.0
HEADER = """\
| layout | rank | phase | SIGKILL: median s | largest s | SIGSTOP: median s | largest s |
|---|---|---|---|---|---|---|"""


def main() -> int:
    """Measure every cell and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5, help="of each cell")
    parser.add_argument("--silence", type=int, default=5, help="silence_seconds of the fits")
    arguments = parser.parse_args()
    sys.stdout.write(f"{HEADER}\n")
    with tempfile.TemporaryDirectory(prefix="combo_kill_") as name:
        folder = Path(name)
        data = write_simulation(simulate(preset_config("small")), folder / "data", {})
        for layout, rank, phase in product(LAYOUTS, (0, 1), PHASES):
            row = [layout, str(rank), phase]
            for sent in (signal.SIGKILL, signal.SIGSTOP):
                times = []
                for turn in range(arguments.kills):
                    run = folder / "-".join([*row[:3], sent.name, str(turn)])
                    run.mkdir()
                    silence = f"--trainer.strategy.silence_seconds={arguments.silence}"
                    options = options_of(LAYOUTS[layout], data, run, *ENDLESS, silence)
                    fit = Started("run", run, *options)
                    times.append(seconds_to_end(fit, phase, rank, sent, arguments.silence))
                row += [f"{median(times):.1f}", f"{max(times):.1f}"]
            sys.stdout.write(f"| {' | '.join(row)} |\n")
            sys.stdout.flush()
    return 0


def seconds_to_end(
    fit: Started, phase: str, rank: int, sent: signal.Signals, silence: int
) -> float:
    """Send a signal to a rank in a phase; time until the other processes have ended.

    Args:
        fit: Just started.
        phase: See `tests.parallel.phases`.
        rank: Which one.
        sent: SIGKILL or SIGSTOP.
        silence: The fit's ``silence_seconds``.

    Raises:
        RuntimeError: If the fit ended for another reason.
    """
    try:
        pid = fit.wait_for(phase, rank)
        # A process that has not told its pid would not be waited for.
        fit.wait_for(phase, 1 - rank)
        os.kill(pid, sent)
        gone = (pid,) if sent is signal.SIGSTOP else ()
        seconds = fit.wait_for_end(LIMIT_SECONDS + silence, *gone)
        if f"error: rank {rank} on" not in fit.log.read_text():
            raise RuntimeError(f"the fit ended by itself: {fit.log.read_text()}")
        return seconds
    finally:
        fit.end()


if __name__ == "__main__":
    sys.exit(main())
