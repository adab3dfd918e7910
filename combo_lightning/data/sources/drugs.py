"""Reading a table of drugs, whatever its format: told by what the file holds, not by its name."""

import csv
import io
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from combo_lightning.data.sources.drug_delimited import read_delimited
from combo_lightning.data.sources.drug_lists import (
    is_nsc_list,
    is_smiles_list,
    read_nsc_list,
    read_smiles_list,
)
from combo_lightning.data.sources.drug_schema import DrugTable
from combo_lightning.data.sources.drug_sdf import read_sdf_table
from combo_lightning.data.sources.raw_text import (
    open_bytes,
    open_text,
)
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

_HEAD = 1 << 18
_LINES = 20
# A list of nothing but broken structures is still a list.
_SMILES_ENDS = (".smi", ".smiles", ".ism")
_SDF = re.compile(r"^(?:M  END|\$\$\$\$|>.*<[^>]+>.*)[ \t]*$", re.MULTILINE)
# First bytes of what people take for tables: zip archives (.xlsx among them) and old .xls.
_BINARY = {
    b"PK\x03\x04": "a zip archive or an .xlsx workbook",
    b"\xd0\xcf\x11\xe0": "an .xls workbook",
}


def drug_format(path: Path, option: str) -> tuple[str, str | None]:
    """Tell what a file of drugs is from what it holds.

    Args:
        path: The file, gzip or plain.
        option: The option that named it, for messages.

    Returns:
        "sdf", "smiles", "nsc", "parquet" or "delimited"; of the last, what separates the fields.

    Raises:
        InputError: If it is missing, damaged, empty, or a workbook.
    """
    with open_bytes(path, option) as file:
        start = file.read(4)
    if start == b"PAR1":
        return "parquet", None
    if start in _BINARY:
        raise InputError(f"{option}: {path} is {_BINARY[start]}; give a CSV file or what it holds")
    with open_text(path, option) as stream:
        text = stream.read(_HEAD)
    if _SDF.search(text):
        return "sdf", None
    lines = [line for line in text.split("\n") if line.strip("\x1a \t")]
    if len(text) == _HEAD:
        lines = lines[:-1] or lines  # the last one may be half a line
    if not lines:
        raise InputError(f"{option}: {path} is empty")
    if is_nsc_list(lines[:_LINES]):
        return "nsc", None
    fields = {d: len(next(csv.reader(io.StringIO(lines[0]), delimiter=d))) for d in ",\t;|"}
    stem = path.name.lower().removesuffix(".gz")
    if stem.endswith(_SMILES_ENDS) or is_smiles_list(lines[:_LINES]):
        return "smiles", None
    return "delimited", max(fields, key=fields.__getitem__)


def read_drugs(path: Path, option: str, id_column: str | None = None) -> DrugTable:
    """Read a table of drugs, and say what it was taken for.

    Args:
        path: SDF, a SMILES list, NCI's NSC list, PubChem's or ChEMBL's export, or any delimited
            table or Parquet; gzip or plain.
        option: The option that named it, for messages.
        id_column: Of a delimited table, the column that names the drugs; None: as it is called.

    Raises:
        InputError: If it is damaged, empty, or names no drugs.
    """
    kind, delimiter = drug_format(path, option)
    if kind == "sdf":
        table = read_sdf_table(path, option)
    elif kind == "smiles":
        table = read_smiles_list(path, option)
    elif kind == "nsc":
        table = read_nsc_list(path, option)
    else:
        table = read_delimited(path, option, delimiter, id_column)
    (file,) = table.files
    structures = len(table) - table.rows.column("smiles").null_count
    logger.info(
        "%s: %s: read as %s: %d drugs, %d with a structure",
        option, path, file.format, len(table), structures,
    )  # fmt: skip
    if file.unread:
        shown = ", ".join(file.unread[:5]) + (" ..." if len(file.unread) > 5 else "")
        logger.warning(
            "%s: %s: RDKit cannot read the mol blocks of %d records (%s): they have no structure "
            "unless another file gives one",
            option, path, len(file.unread), shown,
        )  # fmt: skip
    return table


def read_drug_files(paths: Sequence[Path], option: str) -> DrugTable:
    """Read several files of drugs as one table, in their order.

    Raises:
        InputError: As `read_drugs`.
    """
    return DrugTable.join([read_drugs(path, option) for path in paths])
