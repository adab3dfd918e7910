"""CellMiner's molecular profiles of the NCI-60: text exports, and .xls as downloaded.

Tab-separated, or the sheet ``Results`` of a BIFF file whose header stands in row 11; preamble
lines, a header row, annotation columns beside the 60 lines, ``PANEL:LINE`` column names, footnote
letters in header names (``Gene name d``), ``-`` or ``NA`` where missing, and in some text files
CR-only line ends. Source: discover.nci.nih.gov/cellminer.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from combo_lightning.data.sources.profile import Profile, distinct
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

# The nine panels of the NCI-60.
_LINE_COLUMN = re.compile(r"^(?:BR|CNS|CO|LC|LE|ME|OV|PR|RE):\S")
_FOOTNOTE = re.compile(r" [a-z]$")
_NAME_COLUMNS = ("probe id", "identifier")
_MISSING = {"", "-", "na", "nan", "null"}


def line_columns(row: Sequence[str]) -> list[int]:
    """Find the columns of cell lines in a header row; empty: it is none."""
    columns = [i for i, name in enumerate(row) if _LINE_COLUMN.match(name.strip())]
    return columns if len(columns) >= 2 else []


def cellminer_profile(
    rows: Sequence[Sequence[str]], path: Path, option: str, *, missing: float = np.nan
) -> Profile:
    """Take a profile out of the rows of an export.

    Args:
        rows: All rows, from the preamble to the footnotes.
        path: The file, for messages.
        option: The option that named it, for messages.
        missing: What ``-`` and ``NA`` stand for: NaN, or 0 for the exome, where they mean that no
            variant was seen.

    Raises:
        InputError: If there is no header row or no data, or there is text among the numbers.
    """
    where = f"{option}: {path}"
    start, columns = _find_header(rows)
    if not columns:
        raise InputError(
            f"{where} has no header row with columns named PANEL:LINE, such as 'BR:MCF7'; it is "
            "no CellMiner export"
        )
    header = [_FOOTNOTE.sub("", name.strip()) for name in rows[start]]
    name_column, gene_column = _annotations(header, columns, rows[start + 1 :], where)
    names, genes, values = [], [], []
    for row in rows[start + 1 :]:
        filled = {i for i, field in enumerate(row) if field}
        if len(filled) < 2 or filled.isdisjoint(columns):
            continue  # a blank row, or a footnote below the table
        if len(row) != len(header):
            raise InputError(
                f"{where}, row '{row[min(name_column, len(row) - 1)]}' has {len(row)} fields, the "
                f"header {len(header)}; the file is cut there, or a field that holds a separator "
                "needs quotes around it"
            )
        names.append(row[name_column])
        gene = row[gene_column] if gene_column is not None else ""
        genes.append("" if gene.lower() in _MISSING else gene)
        label = f"{where}, row '{row[name_column]}'"
        values.append([_number(row[i], label, header[i], missing) for i in columns])
    if not values:
        raise InputError(f"{where} has a header row but no data")
    return Profile(
        feature_names=distinct(names),
        genes=tuple(genes),
        cell_names=tuple(header[i] for i in columns),
        values_EF=np.array(values, dtype=np.float32).T.copy(),
        layout="CellMiner",
    )


def _find_header(rows: Sequence[Sequence[str]]) -> tuple[int, list[int]]:
    found = ((i, columns) for i, row in enumerate(rows) if (columns := line_columns(row)))
    return next(found, (0, []))


def _annotations(
    header: Sequence[str], columns: Sequence[int], rows: Sequence[Sequence[str]], where: str
) -> tuple[int, int | None]:
    """Find the column that names the features, and that of their genes.

    Raises:
        InputError: If no column names the features.
    """
    others = [i for i in range(len(header)) if i not in columns]
    if not others:
        raise InputError(f"{where} has no column beside cell lines; one must name the features")
    lower = [name.lower() for name in header]
    name = next((i for i in others if lower[i] in _NAME_COLUMNS), None)
    if name is None:
        # A column that names each row once; a chromosome comes again.
        whole = [row for row in rows if len(row) == len(header) and row[others[0]]]
        texts = {i: [row[i] for row in whole if not row[i].isdigit()] for i in others}
        name = next((i for i in others if len(set(texts[i])) == len(whole)), others[0])
    gene = next((i for i in others if lower[i].startswith("gene name")), None)
    if gene is None:
        gene = next((i for i in others if lower[i] == "gene"), None)
    logger.info("%s: taking column '%s' as the names of features", where, header[name])
    return name, gene


def _number(text: str, where: str, column: str, missing: float) -> float:
    if text.lower() in _MISSING:
        return missing
    try:
        value = float(text) if text.isascii() and "_" not in text else np.inf
    except ValueError:
        value = np.inf
    if not np.isfinite(value):
        raise InputError(
            f"{where}, column '{column}' holds '{text}', which is no number; it must be as in "
            "-0.5, or '-' where missing"
        )
    return value
