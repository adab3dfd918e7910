"""Finding drugs by whatever they are called: NSC, CID, ChEMBL, CAS, InChIKey, name, synonym.

The ways of `WAYS` are tried in their order; the first that finds a drug counts. What one way finds
twice is one compound if structures or identifiers say so, else it is refused with both candidates.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.chemistry import inchikey
from combo_lightning.data.names import JoinReport, drug_key
from combo_lightning.data.sources.drug_record import Drug, same_compound
from combo_lightning.data.sources.drug_schema import (
    IDENTIFIERS,
    PREFIX,
    DrugTable,
    spelled_identifiers,
)
from combo_lightning.errors import InputError

# How a drug was found, in the order of trial, and whether that is a guess to be shown.
WAYS: dict[str, tuple[str, bool]] = {
    "own": ("by the column that names the drugs", False),
    "name": ("by its name", False),
    "nsc": ("by its NSC number", False),
    "cid": ("by its PubChem CID", False),
    "chembl": ("by its ChEMBL id", False),
    "cas": ("by its CAS number", False),
    "inchikey": ("by its InChIKey", False),
    "structure": ("by the InChIKey of its structure", False),
    "synonym": ("by a synonym", False),
    "block": ("by the first block of its InChIKey: stereochemistry or charge may differ", True),
    "structure_block": (
        "by the first block of its structure's InChIKey: stereochemistry or charge may differ",
        True,
    ),
    "own_key": ("by the column that names the drugs, but for case and punctuation", True),
    "name_key": ("by its name but for case and punctuation", True),
    "synonym_key": ("by a synonym but for case and punctuation", True),
    "salt_key": ("by its name without that of a salt", True),
}
# Words that name a counter-ion. Not acetate or phosphate, which are also esters, other drugs.
_SALT = re.compile(
    r"\b(?:mono|di|tri)?(?:hydrochloride|hydrobromide|mesylate|mesilate|tosylate|tosilate|besylate"
    r"|besilate|sulfate|sulphate|citrate|tartrate|bitartrate|maleate|fumarate|malate|lactate"
    r"|sodium|potassium|hcl|hydrate)\b|\(free (?:base|acid)\)",
    re.IGNORECASE,
)
# Nearest spellings are looked for among at most so many names.
_NEAR = 20_000
# Examples of a way that is no guess, and guesses, of which dataset.json has all.
_SHOWN = 3
_GUESSES = 30


@dataclass(frozen=True)
class DrugReport(JoinReport):
    """Which drugs were found, and how.

    Args:
        ways: Wanted name to the way it was found, a name of `WAYS`.
        notes: What else was decided, for people.
    """

    ways: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Say it for people: how many by which way, the guesses, and what was not found."""
        total = len(self.matched) + len(self.unmatched)
        lines = [f"{self.what}: {len(self.matched)} of {total} matched"]
        for way, (words, guess) in WAYS.items():
            found = [(name, self.matched[name]) for name, w in self.ways.items() if w == way]
            if found:
                told = [f"{a} = {b}" for a, b in found if a != b]
                shown = told[: _GUESSES if guess else _SHOWN]
                more = " ..." if len(shown) < len(told) else ""
                examples = f": {', '.join(shown)}{more}" if shown else ""
                lines.append(f"  {len(found)} {words}{examples}")
        lines += [f"  {note}" for note in self.notes]
        without = JoinReport(self.what, {}, self.unmatched).lines()[1:]
        return lines + without

    def to_plain(self) -> dict[str, Any]:
        """Give the report as plain values, for ``dataset.json``."""
        guesses = {n: [self.matched[n], WAYS[w][0]] for n, w in self.ways.items() if WAYS[w][1]}
        return super().to_plain() | {"guessed": guesses, "notes": self.notes}


def find_drugs(
    wanted: Sequence[str],
    table: DrugTable,
    what: str,
    *,
    nsc_only: bool = False,
    told: Mapping[str, int] = {},
) -> tuple[list[Drug | None], DrugReport]:
    """Find each wanted drug in the table, and join what its files know of it.

    Args:
        wanted: What the drugs are called.
        table: The files.
        what: What is joined, for messages.
        nsc_only: Whether they are NSC numbers, bare or with the prefix, and nothing else.
        told: Rows, after those of the files, in which whoever wants the drugs tells of them
            himself, by name; they count where the files say nothing, and nothing is found there.

    Returns:
        What is known of each, None if nothing is; and how each was found in the files.

    Raises:
        InputError: If a name fits two compounds.
    """
    wanted = list(dict.fromkeys(wanted))
    index = _Index(table, min(told.values(), default=len(table)))
    hits = _hits_by_way(wanted, index, told, nsc_only=nsc_only)
    first = {name: next((w for w in WAYS if hits[w].get(name)), None) for name in wanted}
    found = {name: (way, hits[way][name]) for name, way in first.items() if way is not None}
    clusters = _join_files(index, {row for _, rows in found.values() for row in rows})
    notes: list[str] = []
    drugs: list[Drug | None] = []
    matched: dict[str, str] = {}
    ways: dict[str, str] = {}
    doubts: list[str] = []
    for name in wanted:
        way, rows = found.get(name, ("", []))
        label = f"NSC {name}" if nsc_only and name.isdigit() else name
        own = [told[name]] if name in told else []
        known = Drug.of(table, own, label) if own else None
        candidates = [Drug.of(table, [*clusters[row], *own], label) for row in rows]
        candidates = _not_contradicted(candidates, known, way)
        try:
            drug = _only_one(label, way, candidates, table) if candidates else known
            drug = drug and _structure_by_name(drug, index, notes)
        except _TwoCompounds as error:
            doubts.append(str(error))
            continue
        if drug is not None:
            notes += dict.fromkeys(drug.notes)
            if any(row < index.size for row in drug.rows):
                matched[name] = drug.name
        ways |= {name: way} if candidates else {}
        drugs.append(drug)
    if doubts:
        more = f" (so could {len(doubts) - 1} more drugs)" if len(doubts) > 1 else ""
        raise InputError(doubts[0] + more)
    unmatched = _nearest([n for n in wanted if n not in matched], index)
    return drugs, DrugReport(what, matched, unmatched, ways=ways, notes=notes)


