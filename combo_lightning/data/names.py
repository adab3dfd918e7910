"""One name for one cell line: the key rule that joins files, and the report of a join."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from combo_lightning.errors import InputError

_TISSUE_PREFIX = re.compile(r"^[A-Za-z]{2,3}:")
# Suffixes that name a repository or a subline in one file and are absent in another.
_SUFFIXES = ("/ATCC", "(TB)")
# What tells drugs apart and is no letter of the alphabet.
_MARKS = {
    "(+)": "plus", "(-)": "minus", "(−)": "minus", "(±)": "plusminus", "(+/-)": "plusminus",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ω": "omega",
}  # fmt: skip


def cell_key(name: str) -> str:
    """Reduce a cell line's name to the key that all spellings share.

    ``A549/ATCC`` and ``LC:A549`` give ``A549``, ``HL-60(TB)`` gives ``HL60``, ``BR:MDA_MB_231``
    gives ``MDAMB231``.

    Args:
        name: The name in whatever file.

    Returns:
        Letters and digits in upper case, without tissue prefix and repository suffix.

    Source:
        The spellings of NCI-ALMANAC and CellMiner files, side by side.
    """
    text = _TISSUE_PREFIX.sub("", name.strip()).upper()
    for suffix in _SUFFIXES:
        text = text.removesuffix(suffix)
    key = re.sub(r"[^A-Z0-9]", "", text)
    # Keys made by others from the same names carry the suffix without its punctuation.
    return {"HL60TB": "HL60", "A549ATCC": "A549", "MDAMB231ATCC": "MDAMB231"}.get(key, key)


def drug_key(name: str) -> str:
    """Reduce a drug's name to letters and digits in lower case.

    Greek letters are spelled out and the signs of mirror images kept, since they tell compounds
    apart: ``(+)-JQ1`` gives ``plusjq1``, ``β-Lapachone`` gives ``betalapachone``.
    """
    text = name.lower()
    for mark, word in _MARKS.items():
        text = text.replace(mark, word)
    return re.sub(r"[^a-z0-9]", "", text)


@dataclass(frozen=True)
class JoinReport:
    """Which names of one file were found in another.

    Args:
        what: What was joined to what, for people.
        matched: Wanted name to offered name.
        unmatched: Wanted name to the nearest offered one, or None.
    """

    what: str
    matched: dict[str, str]
    unmatched: dict[str, str | None]

    def lines(self) -> list[str]:
        """Say it for people: a summary, then one line for each name that was not found."""
        total = len(self.matched) + len(self.unmatched)
        lines = [f"{self.what}: {len(self.matched)} of {total} matched"]
        guessed = {a: b for a, b in self.matched.items() if a != b}
        if guessed:
            shown = ", ".join(f"{a} = {b}" for a, b in list(guessed.items())[:4])
            more = " ..." if len(guessed) > 4 else ""
            lines.append(f"  {len(guessed)} of them by the key rule: {shown}{more}")
        for name, nearest in list(self.unmatched.items())[:10]:
            lines.append(
                f"  no match for '{name}'" + (f"; nearest is '{nearest}'" if nearest else "")
            )
        if len(self.unmatched) > 10:
            lines.append(f"  and {len(self.unmatched) - 10} more")
        return lines

    def to_plain(self) -> dict[str, Any]:
        """Give the report as plain values, for ``dataset.json``."""
        return {
            "what": self.what,
            "matched": len(self.matched),
            "unmatched": self.unmatched,
        }


def match_names(
    wanted: Sequence[str],
    offered: Iterable[str],
    what: str,
    key: Callable[[str], str] = cell_key,
) -> JoinReport:
    """Find each wanted name among the offered ones: exactly, else by key.

    Args:
        wanted: Names to find.
        offered: Names that there are.
        what: What is joined, for messages.
        key: The key rule.

    Returns:
        The report.

    Raises:
        InputError: If two offered names share the key of a wanted one that none equals.
    """
    offered = list(dict.fromkeys(offered))
    exact = set(offered)
    by_key: dict[str, list[str]] = {}
    for name in offered:
        by_key.setdefault(key(name), []).append(name)
    matched: dict[str, str] = {}
    unmatched: dict[str, str | None] = {}
    for name in dict.fromkeys(wanted):
        found = [name] if name in exact else by_key.get(key(name), [])
        if len(found) > 1:
            raise InputError(
                f"{what}: '{name}' could be '{found[0]}' or '{found[1]}', which read alike; "
                "rename one of them"
            )
        if found:
            matched[name] = found[0]
        else:
            nearest = get_close_matches(key(name), by_key, n=1, cutoff=0.6)
            unmatched[name] = by_key[nearest[0]][0] if nearest else None
    return JoinReport(what, matched, unmatched)
