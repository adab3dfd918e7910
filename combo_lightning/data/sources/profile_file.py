"""A file of molecular profiles in whatever public format: told by its content, and read."""

import csv
import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from combo_lightning.data.cell_names import KnownLines, identifier
from combo_lightning.data.names import cell_key
from combo_lightning.data.sources.cellminer import cellminer_profile, line_columns
from combo_lightning.data.sources.depmap import depmap_profile, is_depmap
from combo_lightning.data.sources.gdc_star import gdc_counts, is_gdc_counts
from combo_lightning.data.sources.gdsc_expression import gdsc_expression, is_gdsc_expression
from combo_lightning.data.sources.matrix import matrix_profile
from combo_lightning.data.sources.profile import Profile, drop_dates
from combo_lightning.data.sources.raw_text import read_rows, require_file
from combo_lightning.data.sources.spreadsheet import is_spreadsheet, read_sheets
from combo_lightning.data.sources.wide_table import WideTable, open_wide, read_head
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

# How many lines of preamble CellMiner's header may stand below.
_PREAMBLE_LINES = 60


def line_test(names: Sequence[str], known: KnownLines | None) -> Callable[[str], bool]:
    """Build the test whether a name is one of the given lines, in whatever spelling.

    Args:
        names: The lines.
        known: Tables of other names.
    """
    keys = {cell_key(name) for name in names}
    ids = {identifier(name) for name in names} - {None}
    lines = {n for name in names for n in known.find(name)[0]} if known is not None else set()

    def is_line(name: str) -> bool:
        if cell_key(name) in keys or identifier(name) in ids:
            return True
        return known is not None and not lines.isdisjoint(known.find(name)[0])

    return is_line


def read_profile(
    path: Path,
    option: str,
    *,
    missing: float = np.nan,
    is_line: Callable[[str], bool] | None = None,
) -> Profile:
    """Read a molecular profile, whose format is told by its content, and say which it is.

    CellMiner's text exports and .xls; DepMap's matrices; GDSC's expression; the GDC's gene counts,
    one file or a folder; else any matrix of features and lines, as text or Parquet.

    Args:
        path: The file, or a folder of the GDC's counts.
        option: The option that named it, for messages.
        missing: What ``-`` and ``NA`` stand for in CellMiner's files: NaN, or 0 for the exome.
        is_line: Tells whether a name is one of the data set's lines (see `line_test`), by which
            the orientation of a matrix is told; None: lines are rows.

    Raises:
        InputError: If it is of no such layout, damaged, or holds text among the numbers.
    """
    where = f"{option}: {path}"
    if path.is_dir():
        return drop_dates(gdc_counts(path, option), where)
    require_file(path, option)
    if is_spreadsheet(path):
        return drop_dates(_from_spreadsheet(path, option, missing), where)
    delimiter = _cellminer_delimiter(path, option)
    if delimiter is not None:
        logger.info("%s: taken as a CellMiner export", where)
        rows = read_rows(path, option, delimiter)
        return drop_dates(cellminer_profile(rows, path, option, missing=missing), where)
    wide = open_wide(path, option)
    return drop_dates(_from_table(wide, is_line), where)


def _from_table(wide: WideTable, is_line: Callable[[str], bool] | None) -> Profile:
    if is_gdc_counts(wide.columns):
        return gdc_counts(wide.table.path, wide.table.option)
    if is_gdsc_expression(wide.columns):
        return gdsc_expression(wide)
    if is_depmap(wide.columns):
        return depmap_profile(wide)
    return matrix_profile(wide, is_line)


def _from_spreadsheet(path: Path, option: str, missing: float) -> Profile:
    sheets = read_sheets(path, option)
    for name, rows in sheets.items():
        if any(line_columns(row) for row in rows[:_PREAMBLE_LINES]):
            logger.info("%s: %s: taken as a CellMiner export, sheet '%s'", option, path, name)
            return cellminer_profile(rows, path, option, missing=missing)
    raise InputError(
        f"{option}: {path} has no sheet with CellMiner's columns PANEL:LINE, such as 'BR:MCF7' "
        f"(it has the sheets {', '.join(sheets)}); save another matrix as .csv"
    )


def _cellminer_delimiter(path: Path, option: str) -> str | None:
    """Tell CellMiner's text export by its header; None: it is none."""
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return None
    text, _ = read_head(path, option)
    top = "\n".join(text.split("\n", _PREAMBLE_LINES)[:_PREAMBLE_LINES])
    for delimiter in "\t,;":
        try:
            rows = list(csv.reader(io.StringIO(top, newline=""), delimiter=delimiter))
        except csv.Error:
            continue
        if any(line_columns(row) for row in rows):
            return delimiter
    return None
