"""The files that prediction reads and writes, in a stream: memory does not grow with them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from combo_lightning.data.platforms import origin_column
from combo_lightning.errors import InputError, did_you_mean
from combo_lightning.inference.members import Members
from combo_lightning.inference.predictor import Predictor, Roster

CELL_COLUMNS = ("cell_id", "cell", "cell_line", "cellname")
NAME_COLUMNS = ("name", "drug", "drug_id", "cell_id", "cell", "cell_line")
BATCH_ROWS = 1 << 17


def require_file(path: Path, option: str) -> None:
    """Refuse a path where there is no file.

    Raises:
        InputError: With the nearest name in its folder.
    """
    if not path.is_file():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{option}: there is no file {path}{did_you_mean(path.name, beside)}")


def is_parquet(path: Path) -> bool:
    """Tell by the name's end."""
    return path.suffix.lower() in (".parquet", ".pq")


def read_batches(path: Path, option: str) -> Iterator[pa.RecordBatch]:
    """Read a CSV, TSV or Parquet file batch by batch; CSV columns come as text.

    Raises:
        InputError: If it is missing, damaged or not rectangular.
    """
    require_file(path, option)
    try:
        if is_parquet(path):
            yield from pq.ParquetFile(path).iter_batches(batch_size=BATCH_ROWS)
            return
        delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
        with pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(block_size=1 << 23),
            parse_options=pacsv.ParseOptions(delimiter=delimiter),
            convert_options=_as_text(path, delimiter),
        ) as reader:
            yield from reader
    except pa.ArrowInvalid as error:
        raise InputError(f"{option}: cannot read {path}: {error}") from error
    except OSError as error:
        raise InputError(f"{option}: {path} is damaged or truncated: {error}") from error


def _as_text(path: Path, delimiter: str) -> pacsv.ConvertOptions:
    """Keep every column as text: an id such as 0740 is no number.

    Raises:
        InputError: If the file has one column only.
    """
    with pacsv.open_csv(path, parse_options=pacsv.ParseOptions(delimiter=delimiter)) as reader:
        names = reader.schema.names
    if len(names) < 2:
        raise InputError(
            f"{path} has one column, '{names[0]}'; use commas in .csv and tabs in .tsv files"
        )
    return pacsv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        null_values=["", "NA", "NaN", "nan", "null"],
        strings_can_be_null=True,
    )