def _not_contradicted(candidates: list[Drug], known: Drug | None, way: str) -> list[Drug]:
    """Leave out guesses at a drug whose structure was told and is another."""
    if known is None or not known.key or not candidates or not WAYS[way][1]:
        return candidates
    return [other for other in candidates if same_compound(known, other)]


class _TwoCompounds(InputError):
    """A name fits two compounds."""


class _Index:
    """Looks rows up by the values of their columns; only rows that are wanted become Python.

    Args:
        table: The drugs.
        size: How many rows, from the first, things are found in.
    """

    def __init__(self, table: DrugTable, size: int) -> None:
        self.table = DrugTable(table.files, table.rows.slice(0, size))
        self.size = size
        self.file_of = table.rows.column("file").to_numpy()
        self._columns: dict[str, tuple[Any, Any]] = {}

    def find(self, kind: str, values: Iterable[str]) -> dict[str, list[int]]:
        """Give the rows that hold each value, in order.

        Args:
            kind: A column, or another way of `WAYS`.
            values: Distinct values.
        """
        values = [value for value in values if value]
        if not values:
            return {}
        if kind not in self._columns:
            self._columns[kind] = self._column(kind)
        column, rows = self._columns[kind]
        mask = pc.is_in(column, value_set=pa.array(values, pa.string()))
        hit = np.flatnonzero(mask.to_numpy(zero_copy_only=False))
        found: defaultdict[str, list[int]] = defaultdict(list)
        for value, row in zip(column.take(pa.array(hit)).to_pylist(), rows[hit], strict=True):
            if int(row) not in found[value]:
                found[value].append(int(row))
        return dict(found)

    def of_first_file(self, rows: Sequence[int]) -> list[int]:
        """Give those of some rows that are of the same file as the first."""
        return [row for row in rows if self.file_of[row] == self.file_of[rows[0]]]

    def names(self) -> list[str]:
        """Give all names, for suggestions; none of a table too long for that."""
        if len(self.table) > _NEAR:
            return []
        rows = self.table.rows
        return [n for n in pc.coalesce(rows.column("name"), rows.column("own")).to_pylist() if n]

    def _column(self, kind: str) -> tuple[Any, Any]:
        rows = np.arange(len(self.table))
        if kind.endswith("block"):
            column, rows = self._column(kind.removesuffix("_block").replace("block", "inchikey"))
            return pc.utf8_slice_codeunits(column, 0, 14), rows
        if kind == "structure":
            structures = self.table.rows.column("smiles").to_pylist()
            return pa.array([_key_or_none(s) for s in structures], pa.string()), rows
        if kind.endswith("_key"):
            column, rows = self._column(kind.removesuffix("_key").replace("salt", "name"))
            short = _without_salt if kind == "salt_key" else str
            keys = [None if text is None else drug_key(short(text)) for text in column.to_pylist()]
            return pa.array(keys, pa.string()), rows
        if kind == "synonym":
            column = _flat(self.table.rows.column("synonyms"))
            return pc.list_flatten(column), rows[pc.list_parent_indices(column).to_numpy()]
        return _flat(self.table.rows.column(kind)), rows


def _key_or_none(smiles: str | None) -> str | None:
    try:
        return inchikey(smiles, "") if smiles else None
    except InputError:
        return None


