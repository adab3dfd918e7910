"""Lists of drugs without a header to speak of: SMILES lists, and NCI's NSC numbers with names."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from rdkit import Chem, rdBase

from combo_lightning.data.sources.drug_schema import (
    IDENTIFIERS,
    DrugFile,
    DrugTable,
    drug_rows,
    spelled_identifiers,
)
from combo_lightning.data.sources.raw_text import open_text
from combo_lightning.errors import InputError

# Of the lines that tell a SMILES list, so many must hold a structure first.
_SHARE = 0.7
_SAMPLE = 50


class SmilesLine(NamedTuple):
    """A line of a SMILES list.

    Args:
        line: Its number, from 0.
        smiles: The structure.
        name: What follows it; empty: nothing does.
    """

    line: int
    smiles: str
    name: str


def is_smiles_list(lines: Sequence[str]) -> bool:
    """Tell from the first lines that are not blank, without a header."""
    words = [line.split()[0] for line in lines if not _is_header(line)]
    with rdBase.BlockLogs():
        good = sum(not word.isdigit() and Chem.MolFromSmiles(word) is not None for word in words)
    return bool(words) and good >= _SHARE * len(words)


def is_nsc_list(lines: Sequence[str]) -> bool:
    """Tell from the first lines that are not blank: a number, a tab, a name."""
    rows = [line.split("\t") for line in lines]
    if rows and not rows[0][0].strip().isdigit():
        rows = rows[1:]
    return bool(rows) and all(len(row) == 2 and row[0].strip().isdigit() for row in rows)


def read_smiles_lines(path: Path, option: str) -> Iterator[SmilesLine]:
    """Read a SMILES list line by line: SMILES, white space, name; blank lines and a header go.

    Args:
        path: The file, gzip or plain.
        option: The option that named it, for messages.

    Yields:
        Its lines.

    Raises:
        InputError: If it is damaged or no text.
    """
    with open_text(path, option) as lines:
        first = True
        for number, text in enumerate(lines):
            words = text.strip("\x1a \r\n\t").split(maxsplit=1)
            if not words:
                continue
            if not (first and _is_header(text)):
                # What stands between bars is an extension of SMILES: coordinates and the like.
                name = re.sub(r"^\|[^|]*\|\s*", "", words[1]) if len(words) > 1 else ""
                yield SmilesLine(number, words[0], name.strip())
            first = False


def read_smiles_list(path: Path, option: str) -> DrugTable:
    """Read a SMILES list as a table of drugs.

    Raises:
        InputError: As `read_smiles_lines`, or if it is empty.
    """
    lines = list(read_smiles_lines(path, option))
    if not lines:
        raise InputError(f"{option}: {path} is empty")
    columns: dict[str, list[str | None]] = {role: [None] * len(lines) for role in IDENTIFIERS}
    for i, line in enumerate(lines):
        spelled = list(spelled_identifiers(line.name))
        if len(spelled) == 1:  # bare digits could be two
            columns[spelled[0][0]][i] = spelled[0][1]
    columns |= {"smiles": [x.smiles for x in lines], "name": [x.name or None for x in lines]}
    return _table(path, option, "SMILES list", columns, [x.line for x in lines])


def read_nsc_list(path: Path, option: str) -> DrugTable:
    """Read NCI's list of NSC numbers and names (ComboCompoundNames), with a header or without.

    Raises:
        InputError: If it is damaged or a line is not a number, a tab and a name.
    """
    numbers: list[str | None] = []
    names: list[str] = []
    places: list[int] = []
    with open_text(path, option) as lines:
        for number, line in enumerate(lines):
            text = line.strip("\x1a\r\n")
            nsc, _, name = (part.strip() for part in text.partition("\t"))
            if not text.strip() or (not numbers and not nsc.isdigit()):
                continue
            if not nsc.isdigit() or not name:
                raise InputError(
                    f"{option}: {path}, line {number + 1} holds '{text[:60]}'; an NSC number, "
                    "a tab and a name were expected"
                )
            numbers.append(nsc)
            names.append(name)
            places.append(number)
    if is_smiles_list(names[:_SAMPLE]):
        raise InputError(
            f"{option}: {path} has structures beside the NSC numbers, not names; give it a "
            "header: NSC, a tab, SMILES"
        )
    columns: dict[str, list[str | None]] = {"nsc": numbers, "name": [*names]}
    return _table(path, option, "NSC list", columns, places, has_smiles=False)


def _table(
    path: Path,
    option: str,
    kind: str,
    columns: dict[str, list[str | None]],
    lines: Sequence[int],
    *,
    has_smiles: bool = True,
) -> DrugTable:
    def place(row: int) -> str:
        return f"{option}: {path}, line {lines[row] + 1}"

    arrays = {role: [pa.array(values, pa.string())] for role, values in columns.items()}
    file = DrugFile(path, option, kind, place, has_smiles=has_smiles)
    return DrugTable((file,), drug_rows(0, arrays))


def _is_header(line: str) -> bool:
    return line.split()[0].lower() in ("smiles", "smi", "canonical_smiles", "isosmiles")
