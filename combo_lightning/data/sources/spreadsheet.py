"""Sheets of a spreadsheet file as rows of text: .xls (BIFF), .xlsx, .ods, told by content."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import python_calamine

from combo_lightning.data.sources.raw_text import require_file
from combo_lightning.errors import InputError

_OLE2 = b"\xd0\xcf\x11\xe0"
_ZIP = b"PK\x03\x04"


def is_spreadsheet(path: Path) -> bool:
    """Tell from the first bytes: an OLE2 container (.xls) or a ZIP archive (.xlsx, .ods)."""
    with path.open("rb") as file:
        return file.read(4) in (_OLE2, _ZIP)


def read_sheets(path: Path, option: str) -> dict[str, list[list[str]]]:
    """Read all sheets as rows of stripped text; blank rows go.

    Whole numbers lose their point and dates read as 2001-03-01.

    Args:
        path: The file.
        option: The option that named it, for messages.

    Raises:
        InputError: If it is missing, or no spreadsheet or a damaged one.
    """
    with open_book(path, option) as book:
        sheets = {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}
    return {
        name: [cells for row in rows if any(cells := [cell_text(value) for value in row])]
        for name, rows in sheets.items()
    }


@contextmanager
def open_book(path: Path, option: str) -> Iterator[Any]:
    """Open a spreadsheet file; what goes wrong meanwhile is told.

    Args:
        path: The file.
        option: The option that named it, for messages.

    Yields:
        A workbook of python_calamine.

    Raises:
        InputError: If it is missing, or no spreadsheet or a damaged one.
    """
    require_file(path, option)
    try:
        # Not by its path: the library would believe the name's ending.
        with (
            path.open("rb") as file,
            python_calamine.CalamineWorkbook.from_filelike(file) as book,
        ):
            yield book
    except (python_calamine.CalamineError, OSError) as error:
        raise InputError(
            f"{option}: {path} cannot be read as a spreadsheet ({error}); if it is a ZIP archive "
            "of text, unpack it; if it was cut short, download it again; else save it again as "
            ".xlsx or .csv"
        ) from error


def cell_text(value: Any) -> str:
    """Write a cell as text: whole numbers without a point, dates as 2001-03-01."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