class PairReader:
    """Turn batches of a pairs file into indices.

    Columns: the cell line (``cell_id``, ``cell`` or ``cell_line``), ``drug_1``..``drug_K`` (slots
    after the first may be absent or empty), ``log10_molar_1``.. where training knew doses,
    ``study`` where the model tells studies apart.

    Args:
        predictor: Who is known.
        path: The file, for messages.
    """

    def __init__(self, predictor: Predictor, path: Path) -> None:
        self.predictor = predictor
        self.path = path
        self._cells: dict[str | None, int] = {}
        self._drugs: dict[str | None, int] = {None: -1}
        self._studies: dict[str, int] = {}
        self._row = 0

    def read(
        self, batch: pa.RecordBatch
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64] | None]:
        """Read one batch.

        Returns:
            Cell lines ``[B]``, drugs ``[B, K]`` and doses ``[B, K]`` or None.

        Raises:
            InputError: If a column is missing, a name is unknown, or a row has no drug.
        """
        names = {name.lower(): name for name in batch.schema.names}
        cell = next((names[c] for c in CELL_COLUMNS if c in names), None)
        if cell is None or "drug_1" not in names:
            wanted = "cell_id" if cell is None else "drug_1"
            raise InputError(
                f"--pairs: {self.path} has no column '{wanted}'"
                f"{did_you_mean(wanted, batch.schema.names)}; it has "
                f"{', '.join(batch.schema.names)}"
            )
        num_slots = self.predictor.catalog.num_slots
        beyond = f"drug_{num_slots + 1}"
        if beyond in names:
            raise InputError(
                f"--pairs: {self.path} has a column '{beyond}', but the model combines at most "
                f"{num_slots} drugs"
            )
        roster = self.predictor
        cell_B = self._codes(batch.column(cell), cell, self._cells, roster.cells)
        drug_BK = np.full((len(batch), num_slots), -1, dtype=np.int64)
        for k in range(num_slots):
            name = names.get(f"drug_{k + 1}")
            if name is not None:
                drug_BK[:, k] = self._codes(batch.column(name), name, self._drugs, roster.drugs)
        empty = np.flatnonzero((drug_BK < 0).all(axis=1))
        if empty.size:
            raise InputError(f"--pairs: {self.path}, row {self._row + int(empty[0])} has no drug")
        doses = None
        if self.predictor.catalog.response.per_dose:
            columns = [names.get(f"log10_molar_{k + 1}") for k in range(num_slots)]
            doses = np.stack([self._numbers(batch, name) for name in columns], axis=1)
            missing = np.flatnonzero(((drug_BK >= 0) & ~np.isfinite(doses)).any(axis=1))
            if missing.size:
                raise InputError(
                    f"--pairs: {self.path}, row {self._row + int(missing[0])} lacks a dose; the "
                    "model needs log10_molar_1, log10_molar_2, .. for each drug"
                )
        self._row += len(batch)
        return cell_B, drug_BK, doses

    def studies(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64] | None:
        """Read the study of each row of a batch, where the model tells studies apart.

        Returns:
            ``[B]``; -1: unknown, as where the cell is empty. None: there is no such column.
        """
        names = {name.lower(): name for name in batch.schema.names}
        if "study" not in names or not self.predictor.tells_studies_apart:
            return None
        encoded = pc.dictionary_encode(batch.column(names["study"]).cast(pa.string()))
        where = f"--pairs: {self.path}, column '{names['study']}'"
        for word in encoded.dictionary.to_pylist():
            if word not in self._studies:
                self._studies[word] = self.predictor.study(word.strip(), where)
        lookup = [self._studies[word] for word in encoded.dictionary.to_pylist()]
        codes = encoded.indices.fill_null(len(lookup)).to_numpy(zero_copy_only=False)
        result: npt.NDArray[np.int64] = np.array([*lookup, -1], dtype=np.int64)[codes]
        return result

    def _codes(
        self, column: Any, name: str, known: dict[str | None, int], roster: Roster
    ) -> npt.NDArray[np.int64]:
        encoded = pc.dictionary_encode(column.cast(pa.string()))
        words = [word.strip() or None for word in encoded.dictionary.to_pylist()]
        where = f"--pairs: {self.path}, column '{name}'"
        for word in words:
            if word not in known:
                known[word] = roster.index(str(word), where)
        missing = len(words)
        if encoded.null_count and None not in known:
            row = self._row + encoded.is_null().to_pylist().index(True)
            raise InputError(f"{where}, row {row} is empty")
        lookup = np.array([known[word] for word in words] + [-1], dtype=np.int64)
        codes = encoded.indices.fill_null(missing).to_numpy(zero_copy_only=False)
        result: npt.NDArray[np.int64] = lookup[codes]
        return result

    def _numbers(self, batch: pa.RecordBatch, name: str | None) -> npt.NDArray[np.float64]:
        if name is None:
            return np.full(len(batch), np.nan)
        try:
            values = pc.cast(batch.column(name), pa.float64())
        except pa.ArrowInvalid as error:
            raise InputError(f"--pairs: {self.path}, column '{name}': {error}") from error
        return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


