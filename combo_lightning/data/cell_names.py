"""Other names of cell lines: identifiers of public registries, and tables of synonyms."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

# Shapes that name a line in a registry wherever they stand; the group is the identifier itself.
# COSMIC numbers of cell lines have six or seven digits, GDSC's columns carry them as DATA.906826.
_IDENTIFIERS = {
    "ModelID": re.compile(r"(ACH-\d{6})", re.IGNORECASE),
    "Cellosaurus accession": re.compile(r"(?:RRID:\s*)?(CVCL_[A-Z0-9]{4})", re.IGNORECASE),
    "Sanger model id": re.compile(r"(SIDM\d{5})", re.IGNORECASE),
    "COSMIC id": re.compile(r"(?:COSMIC[:_ ]?|DATA\.)?(\d{6,7})(?:\.0)?", re.IGNORECASE),
}

Identifier = tuple[str, str]
_Text = TypeVar("_Text", str, Identifier)


def identifier(name: str) -> Identifier | None:
    """Tell a registry's identifier from a name: its kind and itself, in upper case."""
    text = name.strip()
    for kind, shape in _IDENTIFIERS.items():
        match = shape.fullmatch(text)
        if match:
            return kind, match.group(1).upper()
    return None


@dataclass(frozen=True)
class KnownLine:
    """One cell line of a table of names.

    Args:
        name: Its name there.
        others: Synonyms and identifiers.
        tissue: Where the table tells.
    """

    name: str
    others: tuple[str, ...] = ()
    tissue: str | None = None


# The first levels of a table are found by spelling, the others by key.
_BY_KEY = 2


@dataclass
class _Table:
    """One table's lines, found by name, by any name, and by the keys of both."""

    title: str
    levels: tuple[dict[str, tuple[int, ...]], ...] = field(
        default_factory=lambda: ({}, {}, {}, {})
    )


class KnownLines:
    """Tables of names, in which a line is found by any of its names.

    Lines of several tables that share an identifier are one line; lines of one table never are.
    The first table that knows a name decides, so that a user's own table corrects a public one
    after it.

    Args:
        tables: Lines by the table's title, the one to believe first comes first.
        key: The key rule; see `combo_lightning.data.names.cell_key`.
    """

    def __init__(
        self, tables: Mapping[str, Iterable[KnownLine]], key: Callable[[str], str]
    ) -> None:
        self._key = key
        self._lines: list[KnownLine] = []
        self._parent: list[int] = []
        self._by_identifier: dict[Identifier, tuple[int, ...]] = {}
        self._tables: list[_Table] = []
        starts = []
        for title, lines in tables.items():
            self._tables.append(_Table(title))
            starts.append(len(self._lines))
            for line in lines:
                self._add(line, self._tables[-1])
        for same in self._by_identifier.values():
            if len({bisect_right(starts, number) for number in same}) == len(same):
                for number in same[1:]:
                    self._join(same[0], number)
        self._members: dict[int, list[KnownLine]] = {}
        for number, line in enumerate(self._lines):
            self._members.setdefault(self._root(number), []).append(line)

    def __len__(self) -> int:
        return len(self._lines)

    def _add(self, line: KnownLine, table: _Table) -> None:
        number = len(self._lines)
        self._lines.append(line)
        self._parent.append(number)
        names = (line.name, *line.others)
        for name in names:
            found = identifier(name)
            if found is not None:
                _put(self._by_identifier, found, number)
        exact, any_exact, by_key, any_key = table.levels
        _put(exact, line.name, number)
        _put(by_key, self._key(line.name), number)
        for name in names:
            _put(any_exact, name, number)
            _put(any_key, self._key(name), number)

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            number = self._parent[number]
        return number

    def _join(self, a: int, b: int) -> None:
        a, b = sorted((self._root(a), self._root(b)))
        self._parent[b] = a

    def find(self, name: str) -> tuple[frozenset[int], str]:
        """Find the lines that a name may stand for.

        A table's own names come before synonyms, and spellings before keys.

        Args:
            name: Any name or identifier.

        Returns:
            Numbers of the lines, more than one where the name is ambiguous, none where no table
            knows it; and what told: a kind of identifier or a table's title.
        """
        found = identifier(name)
        if found is not None and found in self._by_identifier:
            return frozenset(self._root(n) for n in self._by_identifier[found]), found[0]
        key = self._key(name)
        for table in self._tables:
            for place, level in enumerate(table.levels):
                text = name if place < _BY_KEY else key
                numbers = level.get(text, ()) if text else ()
                lines = frozenset(self._root(n) for n in numbers)
                if place >= _BY_KEY:
                    lines = self._not_contradicted(lines, name)
                if lines:
                    return lines, table.title
        return frozenset(), ""

    def _not_contradicted(self, lines: frozenset[int], name: str) -> frozenset[int]:
        """Leave out lines of a name's key that another table, which spells the name, tells apart.

        GDSC's T-T is not TT, which Model.csv has too: their COSMIC ids differ.
        """
        levels = (level for table in self._tables for level in table.levels[:_BY_KEY])
        spelled = frozenset(self._root(n) for level in levels for n in level.get(name, ()))
        if spelled & lines:
            return spelled & lines
        told = [self._identifiers(number) for number in spelled]
        return frozenset(
            line
            for line in lines
            if not any(
                own[kind].isdisjoint(values)
                for own in told
                for kind, values in self._identifiers(line).items()
                if kind in own
            )
        )

    def _identifiers(self, root: int) -> dict[str, set[str]]:
        """Give a line's identifiers by kind."""
        names = (name for line in self._members[root] for name in (line.name, *line.others))
        known: dict[str, set[str]] = {}
        for kind, value in filter(None, map(identifier, names)):
            known.setdefault(kind, set()).add(value)
        return known

    def describe(self, number: int) -> str:
        """Name a line for people: as its table does, with its first identifier."""
        line = self._lines[number]
        known = next((o for o in line.others if identifier(o)), None)
        return f"{line.name} ({known})" if known else line.name

    def tissue(self, name: str) -> str | None:
        """Give a line's tissue; None where it is unknown or the name is ambiguous."""
        roots, _ = self.find(name)
        if len(roots) != 1:
            return None
        told = {line.tissue for line in self._members[next(iter(roots))]} - {None, ""}
        return next(iter(told)) if len(told) == 1 else None

    def synonyms(self, name: str) -> list[str]:
        """Give all other names of a line; empty where it is unknown or the name is ambiguous."""
        roots, _ = self.find(name)
        if len(roots) != 1:
            return []
        members = self._members[next(iter(roots))]
        return sorted({n for line in members for n in (line.name, *line.others)} - {name, ""})


def _put(level: dict[_Text, tuple[int, ...]], text: _Text, number: int) -> None:
    numbers: tuple[int, ...] = level.get(text, ())
    if number not in numbers:
        level[text] = (*numbers, number)
