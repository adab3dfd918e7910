"""The one exception class that means: the user's input is at fault, not the program."""

from collections.abc import Iterable
from difflib import get_close_matches


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
