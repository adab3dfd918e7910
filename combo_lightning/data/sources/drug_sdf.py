"""SDF files of drugs: PubChem's, NCI's and others, plain or gzip, read in a stream.

A record is a mol block that ends in ``M  END``, then fields (``> <TAG>``, value lines, a blank
line), then ``$$$$``. Structures come from a SMILES field (PubChem: PUBCHEM_OPENEYE_ISO_SMILES in
older files, PUBCHEM_SMILES in newer ones), else from the mol block through RDKit.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from rdkit import Chem, rdBase

from combo_lightning.data.sources.columns import MISSING, plain
from combo_lightning.data.sources.drug_schema import (
    PREFIX,
    ROLES,
    SCHEMA,
    DrugFile,
    DrugTable,
    drug_rows,
)
from combo_lightning.data.sources.raw_text import open_text
from combo_lightning.errors import InputError

_CHUNK = 1 << 22
# PubChem's largest compounds take about 200 kB.
_LARGEST_RECORD = 1 << 26
_ROWS = 1 << 14
_RANK = {alias: (role, rank) for role, names in ROLES.items() for rank, alias in enumerate(names)}


class SdfDrug(NamedTuple):
    """A record.

    Args:
        row: Its number, from 0.
        fields: By role, values of its fields, the best first.
        smiles: Its structure; empty: none.
        problem: Why the structure could not be read; empty if it could or there is none.
    """

    row: int
    fields: dict[str, list[str]]
    smiles: str
    problem: str

    @property
    def label(self) -> str:
        """What the record calls itself: name, else identifier, else its number."""
        for role in ("name", "nsc", "cid", "chembl", "synonyms"):
            if self.fields.get(role):
                return self.fields[role][0]
        return f"record {self.row + 1}"

    @property
    def identifier(self) -> str:
        """What names the record and no other of its file: an identifier, else as `label`."""
        for role in ("cid", "chembl", "nsc"):
            if self.fields.get(role):
                return PREFIX[role] + self.fields[role][0]
        return self.label


def read_sdf(path: Path, option: str) -> Iterator[SdfDrug]:
    """Read an SDF file record by record.

    Args:
        path: The file.
        option: The option that named it, for messages.

    Yields:
        Its records.

    Raises:
        InputError: If it is damaged, or ends within a record.
    """
    known: dict[str, tuple[str, int] | None] = {}
    for row, text in enumerate(_records(path, option)):
        fields, block = _parse(text, known)
        smiles, problem = next(iter(fields.get("smiles", ())), ""), ""
        if not smiles and block:
            with rdBase.BlockLogs():
                molecule: Chem.Mol | None = Chem.MolFromMolBlock(block)
                if molecule is None:
                    problem = "RDKit cannot read its mol block"
                elif molecule.GetNumAtoms():
                    smiles = str(Chem.MolToSmiles(molecule))
        yield SdfDrug(row, fields, smiles, problem)


def read_sdf_table(path: Path, option: str) -> DrugTable:
    """Read an SDF file as a table of drugs.

    Raises:
        InputError: As `read_sdf`, or if it holds no record.
    """
    parts: list[pa.Table] = []
    batch: list[SdfDrug] = []
    unread: list[str] = []
    for drug in read_sdf(path, option):
        if drug.problem:
            unread.append(drug.label)
        batch.append(drug)
        if len(batch) == _ROWS:
            parts.append(_table(batch))
            batch = []
    if batch:
        parts.append(_table(batch))
    if not parts:
        raise InputError(f"{option}: {path} holds no record that ends in $$$$")

    def place(row: int) -> str:
        return f"{option}: {path}, record {row + 1}"

    return DrugTable((DrugFile(path, option, "SDF", place, unread),), pa.concat_tables(parts))


def _table(drugs: list[SdfDrug]) -> pa.Table:
    columns = {
        role: [pa.array([next(iter(d.fields.get(role, ())), None) for d in drugs], pa.string())]
        for role in SCHEMA.names
        if role in ROLES and role != "synonyms"
    }
    columns["smiles"] = [pa.array([d.smiles or None for d in drugs], pa.string())]
    others = [
        "\x1f".join([*d.fields.get("name", ())[1:], *d.fields.get("synonyms", ())]) for d in drugs
    ]
    columns["synonyms"] = [pa.array(others, pa.string())]
    return drug_rows(drugs[0].row, columns)


def _records(path: Path, option: str) -> Iterator[str]:
    """Cut the file at ``$$$$``; what precedes it is a record.

    Raises:
        InputError: If the file is damaged or ends within a record.
    """
    rest, count = "", 0
    with open_text(path, option) as stream:
        while chunk := stream.read(_CHUNK):
            text, start = "\n" + rest + chunk, 0
            while (end := text.find("\n$$$$", start)) >= 0:
                after = text.find("\n", end + 1)
                if after < 0:
                    break
                if end > start:
                    yield text[start + 1 : end]
                    count += 1
                start = after
            rest = text[start + 1 :]
            if len(rest) > _LARGEST_RECORD:
                raise InputError(
                    f"{option}: {path}: record {count + 1} has no end ($$$$) within "
                    f"{_LARGEST_RECORD >> 20} MB; this is no SDF file"
                )
    last, mark, after_last = ("\n" + rest).partition("\n$$$$")
    if mark and not after_last.strip("\x1a \r\n$"):
        yield last[1:]
    elif rest.strip("\x1a \r\n"):
        # One molecule without an end is a mol file; after others it is a file cut short.
        if count or "M  END" not in rest:
            raise InputError(
                f"{option}: {path} ends within record {count + 1}: it is truncated, or is no SDF "
                "file; download it again"
            )
        yield rest


def _parse(
    text: str, known: dict[str, tuple[str, int] | None]
) -> tuple[dict[str, list[str]], str]:
    """Take the wanted fields of a record by role, and its mol block.

    Args:
        text: The record.
        known: Role and rank of each tag that came up so far; added to.
    """
    cut = text.find("M  END")
    block, tail = (text[: cut + 6], text[cut:]) if cut >= 0 else ("", "\n" + text)
    found: dict[str, list[tuple[int, list[str]]]] = {}
    for piece in tail.split("\n>")[1:]:
        line_end = piece.find("\n")
        head = piece[:line_end] if line_end >= 0 else piece
        left = head.find("<")
        right = head.rfind(">")
        if left < 0 or right < left:
            continue
        tag = head[left + 1 : right]
        if tag not in known:
            known[tag] = _RANK.get(plain(tag))
        place = known[tag]
        if place is None or line_end < 0:
            continue
        value = ("\n" + piece[line_end + 1 :]).partition("\n\n")[0]
        lines = [line.strip() for line in value.split("\n")]
        lines = [line for line in lines if line and line not in MISSING]
        if lines:
            found.setdefault(place[0], []).append((place[1], lines))
    fields: dict[str, list[str]] = {}
    for role, values in found.items():
        values.sort(key=lambda item: item[0])
        if role == "synonyms":
            fields[role] = [line for _, lines in values for line in lines]
        else:
            # A long value may go on in the next line.
            fields[role] = [("" if role == "smiles" else " ").join(lines) for _, lines in values]
    _take_title(text, fields)
    return fields, block


def _take_title(text: str, fields: dict[str, list[str]]) -> None:
    """Take the first line as the name where no field tells one; PubChem's is the CID."""
    title = text[: max(text.find("\n"), 0)].strip()
    told = {value for role in ("cid", "nsc", "chembl") for value in fields.get(role, ())}
    if title and not title.startswith(">") and title not in told and "name" not in fields:
        fields["name"] = [title]
