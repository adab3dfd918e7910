"""The file of a screen as a table, whatever its container and separator, and its columns."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from combo_lightning.data.sources.columns import ANY, UserTable, plain
from combo_lightning.data.sources.raw_text import require_file
from combo_lightning.data.sources.sheet_table import SheetTable
from combo_lightning.data.sources.spreadsheet import is_spreadsheet
from combo_lightning.errors import InputError, did_you_mean


def header_of(path: Path, option: str) -> tuple[str, ...]:
    """Give the column names of a file; none: it is no table."""
    try:
        return () if path.is_dir() else open_table(path, option).columns
    except InputError:
        return ()


def open_table(path: Path, option: str) -> UserTable:
    """Open a table, whatever separates its fields, or the sheet of a spreadsheet file.

    Raises:
        InputError: As `UserTable.open`.
    """
    now = require_file(path, option).stat()
    return _open(path, option, (now.st_ino, now.st_size, now.st_mtime_ns))


@lru_cache(maxsize=8)
def _open(path: Path, option: str, version: tuple[int, int, int]) -> UserTable:
    # Every format asks, and a large workbook takes seconds to open.
    if is_spreadsheet(path):
        return SheetTable.open_sheet(path, option)
    return UserTable.open(path, option, ANY)


def find_column(table: UserTable, names: Sequence[str]) -> str | None:
    """Find a column by any of its names, whatever their case and punctuation; None: no such."""
    by_plain = {plain(column): column for column in reversed(table.columns)}
    return next((by_plain[plain(name)] for name in names if plain(name) in by_plain), None)


def needed_columns(table: UserTable, names: Sequence[str]) -> list[str]:
    """Find columns that must be there, whatever their case and punctuation.

    Raises:
        InputError: If one is not there.
    """
    found = {name: find_column(table, (name,)) for name in names}
    lacking = next((name for name, column in found.items() if column is None), None)
    if lacking is not None:
        raise InputError(
            f"{table.where} has no column '{lacking}'{did_you_mean(lacking, table.columns)}; it "
            f"has {', '.join(table.columns)}"
        )
    return [column for column in found.values() if column is not None]