def _flat(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _hits_by_way(
    wanted: Sequence[str], index: _Index, told: Collection[str], *, nsc_only: bool
) -> dict[str, dict[str, list[int]]]:
    """Look all names up in all ways: way to name to rows; of those told, digits are a name."""
    asked: dict[str, dict[str, str]] = {way: {} for way in WAYS}  # way: name to value
    for name in wanted:
        spelled = dict(spelled_identifiers(name))
        if nsc_only:
            if "nsc" in spelled:
                asked["nsc"][name] = spelled["nsc"]
                # PubChem keeps NSC numbers among synonyms, a SMILES list as the name.
                asked["synonym_key"][name] = asked["name_key"][name] = f"nsc{spelled['nsc']}"
            continue
        asked["own"][name] = name.strip()
        if name in told and name.isdigit():
            spelled = {}
        for role, value in spelled.items():
            asked[role][name] = value
        if "inchikey" in spelled:
            asked["structure"][name] = spelled["inchikey"]
            asked["block"][name] = asked["structure_block"][name] = spelled["inchikey"][:14]
            continue
        asked["own_key"][name] = drug_key(name)
        asked["name"][name] = asked["synonym"][name] = name.strip()
        asked["name_key"][name] = asked["synonym_key"][name] = drug_key(name)
        asked["salt_key"][name] = drug_key(_without_salt(name))
    if nsc_only:
        bare = {n: s for n, s in asked["nsc"].items() if s == n.strip()}
        asked["name"] = {} if index.find("nsc", bare.values()) else bare
    hits: dict[str, dict[str, list[int]]] = {}
    for way, values in asked.items():
        rows = index.find(way, dict.fromkeys(values.values()))
        hits[way] = {name: rows[value] for name, value in values.items() if value in rows}
        if way in IDENTIFIERS:
            # Files that share an identifier are joined by it: the first counts.
            hits[way] = {name: index.of_first_file(found) for name, found in hits[way].items()}
    # Bare digits may be an NSC number or a CID: what both find counts.
    for name in hits["nsc"].keys() & hits["cid"].keys():
        hits["nsc"][name] = list(dict.fromkeys(hits["nsc"][name] + hits["cid"][name]))
    return hits


def _without_salt(name: str) -> str:
    return _SALT.sub("", name)


def _join_files(index: _Index, rows: set[int]) -> dict[int, list[int]]:
    """Give, for each row, itself and the rows of other files that share an identifier with it."""
    table = index.table.rows
    file_of = index.file_of
    clusters = {row: [row] for row in sorted(rows)}
    for _ in index.table.files[1:]:  # each round reaches one file more
        new: dict[int, list[int]] = {row: [] for row in clusters}
        for role in IDENTIFIERS:
            column = table.column(role)
            values = {row: {column[r].as_py() for r in c} for row, c in clusters.items()}
            found = index.find(role, {v for vs in values.values() for v in vs if v is not None})
            for row, own in values.items():
                here = {file_of[r] for r in clusters[row]}
                others = [r for v in sorted(own - {None}) for r in found.get(v, ())]
                new[row] += [r for r in others if file_of[r] not in here and r not in new[row]]
        for row, others in new.items():
            clusters[row] += sorted(others)
        if not any(new.values()):
            break
    return clusters


def _only_one(label: str, way: str, candidates: Sequence[Drug], table: DrugTable) -> Drug:
    """Make one of several candidates.

    Raises:
        _TwoCompounds: If they are.
    """
    first = candidates[0]
    for other in candidates[1:]:
        if not same_compound(first, other):
            twice = " stands twice and the rows disagree:" if way in IDENTIFIERS else ""
            raise _TwoCompounds(
                f"{label}{twice} could be {_describe(first, table)}, or "
                f"{_describe(other, table)}; name the drug by an identifier that only one of them "
                "has, or take the other out"
            )
        first = first.joined(other)
    names = list(dict.fromkeys(_named(other) for other in candidates))
    if len(names) > 1:
        note = f"{label}: taken for one compound: {', '.join(names)}"
        first = replace(first, notes=(*first.notes, note))
    return first


def _describe(drug: Drug, table: DrugTable) -> str:
    return f"{_named(drug)} in {table.place(drug.rows[0])}"


def _named(drug: Drug) -> str:
    known = [PREFIX[role] + value for role, value in drug.identifiers.items()]
    return f"'{drug.name}'" + (f" ({', '.join(known)})" if known else "")


def _structure_by_name(drug: Drug, index: _Index, notes: list[str]) -> Drug:
    """Look for the structure of a drug that has none under its names in the other files."""
    if drug.smiles or len(index.table.files) == 1:
        return drug
    for way in ("name", "name_key", "synonym", "synonym_key"):
        words = [drug_key(n) if way.endswith("_key") else n for n in (drug.name, *drug.synonyms)]
        rows = [r for found in index.find(way, dict.fromkeys(words)).values() for r in found]
        others = [Drug.of(index.table, [r], drug.label) for r in rows if r not in drug.rows]
        others = [other for other in others if other.smiles]
        if others:
            other = _only_one(drug.label, way, others, index.table)
            place = index.table.place(other.rows[0])
            notes.append(f"{drug.label}: structure of '{other.name}', {WAYS[way][0]} ({place})")
            return drug.joined(other)
    return drug


def _nearest(names: Sequence[str], index: _Index) -> dict[str, str | None]:
    offered: Mapping[str, str] = {drug_key(n): n for n in index.names()}
    near = {name: get_close_matches(drug_key(name), offered, n=1, cutoff=0.6) for name in names}
    return {name: offered[keys[0]] if keys else None for name, keys in near.items()}
