"""Cell lines and drugs: one row an entity, its features in named blocks.

Shapes: E entities, F features of one block.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from combo_lightning.data.blocks import CHUNK, Block, FeatureBlock, FloatArray, StoredBlock
from combo_lightning.errors import InputError

EntityKind = Literal["cell", "drug"]


@dataclass(frozen=True)
class Entities:
    """All cell lines, or all drugs, of a data set.

    Args:
        kind: ``"cell"`` or ``"drug"``.
        ids: E distinct identifiers, such as ``MCF7`` or the NSC number ``740``.
        annotations: Plain columns by name, one value an entity. Cells: ``name``, ``tissue``;
            drugs: ``name``, ``smiles``, ``inchikey``; both: ``synonyms`` (list of str). Missing is
            None. Others are kept as they are.
        blocks: Feature blocks by name.
    """

    kind: EntityKind
    ids: tuple[str, ...]
    annotations: dict[str, list[Any]]
    blocks: Mapping[str, Block]

    def __post_init__(self) -> None:
        if len(set(self.ids)) != len(self.ids):
            seen: set[str] = set()
            twice = next(i for i in self.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise InputError(f"the {self.kind} '{twice}' stands twice in the {self.kind} table")
        lengths = {name: len(values) for name, values in self.annotations.items()}
        lengths |= {name: len(block) for name, block in self.blocks.items()}
        for name, length in lengths.items():
            if length != len(self.ids):
                raise InputError(
                    f"'{name}' has {length} rows for {len(self.ids)} {self.kind} entities"
                )

    def __len__(self) -> int:
        return len(self.ids)

    def annotation(self, column: str) -> list[str | None]:
        """Read one plain text column; None where the column or its value is missing."""
        if column not in self.annotations:
            return [None] * len(self)
        return [None if _is_missing(v) else str(v) for v in self.annotations[column]]

    def synonyms(self) -> list[list[str]]:
        """Read the other names of each entity; empty lists where none are known."""
        if "synonyms" not in self.annotations:
            return [[] for _ in self.ids]
        return [list(v) if v is not None else [] for v in self.annotations["synonyms"]]


def _is_missing(value: Any) -> bool:
    # NaN is the one value that differs from itself.
    return value is None or value != value


def write_entities(entities: Entities, path: Path) -> None:
    """Write one entity table as Parquet, one fixed-size-list column a block, `CHUNK` rows a group.

    A row of a block that is all missing is stored as null, a single missing value as a null
    element.
    """
    plain: dict[str, Any] = {f"{entities.kind}_id": pa.array(entities.ids, pa.string())}
    for name, values in entities.annotations.items():
        kind = pa.list_(pa.string()) if name == "synonyms" else None
        plain[name] = pa.array(values, type=kind, from_pandas=True)
    fields: list[Any] = [
        pa.field(name, column.type, nullable=i > 0)
        for i, (name, column) in enumerate(plain.items())
    ]
    for block in entities.blocks.values():
        described = {
            "feature_names": list(block.feature_names),
            "unit": block.unit,
            "recipe": dict(block.recipe),
        }
        column_type = pa.list_(pa.float32(), len(block.feature_names))
        fields.append(pa.field(block.name, column_type, metadata={"block": json.dumps(described)}))
    schema = pa.schema(fields)
    parts = zip(*(block.chunks() for block in entities.blocks.values()), strict=True)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, len(entities), CHUNK):
            columns = [column.slice(start, CHUNK) for column in plain.values()]
            columns += [
                _lists(values_EF) for values_EF in (next(parts) if entities.blocks else ())
            ]
            writer.write_table(pa.table(columns, schema=schema))


def _lists(values_EF: FloatArray) -> Any:
    missing_EF = np.isnan(values_EF)
    count, width = values_EF.shape
    flat = pa.array(values_EF.ravel(), pa.float32(), mask=missing_EF.ravel())
    whole = missing_EF.all(axis=1) if width else np.zeros(count, dtype=bool)
    return pa.FixedSizeListArray.from_arrays(flat, width, mask=pa.array(whole))


def read_entities(path: Path, kind: EntityKind) -> Entities:
    """Open one entity table: its plain columns are read, its blocks when they are needed.

    Args:
        path: The file.
        kind: ``"cell"`` or ``"drug"``.

    Raises:
        InputError: If the file is no Parquet file or not of the entity layout.
    """
    id_column = f"{kind}_id"
    try:
        file = pq.ParquetFile(path)
        schema, count = file.schema_arrow, file.metadata.num_rows
        if id_column not in schema.names:
            raise InputError(f"{path} has no column '{id_column}'; it is no table of {kind}s")
        blocks = {f.name: f.metadata[b"block"] for f in schema if b"block" in (f.metadata or {})}
        plain = file.read([n for n in schema.names if n not in blocks], use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"cannot read {path} as Parquet: {error}") from error
    described = {name: json.loads(text) for name, text in blocks.items()}
    stored = {
        name: StoredBlock(
            name, tuple(block["feature_names"]), block["unit"], block["recipe"], path, count
        )
        for name, block in described.items()
    }
    columns = {n: plain.column(n).to_pylist() for n in plain.column_names}
    ids = tuple(columns.pop(id_column))
    return Entities(kind=kind, ids=ids, annotations=columns, blocks=stored)


def build_entities(
    kind: EntityKind,
    ids: Sequence[str],
    annotations: Mapping[str, Sequence[Any]],
    blocks: Sequence[FeatureBlock],
) -> Entities:
    """Put entities together from plain columns; see `Entities` for the meaning of each."""
    columns = {name: list(values) for name, values in annotations.items()}
    return Entities(
        kind=kind, ids=tuple(ids), annotations=columns, blocks={b.name: b for b in blocks}
    )
