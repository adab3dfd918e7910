"""Drugs in delimited tables and Parquet: PubChem's and ChEMBL's exports, and the user's own.

Columns are found by their names, whatever their order. PubChem's property table holds
IsomericSMILES and CanonicalSMILES in older exports, SMILES and ConnectivitySMILES in newer ones;
ChEMBL's is separated by semicolons, with synonyms between bars.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.columns import true_rows
from combo_lightning.data.sources.columns import UserTable, plain, texts
from combo_lightning.data.sources.drug_schema import (
    IDENTIFIERS,
    DrugFile,
    DrugTable,
    drug_rows,
    find_roles,
)
from combo_lightning.errors import InputError

TABLE, PUBCHEM, CHEMBL = "table", "PubChem table", "ChEMBL table"
_PUBCHEM_COLUMNS = {
    "isomericsmiles", "canonicalsmiles", "connectivitysmiles", "molecularformula", "iupacname",
    "cmpdname", "exactmass", "heavyatomcount",
}  # fmt: skip


def table_format(columns: Sequence[str]) -> str:
    """Tell from the columns whose table it is."""
    names = {plain(name) for name in columns}
    if "chemblid" in names and "smiles" in names:
        return CHEMBL
    if names & {"cid", "compoundcid"} and names & _PUBCHEM_COLUMNS and "nsc" not in names:
        return PUBCHEM
    return TABLE


def read_delimited(
    path: Path, option: str, delimiter: str | None, id_column: str | None = None
) -> DrugTable:
    """Read a delimited table, or Parquet, as a table of drugs.

    Args:
        path: The file.
        option: The option that named it, for messages.
        delimiter: What separates the fields; None: Parquet.
        id_column: Column that names the drugs; None: as the columns are called.

    Raises:
        InputError: If it is damaged or empty, has no column that names drugs, or a spreadsheet has
            shortened its numbers.
    """
    table = UserTable.open(path, option, delimiter)
    roles = find_roles(table.columns)
    if id_column is None and not roles.keys() & {*IDENTIFIERS, "name", "synonyms"}:
        raise InputError(
            f"{table.where} has no column that names drugs (NSC, CID, ChEMBL ID, CAS, InChIKey, "
            f"name); it has {', '.join(table.columns[:12])}"
        )
    taken = roles if id_column is None else {**roles, "own": [id_column]}
    parts: list[Any] = []
    row = 0
    for batch in table.batches(list(dict.fromkeys(c for names in taken.values() for c in names))):
        columns = {role: [texts(batch.column(c)) for c in names] for role, names in taken.items()}
        _refuse_lost_digits(table, taken, columns, row)
        _refuse_header(table, taken, columns, row)
        parts.append(drug_rows(row, columns))
        row += len(batch)
    if not row:
        raise InputError(f"{table.where} has a header but no rows")
    file = DrugFile(
        path, option, table_format(table.columns), table.place, has_smiles="smiles" in roles
    )
    return DrugTable((file,), pa.concat_tables(parts))


def _refuse_lost_digits(
    table: UserTable,
    roles: Mapping[str, Sequence[str]],
    columns: Mapping[str, Sequence[Any]],
    first_row: int,
) -> None:
    """Refuse numbers that a spreadsheet has shortened, such as 7.61431E+05.

    Raises:
        InputError: With the first one's place.
    """
    for role in ("nsc", "cid"):
        for name, column in zip(roles.get(role, ()), columns.get(role, ()), strict=True):
            bad = pc.match_substring_regex(column, r"^\d(?:[.,]\d+)?[eE]\+?\d+$")
            shortened = pc.coalesce(bad, pa.scalar(value=False)).to_numpy(zero_copy_only=False)
            expected = (
                "a spreadsheet has shortened the number: format the column as text and export it "
                "again"
            )
            table.refuse(shortened, column, name, first_row, expected)


def _refuse_header(
    table: UserTable,
    roles: Mapping[str, Sequence[str]],
    columns: Mapping[str, Sequence[Any]],
    first_row: int,
) -> None:
    """Refuse a header that comes again, as where files were put one below the other.

    Raises:
        InputError: With its place.
    """
    named = [
        (name, column)
        for role, names in roles.items()
        for name, column in zip(names, columns[role], strict=True)
    ]
    again = np.logical_and.reduce([true_rows(pc.equal(c, n)) for n, c in named])
    name, column = named[0]
    table.refuse(again, column, name, first_row, "the header comes again: remove the row")
