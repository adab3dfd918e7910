"""``combo-lightning info PATH``: describe a data set."""

from pathlib import Path

POSITIONAL = True


def run(path: Path) -> None:
    """Describe a data set.

    Args:
        path: The data set's directory.
    """
    raise SystemExit(f"{path}: not there yet")
