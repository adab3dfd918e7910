"""One name for one cell line: the key rule that joins files, and the report of a join."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from combo_lightning.data.cell_names import Identifier, KnownLines, identifier
from combo_lightning.errors import InputError

KEY_RULE = "the key rule"
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
    """Which names of one file were found in another, and how.

    Args:
        what: What was joined to what, for people.
        matched: Wanted name to offered name.
        unmatched: Wanted name to the nearest offered one, or None.
        how: What told, for each wanted name that is spelled otherwise: the key rule, a kind of
            identifier, or a table of names.
    """

    what: str
    matched: dict[str, str]
    unmatched: dict[str, str | None]
    how: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Say it for people: a summary, then one line for each name that was not found."""
        total = len(self.matched) + len(self.unmatched)
        lines = [f"{self.what}: {len(self.matched)} of {total} matched"]
        for how in dict.fromkeys(self.how.values()):
            guessed = [f"{a} = {self.matched[a]}" for a, told in self.how.items() if told == how]
            more = " ..." if len(guessed) > 4 else ""
            lines.append(f"  {len(guessed)} of them by {how}: {', '.join(guessed[:4])}{more}")
        for offered, names in list(self.shared().items())[:10]:
            lines.append(f"  taken as one line: {', '.join(names)} (all are '{offered}' there)")
        for name, nearest in list(self.unmatched.items())[:10]:
            lines.append(
                f"  no match for '{name}'" + (f"; nearest is '{nearest}'" if nearest else "")
            )
        if len(self.unmatched) > 10:
            lines.append(f"  and {len(self.unmatched) - 10} more")
        return lines

    def shared(self) -> dict[str, list[str]]:
        """Give the offered names that several wanted ones were matched to."""
        wanted: dict[str, list[str]] = {}
        for name, offered in self.matched.items():
            wanted.setdefault(offered, []).append(name)
        return {offered: names for offered, names in wanted.items() if len(names) > 1}

    def to_plain(self) -> dict[str, Any]:
        """Give the report as plain values, for ``dataset.json``."""
        return {
            "what": self.what,
            "matched": len(self.matched),
            "guessed": {name: [self.matched[name], how] for name, how in self.how.items()},
            "unmatched": self.unmatched,
        }


def match_names(
    wanted: Sequence[str],
    offered: Iterable[str],
    what: str,
    key: Callable[[str], str] = cell_key,
    known: KnownLines | None = None,
) -> JoinReport:
    """Find each wanted name among the offered ones.

    Exactly; of cell lines also by a registry's identifier, and by the tables of names; else by
    key, unless the tables tell that two names of one key are two lines (TT and T-T).

    Args:
        wanted: Names to find.
        offered: Names that there are.
        what: What is joined, for messages.
        key: The key rule.
        known: Tables of other names of cell lines.

    Returns:
        The report.

    Raises:
        InputError: If a wanted name that none equals could be two offered ones.
    """
    names = Offered(list(dict.fromkeys(offered)), key, known)
    matched: dict[str, str] = {}
    how: dict[str, str] = {}
    unmatched: dict[str, str | None] = {}
    doubts: list[str] = []
    for name in dict.fromkeys(wanted):
        found, told = names.find(name)
        if len(found) > 1:
            doubts.append(
                f"'{name}' could be '{found[0]}' or '{found[1]}', which read alike"
                + (f" by {told}" if told != KEY_RULE else "")
            )
        elif found:
            matched[name] = found[0]
            if found[0] != name:
                how[name] = told
        else:
            unmatched[name] = names.nearest(name)
    if doubts:
        more = f" (and so are {len(doubts) - 1} more names)" if len(doubts) > 1 else ""
        raise InputError(
            f"{what}: {doubts[0]}{more}; rename one of them"
            + (", or put a table that tells them apart first in --cell_names" if known else "")
        )
    return JoinReport(what, matched, unmatched, how)


class Offered:
    """Names that there are, to be found by any of the ways that `match_names` knows.

    Args:
        names: Distinct names.
        key: The key rule.
        known: Tables of other names of cell lines.
    """

    def __init__(
        self, names: Sequence[str], key: Callable[[str], str], known: KnownLines | None
    ) -> None:
        self._key, self._known = key, known
        self._exact = set(names)
        self._by_key: dict[str, list[str]] = {}
        self._by_identifier: dict[Identifier, list[str]] = {}
        self._lines: dict[str, frozenset[int]] = {}
        self._by_line: dict[int, list[str]] = {}
        for name in names:
            self._by_key.setdefault(key(name), []).append(name)
            found = identifier(name) if key is cell_key else None
            if found is not None:
                self._by_identifier.setdefault(found, []).append(name)
            if known is not None:
                self._lines[name] = known.find(name)[0]
                for line in self._lines[name]:
                    self._by_line.setdefault(line, []).append(name)

    def find(self, name: str) -> tuple[list[str], str]:
        """Find one name: what may be meant (several: in doubt), and what told."""
        if name in self._exact:
            return [name], ""
        found = identifier(name) if self._key is cell_key else None
        if found is not None and found in self._by_identifier:
            return self._by_identifier[found], found[0]
        lines, told = self._known.find(name) if self._known is not None else (frozenset(), "")
        by_line = list(dict.fromkeys(o for n in lines for o in self._by_line.get(n, ())))
        if len(lines) == 1 and len(by_line) == 1 and len(self._lines[by_line[0]]) == 1:
            return by_line, told
        key = self._key(name)
        by_key = [
            offered
            for offered in (self._by_key.get(key, ()) if key else ())
            if not lines or not self._lines[offered] or lines & self._lines[offered]
        ]
        if by_key or not by_line:
            return by_key, KEY_RULE
        if len(by_line) == 1 and self._known is not None:
            # One name is offered, but it or the wanted one stands for two lines.
            both = sorted(lines | self._lines[by_line[0]])[:2]
            return [self._known.describe(number) for number in both], told
        return by_line, told

    def nearest(self, name: str) -> str | None:
        """Give the offered name whose key is nearest, if any is near; to identifiers none is."""
        if self._key is cell_key and identifier(name) is not None:
            return None
        nearest = get_close_matches(self._key(name), self._by_key, n=1, cutoff=0.6)
        return self._by_key[nearest[0]][0] if nearest else None
