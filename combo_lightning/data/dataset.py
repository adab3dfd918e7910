"""The data set on disk: three Parquet tables and ``dataset.json`` in one directory.

Shapes: N measurements, K drug slots.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from combo_lightning.data.columns import column_numbers, name_codes
from combo_lightning.data.entities import Entities, read_entities
from combo_lightning.data.schema import (
    RESPONSE_KINDS,
    SCHEMA_VERSION,
    ResponseKind,
    dose_columns,
    drug_columns,
)
from combo_lightning.errors import InputError

IndexArray = npt.NDArray[np.signedinteger[Any]]
FloatArray = npt.NDArray[np.float32]

MANIFEST = "dataset.json"
RESPONSES = "responses.parquet"
TABLES = {"cell": "cells.parquet", "drug": "drugs.parquet"}


@dataclass(frozen=True)
class SourceFile:
    """A raw file that a data set was made from."""

    path: str
    sha256: str
    bytes: int

    @classmethod
    def of(cls, path: Path) -> "SourceFile":
        """Describe a file as it is now."""
        return cls(path=str(path), sha256=sha256_of(path), bytes=path.stat().st_size)


@dataclass(frozen=True)
class Responses:
    """All measurements in memory, about 20 bytes a row: indices and numbers, never features.

    Args:
        cell_N: Index into the cell lines, the smallest integer type that holds them.
        drug_NK: Indices into the drugs; -1: no drug in that slot.
        log10_molar_NK: log10 of the molar dose, NaN in an empty slot; None: not per dose.
        response_N: The response in the data set's unit.
        weight_N: Weight of each row in loss and metrics; None: all 1.
        study_N: Name of each row's study as an index into `studies`; None: one study.
        studies: Names of the studies.
    """

    cell_N: IndexArray
    drug_NK: IndexArray
    log10_molar_NK: FloatArray | None
    response_N: FloatArray
    weight_N: FloatArray | None
    study_N: IndexArray | None = None
    studies: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.response_N)

    @property
    def num_slots(self) -> int:
        """K, the drug slots of a row."""
        return int(self.drug_NK.shape[1])


@dataclass(frozen=True)
class ScreenDataset:
    """A screen: measurements of cell lines under drugs, and the features of both."""

    path: Path
    kind: ResponseKind
    cells: Entities
    drugs: Entities
    responses: Responses
    manifest: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the tables' checksums: equal data, equal fingerprint."""
        return fingerprint_of(self.manifest)


