"""A split that the user's own file states."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import Codes, combine_codes, compound_sets
from combo_lightning.data.schema import drug_columns
from combo_lightning.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)


def read_parts(
    path: Path, dataset: ScreenDataset, compound_D: Codes, parts: tuple[str, ...]
) -> npt.NDArray[np.int8]:
    """Read the part of every row.

    Args:
        path: CSV, TSV or Parquet with a column ``part`` and either ``row`` (from 0) or any of
            ``cell_id``, ``tissue`` and all of ``drug_1``.. (in whatever order).
        dataset: The screen.
        compound_D: First drug with the same InChIKey, for each drug.
        parts: Names of the parts; the last is that of rows that the file does not name.

    Raises:
        InputError: If a column, a name or a part is unknown, or the file puts replicates or both
            orders of a pair into different parts.
    """
    frame = _read_frame(path)
    if "part" not in frame:
        raise InputError(
            f"{path} has no column 'part'{did_you_mean('part', map(str, frame.columns))}; "
            f"it has {', '.join(map(str, frame.columns))}"
        )
    names = frame["part"].astype(str)
    bad = ~names.isin(parts)
    if bad.any():
        line = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{path}, row {line}, column 'part' is '{names.iloc[line]}'; it must be one of "
            f"{', '.join(parts)}{did_you_mean(names.iloc[line], parts)}"
        )
    code_F = np.array([parts.index(name) for name in names], dtype=np.int8)
    unused = len(parts) - 1
    if "row" in frame:
        part_N = _by_row(path, frame, code_F, len(dataset.responses), unused)
    else:
        part_N = _by_keys(path, frame, code_F, dataset, compound_D, unused)
    _check_together(path, part_N, dataset, compound_D, unused)
    left = int((part_N == unused).sum())
    if left:
        logger.info("%s: %d rows are unused", path, left)
    return part_N


def _read_frame(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"data.split.file: there is no file {path}")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype=str)
    except (ValueError, OSError) as error:
        raise InputError(f"data.split.file: cannot read {path}: {error}") from error


def _by_row(
    path: Path, frame: pd.DataFrame, code_F: npt.NDArray[np.int8], count: int, unused: int
) -> npt.NDArray[np.int8]:
    row = pd.to_numeric(frame["row"], errors="coerce")
    bad = ~((row >= 0) & (row < count) & (row % 1 == 0))
    if bad.any():
        line = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{path}, row {line}, column 'row' is '{frame['row'].iloc[line]}'; it must be a whole "
            f"number from 0 to {count - 1}"
        )
    if row.duplicated().any():
        raise InputError(f"{path} names row {int(row[row.duplicated()].iloc[0])} twice")
    part_N = np.full(count, unused, dtype=np.int8)
    part_N[row.to_numpy(dtype=np.int64)] = code_F
    return part_N


def _by_keys(
    path: Path,
    frame: pd.DataFrame,
    code_F: npt.NDArray[np.int8],
    dataset: ScreenDataset,
    compound_D: Codes,
    unused: int,
) -> npt.NDArray[np.int8]:
    """Match rows by the key columns that the file has; drugs in whatever order.

    Raises:
        InputError: If there are no key columns, or the file contradicts itself.
    """
    responses, drugs = dataset.responses, drug_columns(dataset.responses.num_slots)
    tissues = [tissue or "" for tissue in dataset.cells.annotation("tissue")]
    given = [name for name in ("cell_id", "tissue", *drugs) if name in frame]
    if not given or (set(given) & set(drugs) and not set(drugs) <= set(given)):
        raise InputError(
            f"{path} has the columns {', '.join(map(str, frame.columns))}; a split file needs "
            f"'part' and 'row', or 'part' and some of 'cell_id', 'tissue', {drugs} (all of them)"
        )
    in_data: list[npt.NDArray[Any]] = []
    in_file: list[npt.NDArray[Any]] = []
    if "cell_id" in given:
        in_data.append(responses.cell_N)
        in_file.append(_look_up(path, frame["cell_id"], list(dataset.cells.ids)))
    if "tissue" in given:
        names = sorted(set(tissues))
        of_cell = np.array([names.index(tissue) for tissue in tissues])
        in_data.append(of_cell[responses.cell_N])
        in_file.append(_look_up(path, frame["tissue"], names))
    if drugs[0] in given:
        columns = [
            _look_up(path, frame[name], list(dataset.drugs.ids), empty=True) for name in drugs
        ]
        for index, into in (
            (responses.drug_NK, in_data),
            (np.stack(columns, axis=1), in_file),
        ):
            compound = np.sort(np.where(index >= 0, compound_D[index], -1), axis=1)
            into.extend(compound.T)
    split_at = len(in_file[0])
    key = combine_codes([np.concatenate([f, d]) for f, d in zip(in_file, in_data, strict=True)])
    file_key, data_key = key[:split_at], key[split_at:]
    part_of_key = np.full(key.max() + 1, unused, dtype=np.int8)
    part_of_key[file_key] = code_F
    clash = np.flatnonzero(part_of_key[file_key] != code_F)
    if clash.size:
        raise InputError(
            f"{path}, row {int(clash[0])} names what another row puts into a different part: "
            f"{frame[given].iloc[int(clash[0])].to_dict()}"
        )
    return part_of_key[data_key]


def _look_up(
    path: Path, column: "pd.Series[Any]", names: list[str], *, empty: bool = False
) -> npt.NDArray[np.int64]:
    text = column.astype("object").where(column.notna(), None)
    index = {name: i for i, name in enumerate(names)} | ({None: -1, "": -1} if empty else {})
    unknown = [v for v in text.unique() if v not in index]
    if unknown:
        raise InputError(
            f"{path}, column '{column.name}': '{unknown[0]}' is not in the data set"
            + did_you_mean(str(unknown[0]), names)
        )
    return np.array([index[value] for value in text], dtype=np.int64)


def _check_together(
    path: Path,
    part_N: npt.NDArray[np.int8],
    dataset: ScreenDataset,
    compound_D: Codes,
    unused: int,
) -> None:
    """Refuse a file that tears replicates, orders or doses of one combination apart.

    Raises:
        InputError: With two such rows.
    """
    responses = dataset.responses
    group_N = combine_codes([compound_sets(responses, compound_D), responses.cell_N])
    used = np.flatnonzero(part_N != unused)
    first = np.full(group_N.max() + 1, -1, dtype=np.int64)
    first[group_N[used][::-1]] = used[::-1]
    torn = used[part_N[first[group_N[used]]] != part_N[used]]
    if torn.size:
        row, other = int(torn[0]), int(first[group_N[torn[0]]])
        raise InputError(
            f"{path} puts rows {other} and {row} into different parts, but they measured the same "
            f"drugs in {dataset.cells.ids[responses.cell_N[row]]} (a replicate, the other order "
            "or another dose); put them into one part, or one of them into 'unused'"
        )
