"""What ends a command with one sentence: bad input, a signal, or a full disk."""

from collections.abc import Iterable
from difflib import get_close_matches
from signal import Signals


class InputError(ValueError):
    """Bad input; the command line shows its text without a traceback and exits with code 2.

    The text names the file, row, column or option, the value found, what was expected and how to
    mend it.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Offer the nearest known spelling of a name.

    Args:
        name: What was found.
        known: What would have been accepted.

    Returns:
        ``"; did you mean 'X'?"``, or an empty text where nothing is near.
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    nearest = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean '{by_lower[nearest[0]]}'?" if nearest else ""


class RunStopped(Exception):
    """A fit was asked to end, by a signal, and has saved where it stands.

    Args:
        signal: The signal's number.
        step: Steps done.
        folder: The run folder.
    """

    def __init__(self, signal: int, step: int, folder: str) -> None:
        super().__init__(
            f"stopped by {Signals(signal).name} at step {step}, which is saved; go on with: "
            f"combo-lightning fit --resume {folder}"
        )
        self.signal = int(signal)


class SaveFailed(OSError):
    """A checkpoint could not be written; every process of the run raises this.

    Args:
        cause: What the system said, on the process that it said it to.
        path: The checkpoint file.
    """

    def __init__(self, cause: OSError, path: str) -> None:
        reason = cause.strerror or str(cause)
        super().__init__(
            cause.errno, f"{reason}; the run ends, and what was saved before is as it was", path
        )
