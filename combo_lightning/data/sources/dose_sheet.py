"""Dose matrices as sheets: for each block ``Drug1``, ``Drug2``, ``ConcUnit``, and the matrix."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from combo_lightning.data.sources.columns import MISSING, plain
from combo_lightning.data.sources.raw_text import open_text, read_text
from combo_lightning.data.sources.spreadsheet import is_spreadsheet, read_sheets
from combo_lightning.data.sources.wells import Block
from combo_lightning.data.units import concentration_unit, to_log10_molar
from combo_lightning.errors import InputError

Floats = npt.NDArray[np.float64]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_KEYS = {
    "drug1": "Drug1", "drug2": "Drug2", "concunit": "ConcUnit", "cell": "Cell", "cellline": "Cell",
    "celllinename": "Cell",
}  # fmt: skip
_HEAD = 1 << 16


def is_dose_sheet(path: Path, option: str) -> bool:
    """Tell from the first line that is not blank: it names the first drug."""
    if path.is_dir():
        return False
    try:
        if is_spreadsheet(path):
            sheets = read_sheets(path, option)
            rows = [row for sheet in sheets.values() for row in sheet[:1]]
        else:
            with open_text(path, option) as stream:
                rows = _fields(stream.read(_HEAD))[:1]
    except InputError:
        return False
    return bool(rows) and plain(rows[0][0]) == "drug1" and len([c for c in rows[0] if c]) == 2


def read_dose_sheet(path: Path, option: str) -> list[Block]:
    """Read all blocks of a sheet, or of all sheets of a spreadsheet file.

    The responses stand in `Block.percent` as the file has them. A block without a line ``Cell``
    is in a line named like the file.

    Args:
        path: The file.
        option: The option that named it, for messages.

    Raises:
        InputError: If a block lacks a line, its matrix is torn, or holds no number.
    """
    if is_spreadsheet(path):
        sheets = read_sheets(path, option)
    else:
        sheets = {"": _fields(read_text(path, option))}
    blocks = []
    for sheet, rows in sheets.items():
        starts = [i for i, row in enumerate(rows) if plain(row[0]) == "drug1"]
        for number, (first, end) in enumerate(zip(starts, [*starts[1:], None], strict=True), 1):
            where = f"{option}: {path}" + (f", sheet '{sheet}'" if len(sheets) > 1 else "")
            blocks.append(_block(rows[first:end], path.stem, f"{where}, block {number}"))
    return blocks


def _fields(text: str) -> list[list[str]]:
    """Cut a text into rows of fields, at what its first line has; blank rows go."""
    lines = text.lstrip("\n").splitlines()
    delimiter = max(",;\t", key=(lines or [""])[0].count)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    return [cells for row in rows if any(cells := [cell.strip() for cell in row])]


def _block(rows: Sequence[list[str]], default_cell: str, where: str) -> Block:
    named: dict[str, str] = {}
    head = 0
    while head < len(rows) and plain(rows[head][0]) in _KEYS:
        key = _KEYS[plain(rows[head][0])]
        values = [cell for cell in rows[head][1:] if cell]
        if len(values) != 1 or key in named:
            raise InputError(
                f"{where}: its line '{key}' holds {len(values)} values or stands twice; write "
                f"'{key}' and one value beside it"
            )
        named[key] = values[0]
        head += 1
    lacking = [key for key in ("Drug1", "Drug2", "ConcUnit") if key not in named]
    if lacking:
        raise InputError(
            f"{where} has no line '{lacking[0]}' before its matrix; write '{lacking[0]}' and its "
            "value beside it"
        )
    unit = concentration_unit(named["ConcUnit"], f"{where}, ConcUnit")
    if unit.log_base is not None:
        raise InputError(f"{where}: ConcUnit is {unit.name}; write doses, not their logarithms")
    first, second, matrix = _matrix(rows[head:], where)
    doses = [to_log10_molar(side, unit) for side in (first, second)]
    grid = np.meshgrid(*doses, indexing="ij")
    return Block(
        cell=named.get("Cell", default_cell),
        drugs=(named["Drug1"], named["Drug2"]),
        log10_molar=np.stack([side.ravel() for side in grid], axis=1),
        percent=matrix.ravel(),
    )


def _matrix(rows: Sequence[list[str]], where: str) -> tuple[Floats, Floats, Floats]:
    """Read a matrix: doses of the second drug above, of the first at the left.

    Raises:
        InputError: If it is torn, holds no number, or a dose is negative or stands twice.
    """
    if len(rows) < 2:
        raise InputError(f"{where} has no matrix below its lines; give one")
    head = _without_end(rows[0])
    # The corner is empty, or left out as in SynergyFinder's first example.
    second = [
        _number(c, f"{where}, doses above", needed=True) for c in head[0 if head[0] else 1 :]
    ]
    first, lines = [], []
    for row in rows[1:]:
        place = f"{where}, row of dose '{row[0]}'"
        fields = row if len(_without_end(row)) > len(second) + 1 else row[: len(second) + 1]
        if len(fields) != len(second) + 1:
            raise InputError(
                f"{place} has {len(_without_end(row))} fields; under {len(second)} doses it "
                f"needs {len(second) + 1}, of which a missing one is empty"
            )
        first.append(_number(fields[0], place, needed=True))
        lines.append([_number(cell, place) for cell in fields[1:]])
    for doses, side in ((first, "left"), (second, "top")):
        if len(set(doses)) < len(doses) or min(doses) < 0:
            raise InputError(f"{where}: a dose at the {side} is negative or stands twice")
    return np.array(first), np.array(second), np.array(lines)


def _without_end(row: list[str]) -> list[str]:
    while len(row) > 1 and not row[-1]:
        row = row[:-1]
    return row


def _number(text: str, where: str, *, needed: bool = False) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    if text in MISSING and not needed:
        return np.nan
    raise InputError(
        f"{where} holds '{text}'; it must be a number, as in -0.5"
        + ("" if needed else ", or empty")
    )
