"""A table that stands in a sheet of a spreadsheet file, read as other tables are."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from combo_lightning.data.sources.columns import UserTable
from combo_lightning.data.sources.spreadsheet import cell_text, open_book
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

_BATCH_ROWS = 1 << 14


@dataclass(frozen=True)
class SheetTable(UserTable):
    """A sheet whose first row that is not empty names the columns.

    Args:
        sheet: Its name.
    """

    sheet: str = ""

    @classmethod
    def open_sheet(cls, path: Path, option: str) -> "SheetTable":
        """Open the sheet of most columns.

        Raises:
            InputError: If the file is no spreadsheet, or no sheet has two columns.
        """
        with open_book(path, option) as book:
            headers = {name: _header(book.get_sheet_by_name(name)) for name in book.sheet_names}
        sheet = max(headers, key=lambda name: len(headers[name][0]), default=None)
        if sheet is None or len(headers[sheet][0]) < 2:
            raise InputError(
                f"{option}: {path} has no sheet with a table of two columns or more (its sheets "
                f"are {', '.join(headers) or 'none'})"
            )
        columns, row = headers[sheet]
        table = cls(path, option, columns, skip=row, sheet=sheet)
        table.refuse_equal_names()
        if len(headers) > 1:
            logger.info("%s: reading the sheet '%s'", table.where, sheet)
        return table

    def place(self, row: int) -> str:
        """Say where a row stands, counted from 0: the sheet, and its row there."""
        return f"{self.where}, sheet '{self.sheet}', row {row + 1 + self.skip}"

    def batches(
        self,
        columns: Sequence[str] | None = None,
        numbers: Collection[str] = (),
    ) -> Iterator[Any]:
        """Read the rows a batch at a time, as Arrow batches of text, `numbers` too.

        Raises:
            InputError: If the file is damaged.
        """
        names = list(self.columns if columns is None else columns)
        places = [self.columns.index(name) for name in names]
        with open_book(self.path, self.option) as book:
            sheet = book.get_sheet_by_name(self.sheet)
            rows = islice(sheet.iter_rows(), self.skip, None)
            while batch := list(islice(rows, _BATCH_ROWS)):
                fields = [[cell_text(row[i]) for row in batch] for i in places]
                yield pa.record_batch([pa.array(f, pa.string()) for f in fields], names)


def _header(sheet: Any) -> tuple[tuple[str, ...], int]:
    """Give the names of a sheet's columns, and the number of the row that names them."""
    for number, row in enumerate(sheet.iter_rows(), start=1):
        names = [cell_text(value) for value in row]
        while names and not names[-1]:
            names.pop()
        if names:
            return tuple(names), number
    return (), 0
