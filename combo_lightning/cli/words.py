"""The words of a command line, read without a parser."""

from collections.abc import Sequence


def value_of(option: str, words: Sequence[str]) -> str | None:
    """Find the value of an option on the command line; the last counts."""
    found = None
    for i, word in enumerate(words):
        if word == option and i + 1 < len(words):
            found = words[i + 1]
        if word.startswith(f"{option}="):
            found = word.split("=", 1)[1]
    return found
