"""Which entities of several data sets are one; the data sets come one after the other.

Shapes: E entities of one data set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from combo_lightning.data.entities import Entities
from combo_lightning.data.identity import Codes
from combo_lightning.data.names import JoinReport
from combo_lightning.errors import InputError

# Nearest spellings are looked for of so many names only: more than anybody reads.
_NEAREST = 10
NEW = -1


class Entry(NamedTuple):
    """One entity as its data set names it.

    Args:
        id: Its identifier there.
        words: All it is called: the identifier, the name, the synonyms; distinct.
        named: How many of the words are the identifier and the name.
        inchikey: A drug's; None: unknown.
    """

    id: str
    words: tuple[str, ...]
    named: int
    inchikey: str | None


class Seeker(Protocol):
    """Finds an entity among those that are there already, each at its place.

    Args:
        what: What is joined, for people.
        mend: How a doubt is mended.
        shared: Whether two of one data set may surely be one, as drugs of one structure are.
    """

    what: str
    mend: str
    shared: bool

    def sure(self, entry: Entry) -> tuple[int, str]:
        """Find by what is no guess: its place (or `NEW`), and what told where names differ."""

    def guess(self, entry: Entry) -> tuple[list[int], str]:
        """Find by anything else: the places that may be meant, and what told."""

    def nearest(self, entry: Entry) -> str | None:
        """Give the nearest spelling that is there."""

    def add(self, entry: Entry, place: int) -> None:
        """Take in what an entity is called that stands at a place, perhaps the next new one."""


@dataclass(frozen=True)
class MergeReport(JoinReport):
    """Which entities of a data set are those of the ones before it.

    Args:
        notes: What else was decided, for people.
    """

    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Say it for people: what is one, by what, and what was told apart."""
        more = [f"  and {len(self.notes) - 10} more notes"] if len(self.notes) > 10 else []
        return super().lines() + [f"  {note}" for note in self.notes[:10]] + more

    def to_plain(self) -> dict[str, Any]:
        """Give the report as plain values, for ``dataset.json``."""
        return super().to_plain() | {"notes": self.notes}


@dataclass(frozen=True)
class Joined:
    """The entities of all data sets, each once.

    Args:
        ids: Their identifiers.
        places: For each data set the place of each of its entities among them.
        reports: What was joined, for each data set after the first.
    """

    ids: tuple[str, ...]
    places: tuple[Codes, ...]
    reports: tuple[MergeReport, ...]


def entries_of(entities: Entities) -> list[Entry]:
    """Gather what each entity is called."""
    columns = (
        entities.ids,
        entities.annotation("name"),
        entities.synonyms(),
        entities.annotation("inchikey"),
    )
    entries = []
    for own, name, others, key in zip(*columns, strict=True):
        named = dict.fromkeys([own, name or own])
        words = tuple(dict.fromkeys([*named, *(word for word in others if word)]))
        entries.append(Entry(own, words, len(named), key))
    return entries


def join_entities(sets: Sequence[Entities], titles: Sequence[str], seeker: Seeker) -> Joined:
    """Find out which entities are one; the first data set's identifier stands.

    What is no guess comes first. A guess never takes a place that another entity of the same data
    set has: what its own data set tells apart stays apart.

    Args:
        sets: Cell lines, or drugs, of each data set.
        titles: What the data sets are called.
        seeker: How entities are found; empty at first.

    Raises:
        InputError: If an entity may be two others, or two entities of one data set may be one.
    """
    ids: list[str] = []
    places: list[Codes] = []
    reports: list[MergeReport] = []
    for title, entities in zip(titles, sets, strict=True):
        entries = entries_of(entities)
        place_E = np.full(len(entries), NEW, dtype=np.int64)
        if places:
            reports.append(_find_all(entries, place_E, ids, title, seeker))
        used = set(ids)
        for i, entry in enumerate(entries):
            if place_E[i] == NEW:
                place_E[i] = len(ids)
                ids.append(_free_name(entry.id, title, used))
                used.add(ids[-1])
            seeker.add(entry, int(place_E[i]))
        places.append(place_E)
    return Joined(tuple(ids), tuple(places), tuple(reports))


def _find_all(
    entries: Sequence[Entry], place_E: Codes, ids: Sequence[str], title: str, seeker: Seeker
) -> MergeReport:
    """Fill in the places of the entities that are there already.

    Raises:
        InputError: If an entity may be two others, or two entities may be one.
    """
    what = f"{seeker.what} of {title}"
    how: dict[str, str] = {}
    notes: list[str] = []
    taken = _find_sure(entries, place_E, title, seeker, how)
    guessed: dict[int, str] = {}
    for i, entry in enumerate(entries):
        if place_E[i] != NEW:
            continue
        found, told = seeker.guess(entry)
        if len(found) > 1:
            raise InputError(
                f"{what}: '{entry.id}' could be '{ids[found[0]]}' or '{ids[found[1]]}', which "
                f"{told} does not tell apart; {seeker.mend}"
            )
        if found and found[0] in guessed:
            raise InputError(
                f"{what}: '{guessed[found[0]]}' and '{entry.id}' could both be '{ids[found[0]]}' "
                f"(by {told}), and stand apart in {title}; {seeker.mend}"
            )
        if found and found[0] in taken:
            notes.append(
                f"'{entry.id}' stays apart from '{ids[found[0]]}', which {told} would join: that "
                f"is '{taken[found[0]]}' in {title}"
            )
        elif found:
            place_E[i], how[entry.id] = found[0], told
            guessed[found[0]] = entry.id
    matched = {e.id: ids[p] for e, p in zip(entries, place_E, strict=True) if p != NEW}
    missed = [entry for entry in entries if entry.id not in matched]
    unmatched = {
        entry.id: seeker.nearest(entry) if n < _NEAREST else None for n, entry in enumerate(missed)
    }
    known = set(ids)
    notes += [
        f"'{e.id}' is another {seeker.what.removesuffix('s')} in {title}: called '{title}:{e.id}'"
        for e in missed
        if e.id in known
    ]
    return MergeReport(what, matched, unmatched, how, notes)


def _find_sure(
    entries: Sequence[Entry], place_E: Codes, title: str, seeker: Seeker, how: dict[str, str]
) -> dict[int, str]:
    """Fill in the places that are no guess; give who has each.

    Raises:
        InputError: If two entities that are never one have one place.
    """
    taken: dict[int, str] = {}
    for i, entry in enumerate(entries):
        place_E[i], told = seeker.sure(entry)
        if told:
            how[entry.id] = told
        if place_E[i] == NEW:
            continue
        other = taken.setdefault(int(place_E[i]), entry.id)
        if other != entry.id and not seeker.shared:
            raise InputError(
                f"{seeker.what} of {title}: '{other}' and '{entry.id}' stand apart there, and "
                f"were taken for one in the data sets before; put {title} first, or rename one "
                "of them"
            )
    return taken


def _free_name(own: str, title: str, used: set[str]) -> str:
    name = own if own not in used else f"{title}:{own}"
    while name in used:
        name += "'"
    return name


class Words:
    """The words that entities are called, by rank: identifiers and names before synonyms."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[int, list[int]]] = {}

    def add(self, word: str, place: int, rank: int) -> None:
        """Take in a word; a lower rank displaces higher ones."""
        known = self._places.get(word)
        if known is None or rank < known[0]:
            self._places[word] = (rank, [place])
        elif rank == known[0] and place not in known[1]:
            known[1].append(place)

    def find(self, word: str) -> list[int]:
        """Give the places of those who are called so."""
        return self._places.get(word, (0, []))[1]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)