class TableWriter:
    """Write batches to CSV or Parquet, aside; `close` renames, leaving on an error removes.

    Args:
        path: The file; its end chooses the format.
    """

    def __init__(self, path: Path) -> None:
        if not is_parquet(path) and path.suffix.lower() != ".csv":
            raise InputError(f"--out: {path} must end in .parquet or .csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._aside = path.with_name(f".{path.name}.partial")
        self._writer: Any = None

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
        if kind is None and self._writer is not None:
            os.replace(self._aside, self.path)
        self._aside.unlink(missing_ok=True)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; all have the schema of the first."""
        if self._writer is None:
            kind = pq.ParquetWriter if is_parquet(self.path) else pacsv.CSVWriter
            self._writer = kind(self._aside, batch.schema)
        self._writer.write_batch(batch)


def predict_file(predictor: Predictor, pairs: Path, out: Path) -> int:
    """Predict every row of a pairs file.

    The output holds ``cell_id``, ``drug_1``.., the doses, ``prediction``, of an ensemble
    ``prediction_spread``, ``response_kind``, ``unit``, ``seen`` (training held the line and each
    drug), ``combination_seen`` (training held the drugs together, in some line), and the input's
    other columns.

    Args:
        predictor: The model.
        pairs: CSV, TSV or Parquet; see `PairReader`.
        out: CSV or Parquet.

    Returns:
        The number of rows.

    Raises:
        InputError: If a row cannot be predicted; nothing is written then.
    """
    reader = PairReader(predictor, pairs)
    rows = 0
    with TableWriter(out) as writer:
        for batch in read_batches(pairs, "--pairs"):
            if not len(batch):
                continue
            cell_B, drug_BK, dose_BK = reader.read(batch)
            study_B = reader.studies(batch)
            responses = predictor.predict_members(cell_B, drug_BK, dose_BK, study_B)
            seen, together = predictor.seen(cell_B, drug_BK)
            columns: dict[str, Any] = {"cell_id": _named(cell_B, predictor.cells.ids)}
            for k in range(drug_BK.shape[1]):
                columns[f"drug_{k + 1}"] = _named(drug_BK[:, k], predictor.drugs.ids)
                if dose_BK is not None:
                    columns[f"log10_molar_{k + 1}"] = pa.array(dose_BK[:, k], from_pandas=True)
            columns |= answer_columns(predictor.members, responses)
            same = np.zeros(len(batch))
            columns["response_kind"] = _named(same, [predictor.catalog.response.name])
            columns["unit"] = _named(same, [predictor.unit])
            columns["seen"] = pa.array(seen)
            columns["combination_seen"] = pa.array(together)
            taken = {*columns, *CELL_COLUMNS}
            for name in batch.schema.names:
                if name.lower() not in taken:
                    columns[name] = batch.column(name)
            writer.write(pa.record_batch(columns))
            rows += len(batch)
        if not rows:
            raise InputError(f"--pairs: {pairs} has no rows")
    return rows


def answer_columns(
    members: Members, responses: Sequence[npt.NDArray[Any]], name: str = "prediction"
) -> dict[str, Any]:
    """Lay out what members answered: ``NAME``, their mean, and of an ensemble ``NAME_spread``.

    Args:
        members: The networks.
        responses: What each of them gave.
        name: What they gave.
    """
    columns = {name: pa.array(members.mean(responses))}
    spread = members.spread(responses)
    if spread is not None:
        columns[f"{name}_spread"] = pa.array(spread)
    return columns


def _named(code_B: npt.NDArray[Any], names: Sequence[str]) -> Any:
    """Take names by code as plain text; -1 is null."""
    codes = pa.array(code_B.astype(np.int64), mask=code_B < 0)
    return pc.take(pa.array(names, pa.string()), codes)


def read_new_drugs(path: Path) -> tuple[list[str], list[str]]:
    """Read new drugs: a name column and ``smiles``.

    Raises:
        InputError: If a column is missing or a SMILES is empty.
    """
    frame = _read_small(path, "--drugs")
    name = _column(frame, NAME_COLUMNS, path, "--drugs")
    smiles = _column(frame, ("smiles",), path, "--drugs")
    empty = frame[smiles].isna() | frame[name].isna()
    if empty.any():
        raise InputError(
            f"--drugs: {path}, row {int(np.flatnonzero(empty)[0])} lacks a name or a SMILES"
        )
    return [str(v) for v in frame[name]], [str(v) for v in frame[smiles]]


NewCells = tuple[list[str], dict[str, npt.NDArray[np.float32]], dict[str, list[str | None]]]


def read_new_cells(path: Path) -> NewCells:
    """Read new cell lines: a name column, then one column a feature.

    A column such as ``expression_origin`` tells which data set's platform measured that block.

    Returns:
        Names, values by feature, and origins by block.

    Raises:
        InputError: If there is no name column, or text stands among the numbers.
    """
    frame = _read_small(path, "--cells")
    name = _column(frame, NAME_COLUMNS, path, "--cells", first=True)
    features = {}
    origins: dict[str, list[str | None]] = {}
    for column in frame.columns:
        if column == name:
            continue
        block = str(column).removesuffix(origin_column(""))
        if block != column:
            origins[block] = [None if v is None or v != v else str(v) for v in frame[column]]
            continue
        values = pd.to_numeric(frame[column], errors="coerce")
        bad = (values.isna() & frame[column].notna()) | np.isinf(values)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"--cells: {path}, row {row}, column '{column}' holds "
                f"'{frame[column].iloc[row]}'; a feature is a finite number, or empty"
            )
        features[str(column)] = values.to_numpy(dtype=np.float32)
    return [str(v) for v in frame[name]], features, origins


def _read_small(path: Path, option: str) -> pd.DataFrame:
    table = pa.Table.from_batches(list(read_batches(path, option)))
    frame: pd.DataFrame = table.to_pandas()
    if frame.empty:
        raise InputError(f"{option}: {path} has no rows")
    return frame


def _column(
    frame: pd.DataFrame, names: Sequence[str], path: Path, option: str, *, first: bool = False
) -> str:
    """Find a column by any of its names; `first`: else the first column is meant.

    Raises:
        InputError: If there is none.
    """
    lower = {str(column).lower(): str(column) for column in frame.columns}
    for name in names:
        if name in lower:
            return lower[name]
    if first:
        return str(frame.columns[0])
    raise InputError(
        f"{option}: {path} has no column '{names[0]}'{did_you_mean(names[0], lower)}; it has "
        f"{', '.join(map(str, frame.columns[:8]))}"
    )
