"""A split that the user's own file states.

Shapes: F rows of the file, N measurements, D drugs.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import Codes, combine_codes, compound_sets
from combo_lightning.data.schema import drug_columns
from combo_lightning.data.sources.columns import UserTable, texts
from combo_lightning.data.studies import study_codes
from combo_lightning.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)

Parts = npt.NDArray[np.int8]
Columns = Mapping[str, npt.NDArray[Any]]


def read_parts(
    path: Path, dataset: ScreenDataset, compound_D: Codes, parts: Sequence[str]
) -> Parts:
    """Read the part of every row.

    Args:
        path: CSV, TSV or Parquet with a column ``part``, and ``row`` (from 0) or any of
            ``cell_id``, ``tissue`` and all of ``drug_1``.. (in whatever order); with ``row``, the
            others must agree with the data set.
        dataset: The screen.
        compound_D: One number for all drugs with the same InChIKey, for each drug.
        parts: Names of the parts; the last is that of rows that the file does not name.

    Raises:
        InputError: If a column, a name or a part is unknown, or the file puts replicates or both
            orders of a pair into different parts.
    """
    table = UserTable.open(path, "data.split.file")
    table.require("part", ", ".join(parts))
    names = _key_names(table, dataset)
    file = _read_columns(table, names, dataset, parts)
    tissue_names = _tissues(dataset)
    tissue_C = np.array([tissue_names.get(t, -1) for t in dataset.cells.annotation("tissue")])
    responses = dataset.responses
    data: dict[str, npt.NDArray[Any]] = {
        "cell_id": responses.cell_N,
        "tissue": tissue_C[responses.cell_N],
        **dict(zip(drug_columns(responses.num_slots), responses.drug_NK.T, strict=True)),
    }
    in_file = _comparable(file, names, compound_D)
    in_data = _comparable(data, names, compound_D)
    unused = len(parts) - 1
    if "row" in file:
        part_N = _by_row(table, file, in_file, in_data, len(responses), unused)
    else:
        part_N = _by_keys(table, file["part"], in_file, in_data, unused)
    _check_together(table, part_N, dataset, compound_D, unused)
    left = int((part_N == unused).sum())
    if left:
        logger.info("%s: %d of %d rows are unused", path, left, len(part_N))
    return part_N


def _key_names(table: UserTable, dataset: ScreenDataset) -> list[str]:
    """Name the key columns that a file has.

    Raises:
        InputError: If it has none and no rows either, or not all of the drugs.
    """
    drugs = drug_columns(dataset.responses.num_slots)
    found = [name for name in ("cell_id", "tissue", *drugs) if name in table.columns]
    some_drugs = not set(drugs).isdisjoint(found) and not set(drugs) <= set(found)
    if some_drugs or not (found or "row" in table.columns):
        raise InputError(
            f"{table.where} has the columns {', '.join(table.columns[:12])}; a split file needs "
            f"'part' and 'row', or 'part' and some of 'cell_id', 'tissue' and {', '.join(drugs)} "
            "(all of these, empty where there is no drug)"
        )
    return found


def _tissues(dataset: ScreenDataset) -> dict[str | None, int]:
    known = sorted({t for t in dataset.cells.annotation("tissue") if t is not None})
    return {name: i for i, name in enumerate(known)}


def _read_columns(
    table: UserTable, names: Sequence[str], dataset: ScreenDataset, parts: Sequence[str]
) -> Columns:
    """Read the file in a stream: names become numbers, one look-up a distinct name and batch.

    Raises:
        InputError: If a name is unknown, a row number cannot be, or the file has no rows.
    """
    known: dict[str, dict[str | None, int]] = {
        "part": {name: i for i, name in enumerate(parts)},
        "cell_id": {name: i for i, name in enumerate(dataset.cells.ids)},
        "tissue": _tissues(dataset),
    }
    drugs: dict[str | None, int] = {name: i for i, name in enumerate(dataset.drugs.ids)}
    for slot in drug_columns(dataset.responses.num_slots):
        known[slot] = drugs | {None: -1}
    wanted = ["part", *names, *(["row"] if "row" in table.columns else [])]
    pieces: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in wanted}
    start = 0
    for batch in table.batches(wanted):
        for name in wanted:
            column = batch.column(name)
            pieces[name].append(
                _row_numbers(table, column, start, len(dataset.responses))
                if name == "row"
                else _look_up(table, column, name, start, known[name])
            )
        start += len(batch)
    if not start:
        raise InputError(f"{table.where} has a header but no rows")
    return {name: np.concatenate(arrays) for name, arrays in pieces.items()}


def _row_numbers(table: UserTable, column: Any, start: int, count: int) -> npt.NDArray[np.int64]:
    row = table.numbers(column, "row", start)
    bad = ~((row >= 0) & (row < count) & (row % 1 == 0))
    table.refuse(bad, column, "row", start, f"it must be a whole number from 0 to {count - 1}")
    return row.astype(np.int64)


def _look_up(
    table: UserTable, column: Any, name: str, start: int, known: Mapping[str | None, int]
) -> npt.NDArray[np.int32]:
    encoded = pc.dictionary_encode(texts(column), null_encoding="encode")
    distinct = encoded.dictionary.to_pylist()
    code_of = np.array([known.get(value, -2) for value in distinct], dtype=np.int32)
    code: npt.NDArray[np.int32] = code_of[encoded.indices.to_numpy()]
    bad = code == -2
    if bad.any():
        names = [value for value in known if value is not None]
        found = next(value for value in distinct if value not in known)
        what = f"one of {', '.join(names)}" if name == "part" else "in the data set"
        hint = did_you_mean(found or "", names)
        table.refuse(bad, column, name, start, f"it must be {what}{hint}")
    return code


def _comparable(
    columns: Columns, names: Sequence[str], compound_D: Codes
) -> dict[str, npt.NDArray[Any]]:
    """Give the key columns, with the compounds of a row in one order."""
    drugs = [name for name in names if name.startswith("drug_")]
    result = {name: columns[name] for name in names if name not in drugs}
    if drugs:
        drug = np.stack([columns[name] for name in drugs], axis=1)
        compound = np.where(drug >= 0, compound_D.astype(np.int32)[drug], np.int32(-1))
        compound.sort(axis=1)
        result |= dict(zip(drugs, compound.T, strict=True))
    return result


def _by_row(
    table: UserTable, file: Columns, in_file: Columns, in_data: Columns, count: int, unused: int
) -> Parts:
    """Take the part of each row by its number.

    Raises:
        InputError: If a number stands twice, or belongs to another cell line or other drugs.
    """
    row_F = file["row"]
    for name in in_file:
        other = np.flatnonzero(in_file[name] != in_data[name][row_F])
        if other.size:
            raise InputError(
                f"{table.place(int(other[0]))}: row {row_F[other[0]]} of the data set has another "
                f"{name}; the file was made for another data set (without its column 'row' it is "
                "matched by names)"
            )
    first_N = np.full(count, -1, dtype=np.int64)
    first_N[row_F[::-1]] = np.arange(len(row_F))[::-1]
    again = np.flatnonzero(first_N[row_F] != np.arange(len(row_F)))
    if again.size:
        raise InputError(
            f"{table.place(int(again[0]))} names row {row_F[again[0]]} again; name every row once"
        )
    part_N = np.full(count, unused, dtype=np.int8)
    part_N[row_F] = file["part"]
    return part_N


def _by_keys(
    table: UserTable,
    part_F: npt.NDArray[Any],
    in_file: Columns,
    in_data: Columns,
    unused: int,
) -> Parts:
    """Match rows by cell line, tissue or drugs.

    Raises:
        InputError: If the file contradicts itself.
    """
    key = combine_codes([np.concatenate([in_file[name], in_data[name]]) for name in in_file])
    key_F, key_N = key[: len(part_F)], key[len(part_F) :]
    part_of_key = np.full(key.max() + 1, unused, dtype=np.int8)
    part_of_key[key_F[::-1]] = part_F[::-1]
    clash = np.flatnonzero(part_of_key[key_F] != part_F)
    if clash.size:
        again = int(clash[0])
        first = int(np.flatnonzero(key_F == key_F[again])[0])
        raise InputError(
            f"{table.place(again)} names what {table.place(first).rpartition(', ')[2]} puts into "
            "a different part; name it once (drugs count in whatever order)"
        )
    return part_of_key[key_N]


def _check_together(
    table: UserTable, part_N: Parts, dataset: ScreenDataset, compound_D: Codes, unused: int
) -> None:
    """Refuse a file that tears replicates, orders or doses of one combination apart.

    Raises:
        InputError: With two such rows.
    """
    responses = dataset.responses
    # Studies may be parted from each other: that is what leave_study_out asks for.
    codes = [compound_sets(responses, compound_D), responses.cell_N, study_codes(responses)]
    group_N = combine_codes(codes)
    used = np.flatnonzero(part_N != unused)
    first = np.full(group_N.max() + 1, -1, dtype=np.int64)
    first[group_N[used][::-1]] = used[::-1]
    torn = used[part_N[first[group_N[used]]] != part_N[used]]
    if torn.size:
        row, other = int(torn[0]), int(first[group_N[torn[0]]])
        raise InputError(
            f"{table.where} puts rows {other} and {row} into different parts, but they measured "
            f"the same drugs in {dataset.cells.ids[responses.cell_N[row]]} (a replicate, the "
            "other order or another dose); put them into one part, or one of them into 'unused'"
        )
