"""Something that is not as it should be, and the words for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Args:
        text: What, and how to mend it.
        broken: Whether runs will fail; else it is worth a look.
    """

    text: str
    broken: bool = True


def listed(names: Sequence[str]) -> str:
    """Write names as a list for a sentence.

    Example:
        >>> listed(["node1", "node2", "node3"])
        'node1, node2 and node3'
    """
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def by_value(things: Mapping[str, _T], value: Callable[[_T], str]) -> dict[str, list[str]]:
    """Group names by what is said of them.

    Args:
        things: What the names stand for.
        value: What is said of one.
    """
    groups: dict[str, list[str]] = {}
    for name, thing in things.items():
        groups.setdefault(value(thing), []).append(name)
    return groups


def differences(groups: Mapping[str, Sequence[str]]) -> str:
    """Write what is said of whom.

    Example:
        >>> differences({"1.0": ["node1", "node3"], "1.1": ["node2"]})
        '1.0 on node1 and node3; 1.1 on node2'
    """
    return "; ".join(f"{value} on {listed(names)}" for value, names in groups.items())