def fingerprint_of(manifest: Mapping[str, Any]) -> str:
    """Compute a data set's fingerprint from ``dataset.json`` alone."""
    text = json.dumps(manifest["tables"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a file in a stream."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(path: Path) -> dict[str, Any]:
    """Read and check ``dataset.json``.

    Args:
        path: The data set's directory.

    Raises:
        InputError: If there is no data set, or it is of another schema version.
    """
    file = Path(path) / MANIFEST
    if not file.is_file():
        raise InputError(
            f"{path} is no data set ({MANIFEST} is missing); make one with "
            "'combo-lightning prepare' or 'combo-lightning simulate'"
        )
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is not valid JSON: {error}") from error
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{file} is of schema version {version}, this program reads {SCHEMA_VERSION}; "
            "prepare the data set again"
        )
    return manifest


@dataclass(frozen=True)
class OpenedDataset:
    """A data set whose files are whole; its measurements are not read yet.

    Args:
        path: Its directory.
        kind: What the responses are.
        cells: The cell lines.
        drugs: The drugs.
        manifest: ``dataset.json``.
    """

    path: Path
    kind: ResponseKind
    cells: Entities
    drugs: Entities
    manifest: Mapping[str, Any]

    @property
    def num_slots(self) -> int:
        """K, the drug slots of a row."""
        return int(self.manifest["num_slots"])

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Read the measurements as Arrow batches; names are dictionary columns.

        Args:
            columns: What to read; None: all.
        """
        file = pq.ParquetFile(self.path / RESPONSES)
        yield from file.iter_batches(batch_size=1 << 15, columns=columns, use_threads=False)


def open_dataset(path: Path) -> OpenedDataset:
    """Check a data set's files and open its tables.

    Args:
        path: The data set's directory.

    Raises:
        InputError: If a file is missing, changed or not of the layout.
    """
    path = Path(path)
    manifest = read_manifest(path)
    for table in manifest["tables"].values():
        file = path / table["file"]
        if not file.is_file():
            raise InputError(f"{file} is missing; prepare the data set again")
        if sha256_of(file) != table["sha256"]:
            raise InputError(
                f"{file} was changed or damaged after it was written (its SHA-256 differs from "
                f"{MANIFEST}); prepare the data set again"
            )
    cells = read_entities(path / TABLES["cell"], "cell")
    drugs = read_entities(path / TABLES["drug"], "drug")
    return OpenedDataset(path, ResponseKind(**manifest["response"]), cells, drugs, manifest)


def read_dataset(path: Path) -> ScreenDataset:
    """Open a data set and check it: checksums, counts, every id resolves, all numbers finite.

    Args:
        path: The data set's directory.

    Returns:
        The data set, its responses as index arrays.
    """
    opened = open_dataset(path)
    return ScreenDataset(
        path=opened.path,
        kind=opened.kind,
        cells=opened.cells,
        drugs=opened.drugs,
        responses=_read_responses(opened),
        manifest=opened.manifest,
    )


def _read_responses(opened: OpenedDataset) -> Responses:
    file, cells, drugs = opened.path / RESPONSES, opened.cells, opened.drugs
    num_slots, kind = opened.num_slots, opened.kind
    count = int(opened.manifest["tables"]["responses"]["rows"])
    cell_N = np.empty(count, dtype=_index_type(len(cells)))
    drug_NK = np.empty((count, num_slots), dtype=_index_type(len(drugs)))
    dose_NK = np.empty((count, num_slots), dtype=np.float32) if kind.per_dose else None
    response_N = np.empty(count, dtype=np.float32)
    weight_N = np.empty(count, dtype=np.float32)
    study_N = np.empty(count, dtype=np.int16)
    studies: dict[str | None, int] = {}
    cell_index = {name: i for i, name in enumerate(cells.ids)}
    drug_index: dict[str | None, int] = {None: -1} | {n: i for i, n in enumerate(drugs.ids)}
    start = 0
    for batch in opened.batches():
        rows = slice(start, start + len(batch))
        if rows.stop > count:
            break
        cell_N[rows] = _codes(batch.column("cell_id"), cell_index, file)
        for slot, name in enumerate(drug_columns(num_slots)):
            drug_NK[rows, slot] = _codes(batch.column(name), drug_index, file)
        if dose_NK is not None:
            for slot, name in enumerate(dose_columns(num_slots)):
                dose_NK[rows, slot] = column_numbers(batch.column(name), np.nan)
        response_N[rows] = column_numbers(batch.column("response"), np.nan)
        weight_N[rows] = column_numbers(batch.column("weight"), np.nan)
        column = batch.column("study")
        named = column.dictionary.to_pylist()
        for code in dict.fromkeys(name_codes(column).tolist()):
            studies.setdefault(None if code < 0 else named[code], len(studies))
        study_N[rows] = _codes(column, studies, file)
        start = rows.stop
    if start != count:
        raise InputError(f"{file} does not hold the {count} rows that {MANIFEST} states")
    if not (np.isfinite(response_N).all() and np.isfinite(weight_N).all()):
        raise InputError(f"{file} holds responses or weights that are not finite")
    if dose_NK is not None and not np.isfinite(dose_NK[drug_NK >= 0]).all():
        raise InputError(f"{file} holds doses that are missing or not finite")
    return Responses(
        cell_N=cell_N,
        drug_NK=drug_NK,
        log10_molar_NK=dose_NK,
        response_N=response_N,
        weight_N=None if (weight_N == 1).all() else weight_N,
        study_N=study_N if len(studies) > 1 else None,
        studies=tuple(study or "" for study in studies),
    )


def _index_type(entities: int) -> type[np.signedinteger[Any]]:
    return np.int16 if entities < 2**15 else np.int32


def _codes(column: Any, index: Mapping[Any, int], file: Path) -> IndexArray:
    """Turn a dictionary column into indices by looking up each distinct value once.

    Raises:
        InputError: If a value is not in the index.
    """
    names = column.dictionary.to_pylist()
    unknown = [name for name in names if name not in index]
    # A code of -1, null, takes the last one.
    lookup = np.array([index.get(name, -2) for name in names] + [index.get(None, -2)])
    result: IndexArray = lookup[name_codes(column)]
    if (result == -2).any():
        raise InputError(
            f"{file} names '{unknown[0] if unknown else None}', which no entity table holds"
        )
    return result


def kind_named(name: str) -> ResponseKind:
    """Look a response kind up by name.

    Raises:
        InputError: If there is no such kind.
    """
    if name not in RESPONSE_KINDS:
        raise InputError(f"unknown response '{name}'; known are {', '.join(RESPONSE_KINDS)}")
    return RESPONSE_KINDS[name]
