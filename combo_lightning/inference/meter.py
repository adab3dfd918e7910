"""How far a long command is: a bar in a terminal, a line every half minute in a log."""

import logging
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30.0


class Meter:
    """Shows the share done, the rate and the time left.

    Args:
        total: Scores in all.
        done: Scores done before.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self._total = total
        self._before = done
        self._start = self._said = time.monotonic()
        self._bar = Progress(
            TaskProgressColumn(),
            BarColumn(),
            TextColumn("{task.fields[rate]:,.0f} scores a second,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, completed=done, rate=0.0)

    def __enter__(self) -> "Meter":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def reach(self, done: int) -> None:
        """Show that this many are done."""
        now = time.monotonic()
        rate = (done - self._before) / max(now - self._start, 1e-9)
        self._bar.update(self._task, completed=done, rate=rate)
        if self._bar.disable and now - self._said > SECONDS_BETWEEN_LINES:
            self._said = now
            logger.info(
                "%.1f %% done, %s scores a second, %s left",
                100 * done / self._total,
                f"{rate:,.0f}",
                _clock((self._total - done) / max(rate, 1e-9)),
            )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
