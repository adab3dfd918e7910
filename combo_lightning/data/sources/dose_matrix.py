"""Dose matrices as SynergyFinder and DECREASE read them: a long table, or sheets of matrices.

A block is two drugs in a line. The long table has a row a well; a sheet has, for each block, lines
``Drug1``, ``Drug2``, ``ConcUnit`` and then the matrix, rows of the first drug and columns of the
second. Described by SynergyFinder's and DECREASE's code and example files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from combo_lightning.data.sources.columns import UserTable, texts
from combo_lightning.data.sources.dose_sheet import is_dose_sheet, read_dose_sheet
from combo_lightning.data.sources.screen import OPTION, ScreenSource
from combo_lightning.data.sources.screen_facts import SeenDrugs, SeenLines
from combo_lightning.data.sources.screen_file import find_column, header_of, open_table
from combo_lightning.data.sources.well_units import WellMeasure, in_percent
from combo_lightning.data.sources.wells import (
    OF_GROWTH,
    RESPONSES,
    Block,
    WellsSource,
    slots_of,
)
from combo_lightning.data.units import concentration_unit, growth_from_viability, to_log10_molar
from combo_lightning.errors import InputError

Floats = npt.NDArray[np.float64]

# Names of the long table's columns in SynergyFinder's versions, DECREASE and DrugComb.
_BLOCK = ("block_id", "PairIndex")
_DRUGS = (("drug1", "drug_row"), ("drug2", "drug_col"))
_DOSES = (("conc1", "conc_row", "conc_r"), ("conc2", "conc_col", "conc_c"))
_UNITS = (
    ("conc_unit", "conc_unit1", "conc_r_unit", "conc_row_unit"),
    ("conc_unit2", "conc_c_unit", "conc_col_unit"),
)
_TIME_ZERO = ("time_zero", "time_zero_percent")
_CELL = ("cell_line_name", "cell_line", "cell")
_STATED: dict[str, WellMeasure | None] = {
    "viability": "viability", "inhibition": "inhibition", "growth": "growth", "response": None,
}  # fmt: skip
_NEEDED = (_BLOCK, *_DRUGS, *_DOSES, _UNITS[0])


@dataclass(frozen=True)
class DoseMatrixFormat:
    """Dose matrices, long or as sheets.

    Args:
        wells: What the responses are; None: as the column is called, else viability or
            inhibition as the untreated wells tell.
    """

    wells: WellMeasure | None = None
    name: str = "dose matrices"
    responses: Sequence[str] = (*RESPONSES, *OF_GROWTH)

    def recognises(self, path: Path, option: str) -> bool:
        """Tell from the columns of the long table, or the first line of a sheet."""
        return not self.lacks(path, option) or is_dose_sheet(path, option)

    def lacks(self, path: Path, option: str) -> list[str]:
        """Name the columns of the long table that a file has not."""
        columns = header_of(path, option)
        if not columns:
            return [names[0] for names in _NEEDED]
        table = UserTable(path, option, columns)
        needed = (*_NEEDED, tuple(_STATED))
        return [names[0] for names in needed if find_column(table, names) is None]

    def open(self, path: Path, response: str) -> ScreenSource:
        """Read all wells.

        Raises:
            InputError: If a block or a value is not what it must be.
        """
        stated = self.wells
        if is_dose_sheet(path, OPTION):
            blocks = read_dose_sheet(path, OPTION)
        else:
            blocks, called = _long_blocks(open_table(path, OPTION), path.stem)
            if stated and called and stated != called:
                raise InputError(
                    f"--wells {stated}: {path} has a column '{called}'; leave the option out"
                )
            stated = stated or called
        return WellsSource(
            num_slots=slots_of(response),
            lines=SeenLines(),
            drugs=SeenDrugs(path, OPTION, self.name),
            blocks=iter(_in_percent(blocks, stated, response, f"{OPTION}: {path}")),
            response=response,
        )


def _in_percent(
    blocks: Sequence[Block], stated: WellMeasure | None, response: str, where: str
) -> list[Block]:
    """Turn blocks that hold the file's own numbers into what a response is made of.

    Raises:
        InputError: If there are none, or they cannot be what they are said to be.
    """
    if not blocks:
        raise InputError(f"{where} holds no block")
    doses = np.concatenate([block.log10_molar for block in blocks])
    values = np.concatenate([block.percent for block in blocks])
    untreated = ~np.isfinite(doses).any(axis=1)
    start = [block.time_zero for block in blocks if block.time_zero is not None]
    wanted: WellMeasure = "growth" if response in OF_GROWTH else "viability"
    if wanted == "growth" and stated != "growth" and start:
        viability = in_percent(values, untreated, (stated, "viability"), where)
        percent = growth_from_viability(viability, np.concatenate(start))
    else:
        percent = in_percent(values, untreated, (stated, wanted), where)
    ends = np.cumsum([len(block.percent) for block in blocks])
    parts = np.split(percent, ends[:-1])
    return [replace(block, percent=part) for block, part in zip(blocks, parts, strict=True)]


def _long_blocks(table: UserTable, default_cell: str) -> tuple[list[Block], WellMeasure | None]:
    """Read a long table: its blocks with the file's own numbers, and what the column is called.

    Raises:
        InputError: If a block holds several pairs or lines, or a value is not what it must be.
    """
    if find_column(table, ("drug3", "conc3")) is not None:
        raise InputError(
            f"{table.where} combines three drugs or more; only pairs are read here: use "
            "'combo-lightning prepare table', which takes any number"
        )
    rows = table.read().combine_chunks()
    name, called = next(
        (column, called)
        for names, called in _STATED.items()
        if (column := find_column(table, (names,))) is not None
    )
    values, start = table.numbers(rows.column(name), name), _time_zero(table, rows)
    drugs = [texts(rows.column(_column(table, names))) for names in _DRUGS]
    doses = np.stack([_doses(table, rows, drugs, slot) for slot in range(2)], axis=1)
    cell = find_column(table, _CELL)
    cells = texts(rows.column(cell)) if cell else pa.array([default_cell] * len(rows))
    block = texts(rows.column(_column(table, _BLOCK)))
    _refuse_missing(table, block, rows, _column(table, _BLOCK))
    _refuse_missing(table, cells, rows, cell or "")
    keys = [column.fill_null("").dictionary_encode() for column in (block, *drugs, cells)]
    codes = [key.indices.to_numpy() for key in keys]
    _, first, row_block = np.unique(codes[0], return_index=True, return_inverse=True)
    for code, role in zip(codes[1:], (*_DRUGS, _CELL), strict=True):
        other = np.flatnonzero(code != code[first][row_block])
        if len(other):
            raise InputError(
                f"{table.place(int(other[0]))}: block '{block[int(other[0])].as_py()}' has a "
                f"second {role[0]} there; give each pair in each line a {_BLOCK[0]} of its own"
            )
    words = [key.dictionary.to_pylist() for key in keys]
    order = np.argsort(row_block, kind="stable")
    blocks = []
    for part in np.split(order, np.cumsum(np.bincount(row_block))[:-1]):
        one, other, line = (w[c[part[0]]] for w, c in zip(words[1:], codes[1:], strict=True))
        zero = None if start is None else start[part]
        blocks.append(Block(line, (one, other), doses[part], values[part], time_zero=zero))
    return blocks, called


def _time_zero(table: UserTable, rows: Any) -> Floats | None:
    """Read the cells at the start, in percent of untreated wells at the end; None: no column."""
    name = find_column(table, _TIME_ZERO)
    if name is None:
        return None
    column = rows.column(name).combine_chunks()
    start = table.numbers(column, name)
    expected = (
        "it must be the cells at the start in percent of untreated wells at the end, between 0 "
        "and 100"
    )
    table.refuse(~((start > 0) & (start < 100)), column, name, 0, expected)
    return start


def _column(table: UserTable, names: Sequence[str]) -> str:
    column = find_column(table, names)
    if column is None:
        raise InputError(f"{table.where} has no column '{names[0]}'")
    return column


def _refuse_missing(table: UserTable, column: Any, rows: Any, name: str) -> None:
    missing = ~column.is_valid().to_numpy(zero_copy_only=False)
    if missing.any():
        table.refuse(missing, rows.column(name).combine_chunks(), name, 0, "give it")


def _doses(table: UserTable, rows: Any, drugs: Sequence[Any], slot: int) -> Floats:
    """Read a drug's doses as log10 molar; 0 is -inf, no drug.

    Raises:
        InputError: If one is missing, negative, without its drug, or in no molar unit.
    """
    name = _column(table, _DOSES[slot])
    column = rows.column(name).combine_chunks()
    dose = table.numbers(column, name)
    table.refuse(~(dose >= 0), column, name, 0, "a dose must be 0 (no drug) or more")
    named = drugs[slot].is_valid().to_numpy(zero_copy_only=False)
    expected = f"'{_DRUGS[slot][0]}' names no drug there: give the drug, or a dose of 0"
    table.refuse((dose > 0) & ~named, column, name, 0, expected)
    found = find_column(table, _UNITS[slot]) or _column(table, _UNITS[0])
    units = texts(rows.column(found))
    _refuse_missing(table, units, rows, found)
    result = np.full(len(dose), -np.inf)
    for word in units.unique().to_pylist():
        unit = concentration_unit(word, f"{table.where}, column '{found}'")
        if unit.log_base is not None:
            raise InputError(
                f"{table.where}, column '{found}' says {unit.name}; give doses, not logarithms, "
                "as a dose of 0 means no drug"
            )
        here = np.array(units.to_pylist(), dtype=object) == word
        result[here] = to_log10_molar(dose[here], unit)
    return result
