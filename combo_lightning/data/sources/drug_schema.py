"""What a table of drugs holds, whatever its format: identifiers, names and structures."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.sources.columns import plain

IDENTIFIERS = ("nsc", "cid", "chembl", "cas", "inchikey")
# How each is written in messages, before its value.
PREFIX = {"nsc": "NSC ", "cid": "CID ", "chembl": "", "cas": "CAS ", "inchikey": "InChIKey "}
# Names that a column or an SDF tag of each role goes by, as `plain` writes them; best first. A
# SMILES with stereochemistry comes before one without. `name`: the first is the name, the others
# are synonyms. The PUBCHEM ones are tags of PubChem's SDF files, of both generations.
ROLES: dict[str, tuple[str, ...]] = {
    "nsc": ("nsc", "nscid", "nscnumber", "nscno", "ensc"),
    "cid": ("cid", "pubchemcid", "compoundcid", "pubchemcompoundcid", "pubchemcompoundid"),
    "chembl": ("chemblid", "chembl", "moleculechemblid"),
    "cas": ("cas", "casnumber", "casno", "casrn", "casregistrynumber"),
    "inchikey": ("inchikey", "standardinchikey", "pubchemiupacinchikey", "pubchemnistinchikey"),
    "smiles": (
        "smiles", "isomericsmiles", "isosmiles", "pubchemopeneyeisosmiles", "pubchemsmiles",
        "pubchemextdatasourcesmiles", "canonicalsmiles", "connectivitysmiles",
        "pubchemopeneyecansmiles", "pubchemconnectivitysmiles",
    ),
    "name": (
        "name", "drugname", "compoundname", "cmpdname", "prefname", "genericname", "title",
        "compound", "drug", "pubchemiupactraditionalname", "iupacname", "pubchemiupacname",
        "pubchemiupacopeneyename", "pubchemiupaccasname", "pubchemiupacsystematicname",
    ),
    "synonyms": (
        "synonyms", "synonym", "cmpdsynonym", "moleculesynonyms", "othernames",
        "pubchemsubstancesynonym",
    ),
    "mechanism": ("moa", "moacellminer", "mechanism", "mechanismofaction"),
}  # fmt: skip
SCHEMA = pa.schema(
    [
        ("file", pa.int32()),
        ("row", pa.int64()),
        ("own", pa.string()),
        *((name, pa.string()) for name in ROLES if name != "synonyms"),
        ("synonyms", pa.list_(pa.string())),
    ]
)
# Between several names in one field, as ChEMBL and PubChem write them.
_BETWEEN = r"\s*(?:\||;\s|\x1f)\s*"


@dataclass(frozen=True)
class DrugFile:
    """Where drugs came from.

    Args:
        path: The file.
        option: The option that named it.
        format: What it was read as, for people.
        place: Says where a row stands, counted from 0: option, file, line or record.
        unread: Records whose structure RDKit cannot read, by what they call themselves.
        has_smiles: Whether it has a field for structures.
        lenient: Whether a structure that cannot be read is left out and said, as in a screen.
    """

    path: Path
    option: str
    format: str
    place: Callable[[int], str]
    unread: Sequence[str] = ()
    has_smiles: bool = True
    lenient: bool = False


@dataclass(frozen=True)
class DrugTable:
    """Drugs of one or more files, in their order.

    Args:
        files: The files.
        rows: Columns of `SCHEMA`; `file` is an index into `files`, `row` counts from 0, `own` is
            what the column that names the responses' drugs holds, whatever it is called.
    """

    files: tuple[DrugFile, ...]
    rows: Any

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def join(cls, tables: Sequence["DrugTable"]) -> "DrugTable":
        """Put tables one below the other."""
        parts: list[Any] = []
        files: list[DrugFile] = []
        for table in tables:
            shifted = pc.add(table.rows.column("file"), pa.scalar(len(files), pa.int32()))
            parts.append(table.rows.set_column(0, "file", shifted))
            files += table.files
        return cls(tuple(files), pa.concat_tables(parts).combine_chunks())

    def place(self, row: int) -> str:
        """Say where a row stands: option, file, line or record."""
        file, own_row = (int(self.rows.column(name)[row].as_py()) for name in ("file", "row"))
        return self.files[file].place(own_row)


def find_roles(columns: Sequence[str]) -> dict[str, list[str]]:
    """Tell the columns of each role, the best first; roles without a column are absent."""
    by_plain = {plain(name): name for name in reversed(columns)}
    found = {
        role: [by_plain[a] for a in aliases if a in by_plain] for role, aliases in ROLES.items()
    }
    return {role: named for role, named in found.items() if named}


def drug_rows(first_row: int, columns: Mapping[str, Sequence[Any]]) -> Any:
    """Put one batch of a file into the common form.

    Args:
        first_row: Number of its first row.
        columns: By role, Arrow text columns of that role, the best first; missing is null.

    Returns:
        An Arrow table of `SCHEMA`.
    """
    count = len(next(iter(columns.values()))[0])
    values: dict[str, Any] = {
        "file": pa.array([0] * count, pa.int32()),
        "row": pa.array(range(first_row, first_row + count), pa.int64()),
    }
    for role, kind in zip(SCHEMA.names, SCHEMA.types, strict=True):
        given = list(columns.get(role, ()))
        if role == "synonyms":
            given = [*columns.get("name", ())[1:], *given]
            texts = [pc.fill_null(c, "") for c in given]
            joined = pc.binary_join_element_wise(*texts, "\x1f") if given else None
            values[role] = (
                pa.nulls(count, kind)
                if joined is None
                else pc.split_pattern_regex(joined, pattern=_BETWEEN)
            )
        elif role not in values:
            values[role] = pc.coalesce(*given) if given else pa.nulls(count, kind)
            if role in IDENTIFIERS:
                values[role] = tidy_identifiers(role, values[role])
    return pa.table(values).select(SCHEMA.names).cast(SCHEMA)


def tidy_identifiers(role: str, column: Any) -> Any:
    """Write identifiers in one way: NSC and CID as bare digits, the others in upper case.

    ``NSC-740``, ``0740``, ``740.0`` and, of a spreadsheet, ``761,431`` are mended; what is no
    number stays as it is and matches nothing.
    """
    column = pc.utf8_trim_whitespace(column)
    if role in ("nsc", "cid"):
        column = pc.replace_substring_regex(column, r"(?i)^(?:nsc|cid)[\s:#_.-]*", "")
        thousands = pc.match_substring_regex(column, r"^\d{1,3}(?:,\d{3})+$")
        column = pc.if_else(thousands, pc.replace_substring(column, ",", ""), column)
        column = pc.replace_substring_regex(column, r"^(\d+)\.0+$", r"\1")
        return pc.replace_substring_regex(column, r"^0+(\d+)$", r"\1")
    column = pc.utf8_upper(column)
    return pc.replace_substring_regex(column, r"^INCHIKEY=", "")


def spelled_identifiers(text: str) -> Iterator[tuple[str, str]]:
    """Tell which identifiers a drug's name may be, as (role, value); bare digits are two.

    Args:
        text: The name, such as ``NSC 740``, ``CHEMBL25``, ``50-78-2`` or an InChIKey.

    Yields:
        The role, a name of `IDENTIFIERS`, and the value as `tidy_identifiers` writes it.
    """
    text = text.strip()
    number = re.fullmatch(r"(nsc|cid)?[\s:#_.-]*0*(\d+)(?:\.0+)?", text, re.IGNORECASE)
    if number:
        kinds = (number[1].lower(),) if number[1] else ("nsc", "cid")
        yield from ((kind, number[2]) for kind in kinds)
    elif re.fullmatch(r"chembl\d+", text, re.IGNORECASE):
        yield "chembl", text.upper()
    elif re.fullmatch(r"(inchikey=)?[a-z]{14}-[a-z]{10}-[a-z]", text, re.IGNORECASE):
        yield "inchikey", text.upper().removeprefix("INCHIKEY=")
    elif _is_cas(text):
        yield "cas", text


def _is_cas(text: str) -> bool:
    if not re.fullmatch(r"\d{2,7}-\d\d-\d", text):
        return False
    digits = [int(c) for c in text.replace("-", "")]
    check = sum(i * d for i, d in enumerate(reversed(digits[:-1]), start=1))
    return check % 10 == digits[-1]
